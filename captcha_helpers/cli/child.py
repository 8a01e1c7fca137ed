"""A verb that ends with the program that started it, even if that one is killed.

``python -m captcha_helpers.cli.child FOLDER VERB ...``: standard input is a pipe to which that
program writes nothing, so it ends when the program has. FOLDER, in which the verb works, is deleted
then.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path

from captcha_helpers.core.files import WORK_PREFIX


def _end_with_parent(pipe: int, folder: str) -> None:
    with suppress(OSError):  # as Windows calls the end of a pipe
        os.read(pipe, 1)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _without_input() -> int:
    """Move the pipe from standard input: Windows imports no NumPy while that is being read."""
    pipe, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


if __name__ == "__main__":
    place, *command = sys.argv[1:]
    if not Path(place).name.startswith(WORK_PREFIX):
        sys.exit(f"Error: {place!r} would be deleted; its name must begin with {WORK_PREFIX}")
    threading.Thread(target=_end_with_parent, args=(_without_input(), place), daemon=True).start()

    from captcha_helpers.cli.main import main

    main(command, prog_name="captcha-helpers")
