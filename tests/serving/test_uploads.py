"""Uploads: what a request may hold, and what each fault is answered with."""

from __future__ import annotations

import asyncio
import time
import unittest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request

from captcha_helpers.serving import uploads
from captcha_helpers.serving.uploads import MAX_BYTES, Upload, Uploads

BOUNDARY = "a-line-between"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*files: bytes, field: str = "file", name: str = "a.png") -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + data
        + b"\r\n"
        for data in files
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def sent(
    body: bytes, content_type: str, *, chunk: int = 1000, most: int = 3, max_bytes: int = 10_000
) -> list[Upload]:
    """Send a body in chunks, as a server would hand it over."""
    chunks = [body[i : i + chunk] for i in range(0, len(body), chunk)] or [b""]

    async def receive() -> dict:
        data = chunks.pop(0)
        return {"type": "http.request", "body": data, "more_body": bool(chunks)}

    scope = {"type": "http", "headers": [(b"content-type", content_type.encode())]}
    return asyncio.run(Uploads().files(Request(scope, receive), most=most, max_bytes=max_bytes))


def refused(body: bytes, content_type: str, **options: int) -> HTTPException:
    with pytest.raises(HTTPException) as error:
        sent(body, content_type, **options)
    return error.value


@settings(deadline=None, max_examples=40)
@given(
    files=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=3),
    chunk=st.integers(50, 400),
)
def test_the_bytes_of_a_form_arrive_as_they_were_however_they_are_cut(
    files: list[bytes], chunk: int
):
    assert [file.data for file in sent(form(*files), FORM, chunk=chunk)] == files


@pytest.mark.parametrize("kind", ["image/png", "image/webp", "application/octet-stream", ""])
def test_an_image_without_a_form_is_taken(kind: str):
    assert sent(b"some bytes", kind) == [Upload("", b"some bytes")]


def test_the_name_of_a_file_is_kept():
    assert sent(form(b"1", name="ü 1.png"), FORM)[0].name == "ü 1.png"


@pytest.mark.parametrize(
    "body, kind, status, said",
    [
        (b"{}", "application/json", 415, "'application/json'"),
        (b"", "image/png", 400, "nothing in the upload"),
        (form(b""), FORM, 400, "nothing in the upload"),
        (form(b"1", field="picture"), FORM, 400, "'picture'"),
        (form(b"1", b"2", b"3", b"4"), FORM, 400, "more than 3 files"),
        (b"no form at all", FORM, 400, "damaged"),
        (form(b"1"), "multipart/form-data", 400, "damaged"),
        (form(b"1" * 111_000), FORM, 413, "more than 110,000 bytes"),
        (b"1" * (MAX_BYTES + 1), "image/png", 413, "more than 2,000,000 bytes"),
    ],
)
def test_each_fault_has_its_answer(body: bytes, kind: str, status: int, said: str):
    error = refused(body, kind, chunk=100_000)
    assert error.status_code == status and said in error.detail


def test_bodies_share_one_limit_and_give_their_memory_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "_TOGETHER", 5000)
    error = refused(b"1" * 6000, "image/png")
    assert error.status_code == 503 and error.headers == {"Retry-After": "1"}
    assert sent(b"1" * 4000, "image/png")  # nothing of the one before is still counted


def test_a_form_full_of_near_boundaries_is_refused_at_once():
    """Each costs the parser as much as a thousand other bytes."""
    body = form(b"\r\n--a-line-between\r" * 400_000)
    begun = time.process_time()
    assert refused(body, FORM, chunk=1_000_000, max_bytes=10_000_000).status_code == 400
    assert time.process_time() - begun < 3


def test_a_form_without_a_boundary_makes_no_noise():
    with pytest.raises(AssertionError, match="no logs"), unittest.TestCase().assertLogs():
        for kind in ("multipart/form-data", "multipart/form-data; boundary="):
            assert "boundary" in refused(form(b"1"), kind).detail


def test_a_client_that_stops_sending_is_let_go():
    async def receive() -> dict:
        await asyncio.sleep(10)
        return {"type": "http.disconnect"}

    scope = {"type": "http", "headers": [(b"content-type", b"image/png")]}
    with pytest.raises(HTTPException) as error:
        asyncio.run(Uploads(seconds=0.05).files(Request(scope, receive), most=1, max_bytes=100))
    assert error.value.status_code == 408
