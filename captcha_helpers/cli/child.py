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


def _end_with_parent(folder: str) -> None:
    with suppress(OSError):  # as Windows calls the end of a pipe
        os.read(0, 1)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    place, *command = sys.argv[1:]
    threading.Thread(target=_end_with_parent, args=(place,), daemon=True).start()

    from captcha_helpers.cli.main import main

    main(command, prog_name="captcha-helpers")
