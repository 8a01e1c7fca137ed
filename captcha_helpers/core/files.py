"""Files: where the package keeps its own, and how to write one so that nobody meets half of it."""

from __future__ import annotations

import os
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "assets"
WEIGHTS = ASSETS / "weights"
WEB = ASSETS / "web"


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
