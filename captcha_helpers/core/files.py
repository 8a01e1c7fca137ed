"""Files: where the package keeps its own, and how to write one so that nobody meets half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "assets"
WEIGHTS = ASSETS / "weights"
WEB = ASSETS / "web"
OR_OVERWRITE = "or replace it with overwrite=True (--overwrite)"  # how every refusal ends


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file under another name in the same folder, then rename it.

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
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise type(error)(
            f"{str(path)!r} cannot be written: {str(place)!r} takes no files ({error.strerror})"
        ) from None
