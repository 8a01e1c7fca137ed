"""How long the campaigns go on, and what they write of it.

CAPTCHA_HELPERS_SOAK is how many seconds each part of a campaign takes. CAPTCHA_HELPERS_REPORT names
a page, between whose marks the figures are written; `make soak` sets both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PARTS = 5


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, str]]:
    """What each part has counted, by what it is; written into the page at the end."""
    found: dict[str, str] = {}
    yield found
    page = os.environ.get("CAPTCHA_HELPERS_REPORT")
    if page and len(found) == PARTS:
        rows = "".join(f"| {what} | {count} |\n" for what, count in found.items())
        seconds = float(os.environ["CAPTCHA_HELPERS_SOAK"])
        table = f"| in {seconds:,.0f} seconds each | |\n|---|---|\n{rows}"
        text = Path(page).read_text(encoding="utf-8")
        text = re.sub(
            r"(?<=<!-- soak -->\n).*?(?=<!-- /soak -->)", lambda _: table, text, flags=re.S
        )
        Path(page).write_text(text, encoding="utf-8")
