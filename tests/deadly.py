"""Readings that end their process, which workers of Ray import.

A bug in a C library would do it, or a system that is short of memory.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from captcha_helpers.scaling import reading_rows

_read_chunk = reading_rows._read_chunk


def read_chunk(packed: Any, names: Sequence[str], fatal: Mapping[str, str]) -> Any:
    """Read as ever, but die of each file that has `deadly` in its name."""
    if any("deadly" in name for name in names if name not in fatal):
        os.kill(os.getpid(), signal.SIGKILL)
    return _read_chunk(packed, names, fatal)


def read_chunk_slowly(packed: Any, names: Sequence[str], fatal: Mapping[str, str]) -> Any:
    """Take so long for a chunk that whoever kills at random moments meets most of its parts."""
    time.sleep(0.2)
    rows = _read_chunk(packed, names, fatal)
    time.sleep(0.2)
    return rows


def read_chunk_once_killed(packed: Any, names: Sequence[str], fatal: Mapping[str, str]) -> Any:
    """Die at some image of each chunk, the first time that it is read."""
    tried = Path(f"{names[0]}.tried")
    if not tried.exists():
        tried.touch()
        _read_chunk(packed, names[: random.Random(tried.name).randrange(len(names))], fatal)
        os.kill(os.getpid(), signal.SIGKILL)
    return _read_chunk(packed, names, fatal)
