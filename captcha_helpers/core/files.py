"""Files: where the package keeps its own, and how to write one so that nobody meets half of it."""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

ASSETS = Path(__file__).parents[1] / "assets"
WEIGHTS = ASSETS / "weights"
WEB = ASSETS / "web"
WORK_PREFIX = "captcha_labels_"  # of folders that go with the training that works in them
LEAST_ROOM = 4096  # bytes; a block of a disk
_TRIES = 100 if sys.platform == "win32" else 1  # Windows replaces no file while somebody reads it
_OF_THE_SYSTEM = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
OR_OVERWRITE = "or replace it with overwrite=True (--overwrite)"  # how every refusal ends


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under another name in the same folder, then rename it.

    Whatever ends the block early, an error, a signal or a full disk: the file is as it was before,
    and nothing is left of the other one.

    Args:
        path: The file. A file of that name is replaced in one step; missing folders are made.

    Yields:
        The other name, of the same ending, to be written to.

    Raises:
        OSError: Of the kind that came, if the file cannot be written; it names `path`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder, "a.txt")) as partial:
        ...         _ = partial.write_text("hello")
        ...     [path.name for path in Path(folder).iterdir()]
        ['a.txt']
    """
    path = Path(path)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _rename(partial, path)
    except Exception as error:
        if isinstance(error, OSError) or full_disk(error):
            raise _named(error, path) from error
        raise
    finally:
        with suppress(OSError):  # of a disk that takes nothing any more
            partial.unlink(missing_ok=True)


def _rename(partial: Path, path: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            return os.replace(partial, path)
        except PermissionError:
            if not left:
                raise
            time.sleep(0.01)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file as `replacing` does.

    Args:
        path: The file. A file of that name is replaced in one step; missing folders are made.
        data: What shall be in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_bytes(Path(folder) / "new" / "a.txt", b"hello")
        ...     [path.name for path in (Path(folder) / "new").iterdir()]
        ['a.txt']
    """
    with replacing(path) as partial:
        partial.write_bytes(data)


@contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let no other program that asks for the same lock into the block; it waits.

    For files that are read, changed and written back. The lock is the system's, on a hidden file
    beside it: whatever ends the program, kill -9 included, frees it. The hidden file stays.

    Args:
        path: The file that is going to be changed.

    Raises:
        OSError: If the folder takes no files, or its file system knows no locks.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with locked(Path(folder, "a.csv")):
        ...         [path.name for path in Path(folder).iterdir()]
        ['.a.csv.lock']
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _opened(path.with_name(f".{path.name}.lock"))
    except OSError as error:
        raise _named(error, path) from error
    with file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise _named(error, path) from error
        try:
            yield
        finally:
            _unlock(file.fileno())


def _opened(lock: Path) -> BinaryIO:
    """The file, made if need be; that of another user can only be read, which is enough."""
    try:
        return open(lock, "ab")
    except PermissionError:
        if not lock.exists():
            raise
        return open(lock, "rb")


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        while True:
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            except PermissionError:  # another one has it
                time.sleep(0.01)
            else:
                return

    def _unlock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def replacing_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a folder under another name beside it, then rename it; as `replacing` does a file.

    Args:
        folder: The folder. One of that name is replaced by two renamings; missing ones around it
            are made.

    Yields:
        An empty folder, to be written to.

    Raises:
        OSError: If it cannot be made, or the disk is full; it names `folder`. Other errors of the
            block stay what they are.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     with replacing_folder(Path(place, "new")) as partial:
        ...         _ = (partial / "a.txt").write_text("hello")
        ...     [path.name for path in Path(place).rglob("*")]
        ['new', 'a.txt']
    """
    folder = Path(folder)
    work = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    new, old = work / "new", work / "old"

    def clean() -> None:
        shutil.rmtree(work, ignore_errors=True)

    atexit.register(clean)  # a signal in the very step into the block reaches no `finally`
    try:
        try:
            new.mkdir(parents=True)
        except OSError as error:
            raise _named(error, folder) from error
        yield new
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    except BaseException as error:
        if old.exists() and not folder.exists():  # it came between the two
            os.replace(old, folder)
        if isinstance(error, Exception) and full_disk(error):
            raise _named(error, folder) from error
        raise
    finally:
        clean()
        atexit.unregister(clean)


def full_disk(error: Exception) -> str:
    """What the system calls it if a disk takes no more, in whatever words a library says so.

    Returns:
        That, or nothing if the error is another one.

    Example:
        >>> full_disk(OSError(errno.ENOSPC, "no room")), full_disk(ValueError("no number"))
        ('No space left on device', '')
    """
    names = [name for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG") if hasattr(errno, name)]
    for number in (getattr(errno, name) for name in names):
        if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
            return os.strerror(number)
    return ""


def _named(error: Exception, path: Path) -> OSError:
    """An error that names what somebody wanted to write, of the same kind if that is an OSError."""
    kind = type(error) if isinstance(error, OSError) else OSError
    reason = full_disk(error) or getattr(error, "strerror", None) or error
    named = kind(f"{str(path)!r} cannot be written: {reason}")
    named.errno = getattr(error, "errno", None)
    return named


def is_of_the_system(name: str) -> bool:
    """Whether a file manager puts a file of that name into folders, and nobody misses it.

    Example:
        >>> is_of_the_system(".DS_Store"), is_of_the_system("notes.txt")
        (True, False)
    """
    return name.lower() in _OF_THE_SYSTEM


def refuse_existing(
    path: str | os.PathLike[str], *, overwrite: bool = False, more: str = ""
) -> None:
    """Keep what is there, unless it may be replaced.

    Args:
        path: A file or folder that is to be written.
        overwrite: Whether it may be replaced.
        more: What else one can do, at the end of the message.

    Raises:
        FileExistsError: If it exists and must not be replaced.

    Example:
        >>> refuse_existing(Path(__file__).parent)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileExistsError: ...core' exists; choose another name, or replace it with overwrite=True ...
    """
    if not overwrite and Path(path).exists():
        raise FileExistsError(
            f"{os.fspath(path)!r} exists; choose another name, {OR_OVERWRITE}{more}"
        )


def check_writable(path: str | os.PathLike[str]) -> None:
    """See before the work, not after it, whether a file can be written. Nothing is left behind.

    A full disk, a used-up quota and a file system that is read-only are found out, too.

    Args:
        path: The file, in a folder that may have to be made.

    Raises:
        OSError: If it cannot, as a rule `IsADirectoryError`, `NotADirectoryError` or
            `PermissionError`.

    Example:
        >>> check_writable(Path(__file__).parent)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        IsADirectoryError: ...core' is a folder; choose another name
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder; choose another name")
    place = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(LEAST_ROOM))
    except OSError as error:
        if full_disk(error):
            raise _named(error, path) from None
        raise type(error)(
            f"{str(path)!r} cannot be written: {str(place)!r} takes no files ({error.strerror})"
        ) from None
