"""Lines come out whatever encoding the output has."""

from __future__ import annotations

import io
import sys

import pytest

from captcha_helpers.core.output import say


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "ö漢\n".encode()),
        ("cp936", b"\\xf6" + "漢\n".encode("cp936")),
        ("cp1252", b"\xf6\\u6f22\n"),
        ("ascii", b"\\xf6\\u6f22\n"),
    ],
)
def test_what_the_encoding_lacks_is_escaped(
    encoding: str, written: bytes, monkeypatch: pytest.MonkeyPatch
):
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, encoding, newline="\n"))
    say("ö漢")
    assert file.getvalue() == written


def test_an_output_in_memory_has_no_encoding(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    say("ö漢")
    assert sys.stdout.getvalue() == "ö漢\n"
