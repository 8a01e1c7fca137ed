"""The commands with a few images in each block, so that a small job has several; started by tests.

python -m tests.small_blocks predict stars ...
"""

from __future__ import annotations

from captcha_helpers.cli.main import main
from captcha_helpers.scaling import reading_rows

SMALL_BLOCK = 15

if __name__ == "__main__":
    reading_rows.CHUNK = reading_rows.BLOCK = SMALL_BLOCK
    main(prog_name="captcha-helpers")
