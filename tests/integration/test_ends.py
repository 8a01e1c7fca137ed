"""Signals end a command: the old file or the new one, one line, and an exit code that tells."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import captcha_helpers
from captcha_helpers import image_files, write_samples
from tests.patience import end_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals"),
]

ENDS = [("SIGINT", 130, "Ctrl-C"), ("SIGTERM", 143, "SIGTERM"), ("SIGHUP", 129, "SIGHUP")]


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "captcha_helpers", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose reading takes long."""
    folder = tmp_path_factory.mktemp("many")
    write_samples(folder, 20, styles=["stars"])
    (folder / "images").mkdir()
    for path in image_files(folder / "stars"):
        for copy in range(500):
            os.link(path, folder / "images" / f"{path.stem.split('_')[0]}_{copy}{path.suffix}")
    return folder / "images"


def wait_until_signals_are_taken(process: subprocess.Popen[str]) -> None:
    """Before, it is Python that begins, and ends as any program does."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(4)
        return
    taken = 1 << (signal.SIGTERM - 1)
    while not int(re.search(r"^SigCgt:\s*(\w+)", status.read_text(), re.M)[1], 16) & taken:
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize(("end", "code", "name"), ENDS)
def test_an_export_that_is_stopped_leaves_the_old_one(
    tmp_path: Path, end: str, code: int, name: str
):
    out = tmp_path / "out"
    out.mkdir()
    for _ in range(5):  # where C code imports a module, Python may lose the interrupt
        (out / "metadata.json").write_text("old")
        process = start("export", "stars", "--to", "onnx", "--out", out, "--overwrite")
        while names(tmp_path) == ["out"]:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(getattr(signal, end))
        said = end_of(process)
        assert process.returncode == code and names(tmp_path) == ["out"]  # in any case
        if not said[0]:
            break
    assert said == ("", f"Error: stopped by {name}; what was being written is as it was before\n")
    assert (out / "metadata.json").read_text() == "old"


STOPPED = """
from captcha_helpers.cli.main import main

@main.command()
def stop():
    exec("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")

main(["stop"])
"""


def test_a_signal_in_the_import_of_a_named_tuple_ends_as_any_other(tmp_path: Path):
    (tmp_path / "stopped.py").write_text(STOPPED)
    root = str(Path(captcha_helpers.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "stopped"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        check=False,
    )
    assert done.returncode == 143


@pytest.mark.parametrize(("end", "code", "name"), ENDS)
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_reading_that_is_stopped_leaves_the_old_table(
    tmp_path: Path, many: Path, verb: str, end: str, code: int, name: str
):
    target = tmp_path / "a.csv"
    target.write_text("old")
    option = {"predict": "--csv", "evaluate": "--report"}[verb]
    process = start(verb, "stars", many, option, target, "--overwrite")
    wait_until_signals_are_taken(process)
    time.sleep(1)
    assert process.poll() is None, "it ended before it could be stopped"
    process.send_signal(getattr(signal, end))
    said = end_of(process)
    assert said == ("", f"Error: stopped by {name}; what was being written is as it was before\n")
    assert process.returncode == code
    assert names(tmp_path) == ["a.csv"] and target.read_text() == "old"


def test_what_nohup_has_ignored_stays_ignored(tmp_path: Path):
    command = ["nohup", sys.executable, "-m", "captcha_helpers", "generate", "stars"]
    process = subprocess.Popen(
        [*command, "--count", "300", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not list(tmp_path.glob("out/*.png")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    end_of(process)
    assert process.returncode == 0 and len(list(tmp_path.glob("out/*.png"))) == 300
