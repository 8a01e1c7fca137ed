"""Whatever ends a command: the old file or the new one, one line, and an exit code that tells."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from captcha_helpers import image_files, write_samples

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


@pytest.mark.parametrize(("end", "code", "name"), ENDS)
def test_an_export_that_is_stopped_leaves_the_old_one(
    tmp_path: Path, end: str, code: int, name: str
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "metadata.json").write_text("old")
    process = start("export", "stars", "--to", "onnx", "--out", out, "--overwrite")
    while names(tmp_path) == ["out"]:
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.2)  # Python may lose a signal's exception in the very step into a `with` block
    process.send_signal(getattr(signal, end))
    said = process.communicate(timeout=60)
    assert said == ("", f"Error: stopped by {name}; what was being written is as it was before\n")
    assert process.returncode == code
    assert names(tmp_path) == ["out"] and (out / "metadata.json").read_text() == "old"


@pytest.mark.parametrize(("end", "code", "name"), ENDS)
@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_reading_that_is_stopped_leaves_the_old_table(
    tmp_path: Path, many: Path, verb: str, end: str, code: int, name: str
):
    target = tmp_path / "a.csv"
    target.write_text("old")
    option = {"predict": "--csv", "evaluate": "--report"}[verb]
    process = start(verb, "stars", many, option, target, "--overwrite")
    time.sleep(4)
    assert process.poll() is None, "it ended before it could be stopped"
    process.send_signal(getattr(signal, end))
    said = process.communicate(timeout=60)
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
    process.communicate(timeout=60)
    assert process.returncode == 0 and len(list(tmp_path.glob("out/*.png"))) == 300


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can make a small file system")
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    with suppress_full(), open(disk / "fill", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


class suppress_full:
    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, OSError)


def test_a_full_disk_leaves_what_was_there(small_disk: Path, many: Path, tmp_path: Path):
    few = tmp_path / "few"
    few.mkdir()
    for path in image_files(many)[:5]:
        shutil.copy(path, few)
    old, out = small_disk / "old", small_disk / "out"
    old.write_text("old")
    out.mkdir()
    (out / "metadata.json").write_text("old")
    fill(small_disk)
    before = names(small_disk)
    for arguments in (
        ["predict", "stars", few, "--csv", old, "--overwrite"],
        ["evaluate", "stars", few, "--report", old, "--overwrite"],
        ["export", "stars", "--to", "onnx", "--out", out, "--overwrite"],
    ):
        process = start(*arguments)
        _, said = process.communicate(timeout=60)
        target = arguments[arguments.index("--overwrite") - 1]
        assert said == f"Error: {str(target)!r} cannot be written: No space left on device\n"
        assert process.returncode == 1 and names(small_disk) == before
        assert old.read_text() == (out / "metadata.json").read_text() == "old"


def test_generate_goes_on_when_there_is_room_again(small_disk: Path):
    arguments = ("generate", "stars", "--count", 40, "--out", small_disk / "out")
    fill(small_disk)
    process = start(*arguments)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and said.startswith("Error: ") and said.count("\n") == 1
    assert "cannot be written: No space left on device" in said
    (small_disk / "fill").unlink()
    process = start(*arguments)
    process.communicate(timeout=60)
    assert process.returncode == 0 and len(list((small_disk / "out").glob("*.png"))) == 40
    assert not list(small_disk.rglob(".*"))


def test_a_full_tmpdir_costs_nothing(small_disk: Path, tmp_path: Path):
    """What is written on the way lies beside what is written in the end."""
    fill(small_disk)
    environment = os.environ | {"TMPDIR": str(small_disk)}
    process = start(
        "export", "pretrained", "--to", "keras", "--out", tmp_path / "out", env=environment
    )
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and (tmp_path / "out" / "model.keras").exists()
    assert str(tmp_path / "out") in said  # it says where
    assert names(small_disk) == ["fill"]
