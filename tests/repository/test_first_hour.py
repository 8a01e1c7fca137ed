"""What the README says to type, typed as written in a fresh copy of the repository.

As it stands the test is short: the copy borrows the packages of the Python that runs the tests
(`.venv` consists of links), and the notebooks end after their first cells. With
``CAPTCHA_HELPERS_README=install`` it has `make` install everything; with ``=all`` it also executes
the notebooks to their ends, which takes an hour.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import nbformat
import pytest

import captcha_helpers
from tests.repository.test_readme import blocks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the commands are written for a POSIX shell"),
]

WHOLE = os.environ.get("CAPTCHA_HELPERS_README", "")
KEPT = 3 if WHOLE != "all" else None  # cells of a notebook
NOTEBOOKS = 2 if WHOLE != "all" else None
PATIENCE = 600 if not WHOLE else 3 * 3600  # seconds

COMMAND = r"(?:make|pip|captcha-helpers|jupyter|conda|python3?|git|cd|docker|curl)\b[^`\n]*"
BLOCKS = [
    [line for line in text.splitlines() if line]
    for kind, text in blocks("README.md")
    if kind != "python"
]
IN_SENTENCES = {
    one
    for one in re.findall(f"`({COMMAND})`", (Path(__file__).parents[2] / "README.md").read_text())
    if " " in one
}
SERVE = "captcha-helpers serve stars"
DRAW = "captcha-helpers generate gradient --count 200 --out my_images"
NOT_TRIED = {
    "make test": "it runs this test",
    "make docs": "CI runs it as it stands, and nothing of it can be left out",
    "make picture": "it takes minutes; its parts are tested",
    "pip install '.[train]'": "TensorFlow has 600 MB; CAPTCHA_HELPERS_README=install brings it",
}


@pytest.fixture(scope="module")
def copy(tracked: list[Path], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, as a new clone has them."""
    folder = tmp_path_factory.mktemp("clone")
    for path in tracked:
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def type_in(command: str, folder: Path, **environment: str) -> str:
    """Run a command as somebody does who types it in this folder; return what it prints."""
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=plain_environment() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}"
    return done.stdout


def plain_environment() -> dict[str, str]:
    """Without what the test run itself has set."""
    ours = ("PYTHONPATH", "CAPTCHA_HELPERS_", "COVERAGE", "COV_", "PYTEST_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextmanager
def running(command: str, folder: Path, **environment: str) -> Iterator[Callable[[str], str]]:
    """Type in a command that goes on; gives a function that waits for a pattern in its output."""
    log = folder.parent / "running.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            shell=True,
            cwd=folder,
            env=plain_environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(pattern: str) -> str:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, log.read_text())):
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        return found[0]

    try:
        yield wait_for
    finally:
        with suppress(ProcessLookupError):  # it has ended, and the test says so
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def type_one_after_another(commands: list[str], folder: Path) -> list[str]:
    """Run commands in one shell, as in one terminal; return what each of them prints."""
    end = "-- end of a command --"
    script = "\n".join(f"{command} || exit\necho '{end}'" for command in commands)
    return type_in(script, folder).split(end)


def active(environment: Path) -> dict[str, str]:
    """What activating a virtual environment changes."""
    return {
        "VIRTUAL_ENV": str(environment),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }


def test_every_command_of_the_readme_is_tried_or_left_out_for_a_reason():
    quick, make = BLOCKS
    assert quick[0].endswith("&& . .venv/bin/activate") and quick[1].startswith("pip install")
    assert len(quick) == 4
    assert make == ["make notebooks", "make lab"]
    assert IN_SENTENCES - set(quick) == {SERVE, DRAW, *NOT_TRIED}


def test_the_quick_install_reads(copy: Path, tmp_path: Path):
    environment, install, folder, one = BLOCKS[0]
    assert not (copy / ".venv").exists()
    ask = "pip download --quiet --no-deps --disable-pip-version-check --dest index click"
    type_in(environment, tmp_path)
    try:
        type_in(ask, tmp_path, **active(tmp_path / ".venv"))
    except AssertionError:
        pytest.skip("no package index can be reached")
    said = type_one_after_another([environment, install, folder, one, "pip list"], copy)
    assert said[2].count(".png") == 5
    label = Path(one.split()[-1]).stem.partition("_")[0]
    assert f"\t{label}\t" in said[3]
    assert "tensorflow" not in said[4].lower()
    if WHOLE:
        fresh = active(copy / ".venv")
        type_in("pip install '.[train]'", copy, **fresh)
        type_in(
            "captcha-helpers train captcha_images/stars --epochs 1 --out a.keras", copy, **fresh
        )
        (copy / "a.keras").unlink()


