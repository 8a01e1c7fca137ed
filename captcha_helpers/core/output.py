"""Lines on standard output, whatever encoding it has."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line at once; what the output's encoding lacks is escaped.

    A file or a pipe on Windows takes the characters of one code page only, and labels have others.

    Args:
        text: The line, or several.

    Example:
        >>> say("30 images, labels of 4 characters")
        30 images, labels of 4 characters
    """
    encoding = sys.stdout.encoding or "utf-8"  # an io.StringIO has none
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
