"""Files in a folder, or in a store that fsspec knows: each is there as a whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from captcha_helpers.core.files import replacing, write_bytes

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def on_disk(files: AbstractFileSystem) -> bool:
    """Whether these are files of this machine.

    Example:
        >>> import fsspec
        >>> on_disk(fsspec.filesystem("file")), on_disk(fsspec.filesystem("memory"))
        (True, False)
    """
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(files, LocalFileSystem)


def listed(files: AbstractFileSystem, folder: str) -> dict[str, int]:
    """The names in a folder, and how long each file is; nothing if there is no folder.

    Example:
        >>> import fsspec
        >>> files = fsspec.filesystem("memory")
        >>> put(files, "/listed/a.txt", b"hello")
        >>> listed(files, "/listed"), listed(files, "/nowhere")
        ({'a.txt': 5}, {})
    """
    files.invalidate_cache()
    try:
        found = files.ls(folder, detail=True)
    except FileNotFoundError:
        return {}
    return {one["name"].rstrip("/").rpartition("/")[2]: one["size"] for one in found}


def put(files: AbstractFileSystem, path: str, data: bytes) -> None:
    """Write a file in one step: a store does so itself, a disk by a rename."""
    if on_disk(files):
        write_bytes(path, data)
    else:
        files.pipe_file(path, data)


@contextmanager
def written(files: AbstractFileSystem, path: str) -> Iterator[Path]:
    """Write a large file on this machine, which is then put to its place in one step.

    Args:
        files: Where `path` is.
        path: The file.

    Yields:
        What to write to.
    """
    if on_disk(files):
        with replacing(path) as partial:
            yield partial
        return
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        yield whole
        files.put_file(os.fspath(whole), path)
