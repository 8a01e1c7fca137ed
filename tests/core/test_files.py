"""Files appear whole or not at all, and what was there before stays until then."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from captcha_helpers.core import files
from captcha_helpers.core.files import locked, replacing, replacing_folder, write_bytes


class FromALibrary(Exception):
    """An error as TensorFlow has it, which is no OSError."""


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/hidden/.name")
ENDS = [KeyboardInterrupt(), ValueError("a bug"), FULL]


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("error", ENDS, ids=repr)
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_file_that_is_not_finished_changes_nothing(
    tmp_path: Path, error: BaseException, old: bytes | None
):
    path = tmp_path / "a.csv"
    if old is not None:
        path.write_bytes(old)
    before = everything(tmp_path)
    with pytest.raises(type(error)) as caught, replacing(path) as partial:
        partial.write_bytes(b"half")
        raise error
    assert everything(tmp_path) == before
    if error is FULL:
        assert str(caught.value) == f"{str(path)!r} cannot be written: {os.strerror(errno.ENOSPC)}"
        assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("error", ENDS, ids=repr)
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_folder_that_is_not_finished_changes_nothing(
    tmp_path: Path, error: BaseException, old: bytes | None
):
    folder = tmp_path / "out"
    if old is not None:
        folder.mkdir()
        (folder / "a").write_bytes(old)
    before = everything(tmp_path)
    with pytest.raises(type(error)) as caught, replacing_folder(folder) as partial:
        (partial / "a").write_bytes(b"half")
        raise error
    assert everything(tmp_path) == before and folder.exists() == (old is not None)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] * (old is not None)
    if error is FULL:
        assert str(caught.value).startswith(f"{str(folder)!r} cannot be written: ")


@pytest.mark.parametrize("fails", [1, 2])
def test_a_signal_between_the_two_renamings_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", stopped_after(fails, os.replace))
    with pytest.raises(KeyboardInterrupt), replacing_folder(folder) as partial:
        (partial / "a").write_bytes(b"new")
    assert everything(tmp_path) in ({"out/a": b"old"}, {"out/a": b"new"})


def stopped_after(calls: int, replace: Callable[..., None]) -> Callable[..., None]:
    """Raise what Ctrl-C raises, at the end of a call."""
    made = []

    def replace_and_stop(*names: Path) -> None:
        replace(*names)
        made.append(names)
        if len(made) == calls:
            raise KeyboardInterrupt

    return replace_and_stop


STOPPED_ANYWHERE = """
import sys
from captcha_helpers.core.files import replacing_folder

def stopped_at(number):
    count = 0

    def stop(frame, event, argument):
        nonlocal count
        if event in ("call", "c_return"):  # where Python looks for signals
            count += 1
            if count == number:
                sys.setprofile(None)
                raise KeyboardInterrupt

    try:
        sys.setprofile(stop)
        with replacing_folder(f"{sys.argv[1]}/{number}") as partial:
            (partial / "a").write_bytes(b"new")
        sys.setprofile(None)
    except (KeyboardInterrupt, OSError) as error:  # rmtree may close a file twice then
        kept.append(error)  # as whoever prints it does
        return True
    return False

kept, number = [], 1
while stopped_at(number):
    number += 1
print(number)
"""


def test_a_signal_at_any_step_leaves_a_whole_folder_or_none(tmp_path: Path):
    """Also in the step into the `with` block, which reaches neither block nor `finally`."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_ANYWHERE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 50
    assert not list(tmp_path.glob(".*"))
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"a"}


def test_a_full_disk_is_told_whatever_a_library_calls_it(tmp_path: Path):
    said = f"SaveV2 /a/hidden/.name; {os.strerror(errno.ENOSPC)} [Op:SaveV2]"
    with pytest.raises(OSError, match="out' cannot be written: No space left on device$"):  # noqa: SIM117
        with replacing_folder(tmp_path / "out"):
            raise FromALibrary(said)
    with pytest.raises(FromALibrary, match="something else"), replacing_folder(tmp_path / "out"):
        raise FromALibrary("something else")


def test_what_was_there_is_replaced(tmp_path: Path):
    for text in (b"one", b"two"):
        write_bytes(tmp_path / "new" / "a", text)
        with replacing_folder(tmp_path / "out") as partial:
            (partial / "b").write_bytes(text)
        assert everything(tmp_path) == {"new/a": text, "out/b": text}


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_takes_no_files_is_named(tmp_path: Path):
    tmp_path.chmod(0o500)
    for write in (
        lambda: write_bytes(tmp_path / "a", b""),
        replacing_folder(tmp_path / "a").__enter__,
    ):
        with pytest.raises(PermissionError, match="a' cannot be written: Permission denied"):
            write()


def test_the_lock_of_another_user_is_taken_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a folder that both may write to, the file of the lock is still the first one's own."""
    with locked(tmp_path / "a.csv"):
        pass

    def refuse_writing(path: Path, mode: str) -> Any:
        if mode != "rb":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open(path, mode)

    monkeypatch.setattr(files, "open", refuse_writing, raising=False)
    with locked(tmp_path / "a.csv"):
        pass
    with (
        pytest.raises(PermissionError, match=r"b\.csv' cannot be written"),
        locked(tmp_path / "b.csv"),
    ):
        pass


def test_a_file_that_somebody_is_reading_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Windows replaces no file that is open."""
    refusals, replace = [PermissionError(13, "in use")] * 2, os.replace

    def refuse_twice(*names: Path) -> None:
        if refusals:
            raise refusals.pop()
        replace(*names)

    monkeypatch.setattr(os, "replace", refuse_twice)
    monkeypatch.setattr(files, "_TRIES", 3)
    write_bytes(tmp_path / "a.csv", b"new")
    assert everything(tmp_path) == {"a.csv": b"new"}
    refusals += [PermissionError(13, "in use")] * 3
    with pytest.raises(PermissionError, match=r"a\.csv' cannot be written: in use"):
        write_bytes(tmp_path / "a.csv", b"newer")
