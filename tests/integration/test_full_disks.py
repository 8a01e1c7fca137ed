"""A disk takes no more: the old file or the new one, one line, and an exit code that tells.

The small disks are in a namespace of their own, which needs no rights. Where a system does not
allow that, these tests are skipped, and only the one with a limit of the process is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import captcha_helpers
from captcha_helpers import image_files, load_image, read_spec, write_samples
from tests.patience import end_of

resource = pytest.importorskip("resource", reason="Windows has no such limits")

pytestmark = pytest.mark.slow
BLOCK = 4096
FULL, READ_ONLY = "No space left on device", "Read-only file system"


class Disk:
    """A small disk, which only commands after `enter` see."""

    def __init__(self, place: Path, size: str) -> None:
        self.place = place
        mount = f'mount -t tmpfs -o size={size} tmpfs "$1" && echo made && exec cat'
        self.holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if self.holder.stdout.readline() != b"made\n":
            self.close()
            pytest.skip("this system lets nobody make a small disk")
        target = ["--target", str(self.holder.pid), "--user", "--mount"]
        self.enter = ["nsenter", *target, "--preserve-credentials"]
        self.seen = Path(f"/proc/{self.holder.pid}/root{place}")  # the disk, from outside

    def fill(self, *, room: int = 0) -> None:
        """Leave room for so many bytes."""
        with open(self.seen / "fill", "wb", buffering=0) as file:
            with suppress(OSError):
                while True:
                    file.write(bytes(BLOCK))
            file.truncate(file.tell() - room)

    def make_read_only(self) -> bool:
        """Whether it could be made so; not while a file is being written."""
        return self._remounted("ro")

    def grow(self, size: str) -> None:
        """Make it larger."""
        assert self._remounted(f"size={size}")

    def _remounted(self, option: str) -> bool:
        remount = [*self.enter, "mount", "-o", f"remount,{option}", str(self.place)]
        return not subprocess.run(remount, stderr=subprocess.DEVNULL, check=False).returncode

    def close(self) -> None:
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()


@contextmanager
def small_disk(folder: Path, size: str = "300k") -> Iterator[Disk]:
    """A small disk in a folder, unless this system has none."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("there is no program to make a small disk with")
    place = folder / "disk"
    place.mkdir()
    disk = Disk(place, size)
    try:
        yield disk
    finally:
        disk.close()


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    with small_disk(tmp_path, getattr(request, "param", "300k")) as disk:
        yield disk


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images, with names so long that a table of them takes more than a block."""
    folder = tmp_path_factory.mktemp("images")
    write_samples(folder, 25, styles=["stars"])
    for path in image_files(folder / "stars"):
        label, _, rest = path.name.partition("_")
        label = str((int(label[0]) + 1) % 10) + label[1:]  # a page shows what was read wrongly
        path.rename(path.with_name(f"{label}_{'a' * 200}_{rest}"))
    return folder / "stars"


def start(
    *arguments: object, enter: Sequence[str] = (), more: dict[str, str] | None = None, **how: object
) -> subprocess.Popen[str]:
    command = [*enter, sys.executable, "-m", "captcha_helpers", *map(str, arguments)]
    root = Path(captcha_helpers.__file__).parents[1]  # `enter` changes the working directory
    # Not measured for coverage: that would want to write where nothing can be written.
    mine = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment = mine | {"PYTHONPATH": str(root)} | (more or {})
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **how,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_that_the_old_stays(
    images: Path, place: Path, seen: Path, why: str, verbs: list[str], **how: object
) -> None:
    """Let verbs write where there is something already and nothing can be written."""
    before, file, folder = contents(seen), place / "old.keras", place / "out"
    written = {
        "predict": (["stars", images, "--csv", file], file),
        "evaluate": (["stars", images, "--report", file], file),
        "export": (["stars", "--to", "onnx", "--out", folder], folder),
        "train": ([images, "--out", file], file),
        "label": ([images, "--labels", place / "old.csv", "--no-browser"], place / "old.csv"),
    }
    for verb in verbs:
        arguments, target = written[verb]
        process = start(verb, *arguments, *(["--overwrite"] * (verb != "label")), **how)
        said = end_of(process)
        advice = "; name another file with --labels OTHER.csv" * (why == READ_ONLY)
        more = advice if verb == "label" else ""
        assert said == ("", f"Error: {str(target)!r} cannot be written: {why}{more}\n")
        assert process.returncode == 1 and contents(seen) == before


def make_old(place: Path) -> None:
    (place / "out").mkdir()
    for name in ("old.keras", "old.csv", "out/metadata.json"):
        (place / name).write_text("old")


@pytest.mark.parametrize("trouble", ["full", "nearly full", "read-only"])
def test_a_disk_that_takes_nothing_keeps_what_it_has(disk: Disk, images: Path, trouble: str):
    make_old(disk.seen)
    verbs, why = ["predict", "evaluate", "export"], FULL
    if trouble == "nearly full":  # found out at the end only, which would be after a training
        disk.fill(room=BLOCK)
    elif trouble == "full":
        disk.fill()
        verbs += ["label", "train"]
    else:
        assert disk.make_read_only()
        verbs, why = [*verbs, "label", "train"], READ_ONLY
    check_that_the_old_stays(images, disk.place, disk.seen, why, verbs, enter=disk.enter)


@pytest.mark.parametrize("most", [BLOCK // 8, BLOCK])
def test_a_limit_on_the_size_of_files_is_told_as_a_full_disk_is(
    images: Path, tmp_path: Path, most: int
):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    make_old(tmp_path)
    why, verbs = "File too large", ["predict", "evaluate", "export"]
    if most == BLOCK:  # found out at the end only, which would be after a training
        check_that_the_old_stays(images, tmp_path, tmp_path, why, verbs, preexec_fn=limit)
        return
    verbs += ["label", "train"]
    check_that_the_old_stays(images, tmp_path, tmp_path, why, verbs, preexec_fn=limit)
    process = start("generate", "stars", "--count", 4, "--out", tmp_path / "new", preexec_fn=limit)
    _, said = end_of(process)
    assert said.startswith("Error: ") and said.endswith(f"' cannot be written: {why}\n")
    assert said.count("\n") == 1 and process.returncode == 1
    assert not list(tmp_path.rglob("*.part*"))


def test_generate_goes_on_when_there_is_room_again(disk: Disk):
    arguments = ("generate", "stars", "--count", 40, "--out", disk.place / "out")
    disk.fill()
    process = start(*arguments, enter=disk.enter)
    _, said = end_of(process)
    assert process.returncode == 1 and said.count("\n") == 1
    assert said.startswith("Error: ") and said.endswith(f" cannot be written: {FULL}\n")
    (disk.seen / "fill").unlink()
    process = start(*arguments, enter=disk.enter)
    end_of(process)
    assert process.returncode == 0 and len(list((disk.seen / "out").glob("*.png"))) == 40
    assert not list(disk.seen.rglob(".*"))


@pytest.mark.parametrize("disk", ["500m"], indirect=True, ids=["large"])  # it must not be full
def test_what_is_drawn_stays_on_a_disk_that_turns_read_only(disk: Disk):
    process = start(
        *("generate", "stars", "--count", 100_000, "--out", disk.place / "out"), enter=disk.enter
    )
    while not (drawn := list(disk.seen.glob("out/*.png"))):
        assert process.poll() is None
        time.sleep(0.01)
    half = drawn[0].with_name(f".{drawn[0].stem}.1.part.png")  # which can't be removed then
    half.write_bytes(b"")
    while not disk.make_read_only():  # not while a file is open
        assert process.poll() is None
    _, said = end_of(process)
    assert half.exists()
    assert process.returncode == 1 and said.count("\n") == 1
    assert said.startswith("Error: ") and said.endswith(f" cannot be written: {READ_ONLY}\n")
    for path in image_files(disk.seen / "out"):
        load_image(path)


def test_a_training_on_a_disk_that_turns_read_only_keeps_the_old_file(disk: Disk, images: Path):
    make_old(disk.seen)
    before, out = contents(disk.seen), disk.place / "old.keras"
    arguments = (images, "--from-scratch", "--epochs", 10, "--out", out, "--overwrite")
    process = start("train", *arguments, enter=disk.enter, more={"PYTHONUNBUFFERED": "1"})
    while "until" not in process.stdout.readline():
        assert process.poll() is None
    while not disk.make_read_only():  # not while a file is open
        assert process.poll() is None
    _, said = end_of(process)
    assert process.returncode == 1
    assert said.splitlines()[-1] == f"Error: {str(out)!r} cannot be written: {READ_ONLY}"
    assert contents(disk.seen) == before


@pytest.mark.parametrize("verb", ["train", "export"])
def test_full_places_for_temporary_files_and_for_the_cache_cost_nothing(
    disk: Disk, images: Path, tmp_path: Path, verb: str
):
    """What is written on the way lies beside what is written in the end; it is said where."""
    disk.fill()
    full = {"TMPDIR": str(disk.place), "HOME": str(disk.place)}
    out = tmp_path / "m.keras"
    arguments = {
        "train": [images, "--from-scratch", "--epochs", 1],
        "export": ["pretrained", "--to", "keras"],
    }[verb]
    process = start(verb, *arguments, "--out", out, enter=disk.enter, more=full)
    said, wrong = end_of(process)
    assert process.returncode == 0 and f"\n{out}" in said and "Error" not in wrong
    read_spec(out if verb == "train" else out / "model.keras")
    assert [path.name for path in disk.seen.iterdir() if path.is_file()] == ["fill"]
