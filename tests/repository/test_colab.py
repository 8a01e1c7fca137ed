"""The notebooks' set-up cell where only what Colab has is there, and where nothing is.

What has to be installed is that of this environment, as pip would take long. With
``CAPTCHA_HELPERS_COLAB=install`` there is NumPy and IPython only, and pip installs all the pins.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tools.setup_cell import setup_cell

WHOLE = os.environ.get("CAPTCHA_HELPERS_COLAB") == "install"
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
UPLOAD = """
import os, shutil
def upload():
    shutil.copy(os.environ["ZIP"], "captcha-helpers-colab (1).zip")
"""
RUN = """
import google.colab.files
for number, cell in enumerate(CELLS):
    exec(compile(cell, f"cell {number}", "exec"), {})
import captcha_helpers, os
print(captcha_helpers.__file__, os.getcwd(), len(captcha_helpers.load_results()), sep="\\n")
"""


@pytest.fixture(scope="module")
def archive(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make colab` makes; only what is committed goes into it."""
    if not (root / ".git").exists() or not shutil.which("git") or not shutil.which("make"):
        pytest.skip("needs a git clone, git and make")
    target = tmp_path_factory.mktemp("colab") / "captcha-helpers-colab.zip"
    subprocess.run(["make", "colab", f"COLAB={target}"], cwd=root, check=True, capture_output=True)
    return target


@pytest.fixture
def colab(tmp_path: Path) -> Path:
    """A fresh environment that has all that we need but this package, and a stub of google.colab.

    If all is to be installed, it has NumPy and IPython, which the notebook's own process needs.

    A folder named in a .pth file is searched, but the .pth files in it are not read, so that an
    editable installation of this package is not seen.
    """
    venv.create(tmp_path / "env", symlinks=os.name != "nt", with_pip=WHOLE)
    site = tmp_path / "env" / SITE
    if WHOLE:
        pip = [tmp_path / "env" / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "ipython", "numpy"], check=True)
    else:
        (site / "colab.pth").write_text(sysconfig.get_paths()["purelib"])
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").touch()
    (site / "google" / "colab" / "files.py").write_text(UPLOAD)
    (tmp_path / "content").mkdir()
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Colab runs Linux")
def test_first_cells_of_all_notebooks_run_on_colab(root: Path, archive: Path, colab: Path):
    cells = []
    for path in sorted((root / "notebooks").rglob("*.ipynb")):
        code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        cells += code[:2]
    script = colab / "run.py"
    script.write_text(f"CELLS = {cells!r}\n{RUN}", encoding="utf-8")
    hidden = {"PYTHONPATH", "CAPTCHA_HELPERS_RESULTS", "VIRTUAL_ENV"}
    offline = {} if WHOLE else {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false"}
    ran = subprocess.run(
        [colab / "env" / "bin" / "python", "-m", "IPython", "--quiet", script],
        cwd=colab / "content",
        env={key: value for key, value in os.environ.items() if key not in hidden}
        | offline
        | {"ZIP": str(archive)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *said, package, folder, results = ran.stdout.splitlines()
    assert said == [
        "Upload dist/captcha-helpers-colab.zip, which `make colab` has made:",
        "After a restart of the session, TensorFlow's own messages stay out of the notebook.",
    ]
    assert (colab / "env" / "etc" / "ipython" / "ipython_kernel_config.json").is_file()
    assert Path(package).is_relative_to(colab / "env")
    assert Path(folder) == colab / "content" / "captcha-helpers" / "notebooks"
    assert (Path(folder).parent / "captcha_images" / "stars").is_dir()
    assert (Path(folder).parent / "benchmarks" / "pretraining" / "round_1.json").is_file()
    assert int(results) > 0


def test_set_up_cell_is_python_and_short():
    text = setup_cell("owner/name")
    compile(text, "set-up", "exec")
    assert len(text.splitlines()) <= 25
    assert max(map(len, text.splitlines())) <= 100


def test_without_package_zip_and_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="Put the zip of `make colab` beside"):
        exec(setup_cell(), {})


def copy_project(root: Path, project: Path) -> None:
    """As much of a copy of the project as the cell looks at."""
    (project / "notebooks").mkdir(parents=True)
    (project / "tools").mkdir()
    for name in ("install_here.py", "ipython_kernel_config.json"):
        shutil.copy(root / "tools" / name, project / "tools")


@pytest.mark.parametrize("gpu", [False, True])
def test_address_is_cloned_and_the_pins_are_used(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool
):
    commands = []

    def run(command: list[object], check: bool) -> None:
        commands.append(command)
        if command[0] == "git":
            copy_project(root, Path(command[-1]))

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("shutil.which", lambda name: name if gpu else None)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "env"))
    monkeypatch.chdir(tmp_path)
    exec(setup_cell("owner/name"), {})
    clone, pip = ([str(part) for part in command] for command in commands)
    assert clone[:2] == ["git", "clone"]
    assert "https://github.com/owner/name" in clone
    pins = str(tmp_path / "captcha-helpers" / "constraints.txt")
    package = f"captcha-helpers[notebooks] @ {(tmp_path / 'captcha-helpers').as_uri()}"
    assert pip[1:] == ["-m", "pip", "install", "--quiet", "-c", pins, package] + (
        ["tensorflow[and-cuda]"] if gpu else []
    )


def test_numpy_that_was_loaded_before_needs_a_restart(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy_project(root, tmp_path / "captcha-helpers")
    assert sys.modules["numpy"] is np  # loaded, as Colab has it from the beginning
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("subprocess.run", lambda command, check: None)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99.0")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "env"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="Restart session"):
        exec(setup_cell(), {})
    assert (tmp_path / "env" / "etc" / "ipython" / "ipython_kernel_config.json").is_file()


def test_in_a_clone_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("subprocess.run", lambda *args, **options: pytest.fail("it ran something"))
    monkeypatch.chdir(tmp_path)
    exec(setup_cell("owner/name"), {})
    assert capsys.readouterr() == ("", "")
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []
