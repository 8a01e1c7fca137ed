"""What pyproject.toml promises holds at its lower end: the oldest Python with the oldest packages.

`make lowest` runs all quick tests there; this is the part of it that every test run has time for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from captcha_helpers.reading.shipped import shipped_files

pytestmark = pytest.mark.slow

OLDEST = "3.10"
SCRIPT = """
import pathlib, sys
import captcha_helpers as ch

samples = pathlib.Path(sys.argv[1])
for name in sys.argv[2:]:
    style = name if (samples / name).is_dir() else "stars"
    paths = sorted((samples / style).glob("*_*.*"))[:20]
    readings = ch.load(name).read_many(paths)
    right = sum(r.text == p.stem.partition("_")[0] for r, p in zip(readings, paths))
    print(name, right, "of", len(paths))
    assert right >= 12, (name, right)
assert "tensorflow" not in sys.modules
spec = ch.ModelSpec(ch.DIGITS, (6, 6), height=48, width=160)
data = ch.load_folder(samples / "stars", height=48, width=160, progress=False)
charset = ch.Charset(spec.charset)
model = ch.pretrained_start(charset, length=6, start="pretrained")
ch.compile_model(model, head="ctc", steps=None)
batches = ch.ArrayBatches(data.images[:64], charset.encode(data.labels[:64], length=6), 32)
model.fit(batches, shuffle=False, verbose=0)
ch.save_model(model, spec, "own.keras")
path = next((samples / "stars").glob("*_*.*"))
print("trained", *(ch.load(name).read(path).text for name in ("own.keras", "pretrained")))
"""


@pytest.fixture(scope="module")
def oldest(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the lowest versions of all that reading and training need."""
    places = [str(Path(sys.executable).parent), *os.get_exec_path()]
    uv = shutil.which("uv", path=os.pathsep.join(places))
    if uv is None:
        pytest.skip("there is no uv, which installs the lowest versions")
    folder = tmp_path_factory.mktemp("lowest") / "venv"
    try:
        run(uv, "venv", "--quiet", "--python", python_of_pyenv() or OLDEST, str(folder))
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        lowest = ("--resolution", "lowest-direct", "--python", str(python))
        # From the sources: of a wheel, uv takes what it depends on for indirect.
        run(uv, "pip", "install", "--quiet", *lowest, f"{site.parent / 'source'}[train,predict]")
    except subprocess.CalledProcessError as error:
        if any(word in error.stdout for word in ("No solution found", "Failed to build")):
            raise AssertionError(error.stdout) from error
        pytest.skip(f"Python {OLDEST} or its packages cannot be fetched: {error.stdout[:200]}")
    return python


def python_of_pyenv() -> str | None:
    """The oldest Python that we promise, where pyenv has it: uv does not look there."""
    if (pyenv := shutil.which("pyenv")) is None:
        return None
    versions = Path(run(pyenv, "root").strip(), "versions").glob(f"{OLDEST}*/bin/python")
    return max(map(str, versions), default=None)


def run(*command: str) -> str:
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


def test_the_lowest_versions_read_with_every_shipped_model_and_train(
    oldest: Path, root: Path, tmp_path: Path
):
    names = [file.name for file in shipped_files() if file.role == "reader"]
    assert len(names) >= 6
    command = [str(oldest), "-c", SCRIPT, str(root / "captcha_images"), *names]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.endswith(" of 20")] == names
    assert lines[-1].startswith("trained ")