def borrow_packages(copy: Path) -> None:
    """Have `make` find an environment that is installed, instead of the one of the quick start."""
    environment = copy / ".venv"
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != ".installed":
            (environment / path.name).symlink_to(path)
    (environment / ".installed").touch()


def shorten_notebooks(copy: Path) -> None:
    """Leave out most notebooks, and most of the others."""
    for folder in ("notebooks", "notebooks/solutions"):
        for path in sorted((copy / folder).glob("*.ipynb"))[NOTEBOOKS:]:
            path.unlink()
    for path in (copy / "notebooks").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        del notebook.cells[KEPT:]
        nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def workshop(copy: Path) -> Path:
    """The copy, made ready for the commands with `make`."""
    if not WHOLE:
        borrow_packages(copy)
    if WHOLE != "all":
        shorten_notebooks(copy)
    subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
    return copy


def test_make_notebooks_executes_them_and_changes_no_file_of_the_repository(workshop: Path):
    before = sorted(path.name for path in (workshop / "notebooks").glob("*.ipynb"))
    path = active(workshop / ".venv") | {"PYTHONPATH": str(workshop)}  # in the same terminal
    said = type_in(BLOCKS[1][0], workshop, **path)
    assert "all done in" in said
    executed = workshop / "executed"
    assert sorted(path.name for path in executed.glob("*.ipynb")) == before
    for path in executed.glob("*.ipynb"):
        code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert code and all(cell.execution_count for cell in code)
        shown = [out for cell in code for out in cell.outputs]
        assert [out.text for out in shown if out.get("name") == "stderr"] == []
    changed = "git diff --name-only; git ls-files --others --exclude-standard"
    assert type_in(changed, workshop) == ""


def test_make_lab_opens_the_notebooks_and_their_pictures(workshop: Path, tmp_path: Path):
    settings = {"open_browser": False, "allow_root": True, "port": 0}
    text = json.dumps({"ServerApp": settings})
    (tmp_path / "jupyter_server_config.json").write_text(text)
    quiet = {"JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with running(f"exec {BLOCKS[1][1]}", workshop, **quiet) as wait_for:
        page = wait_for(r"http://127\.0\.0\.1:\d+/lab\S*token=\w+")
        with httpx.Client(follow_redirects=True, timeout=PATIENCE) as client:
            assert client.get(page).status_code == 200
            start, token = page.partition("/lab")[0], page.rpartition("=")[2]
            for name in ("notebooks/01_data_exploration.ipynb", "docs/images/web_page.png"):
                found = client.get(f"{start}/api/contents/{name}?token={token}&content=0")
                assert found.status_code == 200, name


def test_serve_answers(workshop: Path):
    path = active(workshop / ".venv") | {"PYTHONPATH": str(workshop)}
    with running(f"exec {SERVE} --port 0", workshop, **path) as wait_for:
        address = wait_for(r"http://127\.0\.0\.1:\d+")
        image = next((workshop / "captcha_images" / "stars").glob("*.png"))
        answer = httpx.post(f"{address}/predict", files={"file": image.read_bytes()}, timeout=60)
        assert answer.json()["text"] == image.stem.partition("_")[0]


def test_drawn_images_can_be_learned_from(workshop: Path, tmp_path: Path):
    type_in(DRAW, tmp_path, **active(workshop / ".venv"), PYTHONPATH=str(workshop))
    found = captcha_helpers.check_folder(tmp_path / "my_images")
    assert found.images == 200


def test_another_python_than_that_of_the_environment_is_not_ignored(copy: Path, tmp_path: Path):
    shutil.copy(copy / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name, version in (("here/python3.77", "3.77"), (".venv/bin/python", "3.66")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["make", "lint", "PYTHON=here/python3.77"],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert ".venv has Python 3.66; to use here/python3.77, remove it first" in done.stderr
