"""Waiting on a busy machine: counted in short waits, since clocks go on while a machine stands."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 900  # seconds


def end_of(process: subprocess.Popen[Any], seconds: int = PATIENCE) -> tuple[Any, Any]:
    """Wait until a process has ended; gives what it said on stdout and stderr.

    One that does not end shows where it is: `conftest` lets Python tell it after SIGABRT.
    """
    for _ in range(seconds):
        try:
            return process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            pass
    process.send_signal(signal.SIGABRT)
    raise AssertionError(f"it did not end in {seconds} s: {process.communicate()}")


def until(
    condition: Callable[[], object], said: Callable[[], object] = str, *, pause: float = 0.02
) -> None:
    """Wait until something is so; tells what `said` returns if it does not become so."""
    for _ in range(round(PATIENCE / pause)):
        if condition():
            return
        time.sleep(pause)
    raise AssertionError(f"not in {PATIENCE} s: {said()}")
