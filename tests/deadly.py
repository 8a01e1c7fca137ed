"""A decoder that some pictures crash, as a bug in a C library would; workers of Ray import it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from captcha_helpers.scaling import reading_rows

_read_chunk = reading_rows._read_chunk


def read_chunk(packed: Any, names: Sequence[str], fatal: Mapping[str, str]) -> Any:
    """Read as ever, but die of each file that has `deadly` in its name."""
    if any("deadly" in name for name in names if name not in fatal):
        os.kill(os.getpid(), signal.SIGKILL)
    return _read_chunk(packed, names, fatal)
