"""The service, over HTTP as people use it, and as they misuse it."""

from __future__ import annotations

import http.client
import http.server
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from captcha_helpers import Charset, ModelSpec, Recognizer, load
from captcha_helpers.serving.app import create_app, serve
from captcha_helpers.serving.slow_clients import ImpatientProtocol
from tests.patience import PATIENCE, until
from tests.servers import SPEC, browse, image_host, picture, read_greys, running, serving

pytestmark = pytest.mark.slow

KINDS = ["PNG", "JPEG", "GIF", "BMP", "WEBP"]
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with serving() as (url, _):
        yield url


@pytest.fixture(scope="module")
def client(service: str) -> Iterator[httpx.Client]:
    with browse(service) as client:
        yield client


def told(response: httpx.Response, status: int) -> str:
    """Check that a refusal is one that a program and a person understand."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    (key, detail), *more = response.json().items()
    assert key == "detail" and isinstance(detail, str) and detail and not more
    return detail


def raw(service: str, request: bytes, *, timeout: float = 20.0) -> bytes:
    """Send bytes as they are and return all that comes until the connection is closed."""
    host, port = service.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout) as connection:
        connection.sendall(request)
        answer = bytearray()
        while part := connection.recv(65536):
            answer += part
        return bytes(answer)


# What it is for


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_read_however_it_is_sent(client: httpx.Client, kind: str):
    image = picture("0729", kind)
    for request in (
        {"files": {"file": ("a.bin", image)}},
        {"content": image, "headers": {"Content-Type": f"image/{kind.lower()}"}},
        {"content": image, "headers": {"Content-Type": "application/octet-stream"}},
        {"content": image},
        {"content": iter([image[:9], image[9:]])},  # in chunks, without a length
    ):
        answer = client.post("/predict", **request)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["text"] == "0729" and 0.9 < body["confidence"] <= 1
        assert "".join(found["char"] for found in body["characters"]) == "0729"
        assert all(found["confidence"] > 0.9 for found in body["characters"])
        assert body["model"] == "model" and body["milliseconds"] > 0
        assert set(body) == {"text", "confidence", "characters", "model", "milliseconds"}


def test_a_batch_names_its_files_and_survives_a_bad_one(client: httpx.Client):
    images = [
        ("1.png", picture("1234")),
        ("2.gif", picture("2")[:50]),
        ("3.bmp", picture("5678", "BMP")),
    ]
    answer = client.post("/predict/batch", files=[("file", image) for image in images])
    assert answer.status_code == 200
    first, second, third = answer.json()["predictions"]
    assert (first["file"], first["status"], first["text"]) == ("1.png", 200, "1234")
    assert (second["file"], second["status"], set(second)) == (
        "2.gif",
        422,
        {"file", "status", "detail"},
    )
    assert (third["file"], third["status"], third["text"]) == ("3.bmp", 200, "5678")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"charset": "27", "length": "4"}, "2722"),
        ({"charset": "digits", "length": "4"}, "0729"),
        ({"charset": "lower,7", "ignore_case": "true"}, "7"),
        ({"length": "1-2"}, "07"),
    ],
)
def test_a_request_says_what_is_known_of_the_text(client: httpx.Client, asked: dict, text: str):
    answer = client.post("/predict", params=asked, content=picture("0729"), headers=PNG).json()
    assert answer["text"] == text
    assert 0 < answer["confidence"] <= 1
    assert ("'a', 'b'" in answer.get("warning", "")) == ("lower" in asked.get("charset", ""))
    batch = client.post("/predict/batch", params=asked, files=[("file", picture("0729"))]).json()
    assert batch["predictions"][0]["text"] == answer["text"]
    assert batch.get("warning") == answer.get("warning")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"charset": "é"}, "none of the characters 'é'"),
        ({"charset": ""}, "the charset is empty"),
        ({"length": "6-4"}, "the smaller number first"),
        ({"length": "four"}, "'four' is not a length; use 4 or 4-6"),
        ({"length": "900"}, "cannot hold 900 characters; ask for another length"),
        ({"ignore_case": "perhaps"}, "ignore_case: "),
    ],
)
def test_what_cannot_be_known_is_refused(client: httpx.Client, asked: dict, said: str):
    image = picture("0729")
    assert said in told(client.post("/predict", params=asked, content=image, headers=PNG), 422)
    assert said in told(client.post("/predict/batch", params=asked, files={"file": image}), 422)


def test_requests_with_different_masks_are_read_together(service: str):
    """Each gets its own, whatever batch it was in."""
    asked = ["0", "1", "2", "3"] * 8
    with browse(service) as client, ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda charset: client.post(
                "/predict", params={"charset": charset}, content=picture("0123"), headers=PNG
            ).json()["text"],
            asked,
        )
        assert list(answers) == asked


def test_the_pages_need_no_other_host(client: httpx.Client):
    for page in ("/ui", "/docs"):
        text = client.get(page).text
        assert "http:" not in text and "https:" not in text
        links = re.findall(r'(?:src|href)="([^":]+)"', text)
        assert len(links) >= 2
        for link in links:  # grows by what the scripts import
            answer = client.get(f"/{link}")
            assert answer.status_code == 200, link
            if link.endswith(".js"):
                links += [f"ui/{name}" for name in re.findall(r'from "./(.+)"', answer.text)]
                assert "javascript" in answer.headers["content-type"]
                assert "http:" not in answer.text and "https:" not in answer.text
    assert client.get("/").headers["location"] == "ui"


def test_health_and_metrics():
    with serving() as (url, _), browse(url) as client:
        assert client.get("/healthz").json() == {"status": "ok", "model": "model"}
        client.post("/predict", content=picture("1234"))
        client.post("/predict", content=b"no image")
        client.get("/made/up")
        lines = client.get("/metrics").text.splitlines()
    for line in (
        'captcha_requests_total{endpoint="/predict",status="200"} 1.0',
        'captcha_requests_total{endpoint="/predict",status="415"} 1.0',
        'captcha_requests_total{endpoint="other",status="404"} 1.0',
        'captcha_request_seconds_count{endpoint="/predict"} 2.0',
        "captcha_batch_images_count 1.0",
        "captcha_batch_images_sum 1.0",
        "captcha_queue_images 0.0",
    ):
        assert line in lines
    assert "made" not in "".join(lines)


# Images that are none, or worse


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.8, 0.95])
def test_truncated_images(client: httpx.Client, kind: str, share: float):
    image = picture("0729", kind, size=(640, 160))
    detail = told_one_of(client, image[: int(share * len(image))], {415, 422})
    assert "BytesIO" not in detail


def told_one_of(client: httpx.Client, image: bytes, statuses: set[int]) -> str:
    answer = client.post("/predict", content=image)
    assert answer.status_code in statuses, answer.text
    return told(answer, answer.status_code)


def png_of(width: int, height: int) -> bytes:
    """Write a PNG of 1 bit a pixel, row by row, in a few bytes: black below a line of white."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    line = b"\0" + (len(row) - 1) * b"\xff"
    rows = b"".join(packer.compress(row if y else line) for y in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_decompression_bombs_are_refused_unread(client: httpx.Client):
    bomb = png_of(10_000, 10_000)
    assert len(bomb) < 20_000
    begun = time.process_time()
    assert "4,000,000 pixels" in told(client.post("/predict", content=bomb), 413)
    assert time.process_time() - begun < 2  # to decode it takes longer
    told(client.post("/predict", content=png_of(2001, 2000)), 413)
    assert client.post("/predict", content=png_of(2000, 2000)).status_code == 200
    huge = bytearray(picture("1234", "GIF"))
    huge[6:10] = b"\xff\xff\xff\xff"
    told(client.post("/predict", content=bytes(huge)), 413)


def test_a_webp_of_large_canvas_is_refused(client: httpx.Client):
    # An extended header alone says how large the canvas is: 16384 x 16384.
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\xff\x3f\x00" * 2
    told_one_of(client, b"RIFF" + struct.pack("<I", len(body)) + body, {413, 415, 422})


def test_a_jpeg_of_very_many_scans_is_refused(client: httpx.Client):
    image = picture("1234", "JPEG")
    start = image.index(b"\xff\xda")
    many = image[:start] + 200 * image[start:-2] + image[-2:]
    assert "scans" in told(client.post("/predict", content=many), 422)


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("a.png", picture("1234"))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        b"<!doctype html><title>Not found</title>",
        archive(),
        b"%PDF-1.7",
        b"8BPS\0\1" + bytes(100),  # PSD
        b"P6 9999 9999 255 ",  # PPM
        b"\0",
        bytes(1000),
    ],
)
def test_what_is_no_image(client: httpx.Client, content: bytes):
    told(client.post("/predict", content=content, headers=PNG), 415)
    told(client.post("/predict", files={"file": ("a.png", content, "image/png")}), 415)


def test_a_tiny_image_is_told(client: httpx.Client):
    assert "4x4" in told(client.post("/predict", content=png_of(3, 3)), 422)


# Requests that are wrong


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/json", "application/x-www-form-urlencoded", "x"]
)
def test_wrong_content_types(client: httpx.Client, content_type: str):
    headers = {"Content-Type": content_type}
    detail = told(client.post("/predict", content=picture("1234"), headers=headers), 415)
    assert content_type in detail and "'file'" in detail
    told(client.post("/predict/batch", content=picture("1234"), headers=headers), 415)


def test_forms_without_the_one_field(client: httpx.Client):
    for files in (
        [("image", ("a.png", picture("1234")))],
        [("file", ("a.png", picture("1234"))), ("image", ("b.png", picture("1234")))],
        [("file", ("a.png", picture("1234"))), ("file", ("b.png", picture("1234")))],
        [("file", ("a.png", b""))],
    ):
        assert "'file'" in told(client.post("/predict", files=files), 400)
    told(client.post("/predict", files={"file": (None, picture("1234"))}), 400)
    told(client.post("/predict"), 400)
    told(client.post("/predict/batch", files=33 * [("file", ("a", b"a"))]), 400)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary",
        b"--b\r\n",
        b"--b--\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\na\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
        b"--b\r\n" + 5000 * b"X-More: 1\r\n" + b"\r\n\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="\xff"; filename=""\r\n\r\na\r\n--b--\r\n',
    ],
)
def test_damaged_forms(client: httpx.Client, body: bytes):
    for content_type in ("multipart/form-data; boundary=b", "multipart/form-data"):
        headers = {"Content-Type": content_type}
        told(client.post("/predict", content=body, headers=headers), 400)
        told(client.post("/predict/batch", content=body, headers=headers), 400)


def test_other_addresses_and_methods(client: httpx.Client):
    told(client.get("/nowhere"), 404)
    for path in ("/predict", "/predict/batch"):
        answer = client.get(path)
        detail = told(answer, 405)
        assert "takes POST, not GET" in detail and answer.headers["allow"] == "POST"
        assert f"curl -F file=@image.png {client.base_url}{path}" in detail and "/ui" in detail
    assert "takes GET" in told(client.post("/healthz"), 405)
    told(client.get("/ui/../service.py"), 404)


def test_large_uploads_are_refused(client: httpx.Client):
    large = picture("1234") + bytes(2_000_000)
    assert "2,000,000 bytes" in told(client.post("/predict", content=large), 413)
    told(client.post("/predict", content=iter([large[:100], large[100:]])), 413)
    told(client.post("/predict", files={"file": large}), 413)
    told(client.post("/predict/batch", files=[("file", large)]), 413)
    told(client.post("/predict/batch", files=6 * [("file", large[:1_900_000])]), 413)


def test_a_length_that_is_a_lie(service: str):
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    image = picture("1234")
    assert raw(service, head % 10**12 + image).startswith(b"HTTP/1.1 413 ")
    assert raw(service, head % 20 + image).startswith(b"HTTP/1.1 422 ")  # the rest is not read
    assert raw(service, head % -1 + image).startswith(b"HTTP/1.1 400 ")
    assert raw(service, b"POST /predict HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n").startswith(
        b"HTTP/1.1 400 "
    )


def test_very_many_headers_are_refused(service: str):
    """However they come: in one piece, or one by one."""
    few = b"".join(b"X-%d: 1\r\n" % number for number in range(100))
    large = b"".join(b"X-%d: %s\r\n" % (number, bytes(1000 * b"1")) for number in range(20))
    long = b"GET /healthz?" + 20_000 * b"a" + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for headers in (few, large):
        request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n"
        answer = raw(service, request)
        assert answer.startswith(b"HTTP/1.1 431 ") and b'{"detail": "the request has' in answer
    assert raw(service, long).startswith(b"HTTP/1.1 431 ")
    assert raw(service, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_form_of_very_many_chunks_holds_nobody_up(service: str, client: httpx.Client):
    head = (
        b"POST /predict/batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    host, port = service.removeprefix("http://").split(":")
    costs, done = [], threading.Event()

    def ask() -> None:
        with browse(service) as other:
            while not done.is_set():
                begun = time.process_time()
                assert other.get("/healthz").status_code == 200
                costs.append(time.process_time() - begun)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        for _ in range(3):
            with socket.create_connection((host, int(port)), 20) as connection, suppress(OSError):
                connection.sendall(head + 300_000 * b"1\r\na\r\n" + b"0\r\n\r\n")
                connection.recv(1000)
        done.set()
        asking.result()
    assert max(costs) < 2  # what the process did while one waited; it was three
    few = b"".join(b"1\r\n%c\r\n" % byte for byte in picture("1234")) + b"0\r\n\r\n"
    single = b"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    assert b'"text":"1234"' in raw(service, single + b"Transfer-Encoding: chunked\r\n\r\n" + few)


def test_a_batch_of_large_images_lets_others_come_between(client: httpx.Client, service: str):
    """The images of a request have a budget of pixels, and those of others come between them."""
    large = [("file", (f"{number}.png", png_of(2000, 2000))) for number in range(16)]
    with ThreadPoolExecutor(3) as pool, browse(service) as other:
        batches = [pool.submit(client.post, "/predict/batch", files=large) for _ in range(3)]
        between = 0
        while not all(batch.done() for batch in batches):
            assert other.post("/predict", content=picture("1234")).json()["text"] == "1234"
            between += 1
        for batch in batches:
            found = batch.result().json()["predictions"]
            assert [one["status"] for one in found] == 4 * [200] + 12 * [413]
            assert "16,000,000 pixels together" in found[-1]["detail"]
    assert between > 3


def test_an_endless_body_is_cut_off():
    class Quick(ImpatientProtocol):
        seconds = 0.5

    with serving(protocol=Quick) as (url, server):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 20) as connection:
            connection.sendall(
                b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            with pytest.raises(OSError):  # a reset, or a broken pipe
                for _ in range(100_000):
                    connection.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
        nobody_is_left(server)


def nobody_is_left(server: object) -> None:
    state = server.server_state
    until(
        lambda: not state.connections and not state.tasks, lambda: "it still holds on to somebody"
    )


def test_slow_clients_are_put_off():
    class Quick(ImpatientProtocol):
        seconds = 0.5

    with serving(protocol=Quick, upload_seconds=0.5) as (url, server):
        assert raw(url, b"") == b""
        assert raw(url, b"POST /predict HTT") == b""
        begun = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
        assert raw(url, begun + b"half").startswith(b"HTTP/1.1 408 ")
        # Somebody who goes on asking, slowly, after an answer
        answer = raw(url, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTT")
        assert answer.count(b"HTTP/1.1 200 ") == 1
        nobody_is_left(server)


def test_clients_that_take_no_answer_are_put_off():
    class Quick(ImpatientProtocol):
        seconds = 0.5

    async def talk(scope: dict, receive: object, send: Callable) -> None:
        """Answer with 100 MB."""
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            body = {"type": "http.response.body", "body": bytes(1_000_000), "more_body": True}
            await send(body)

    with running(talk, Quick) as (url, server), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = url.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: server.server_state.connections)
        nobody_is_left(server)


def test_somebody_who_leaves_in_the_middle_harms_nobody(service: str, client: httpx.Client):
    host, port = service.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    assert client.post("/predict", content=picture("1234")).json()["text"] == "1234"


# Many at a time


class Gate:
    """A model that waits until it is let through."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.sizes: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        self.entered.set()
        assert self.opened.wait(PATIENCE)
        return read_greys(images)


def wait_for_images(client: httpx.Client, images: int) -> None:
    until(lambda: f"captcha_queue_images {images}.0" in client.get("/metrics").text)


def test_requests_that_come_together_are_read_together():
    gate = Gate()
    texts = [f"{number:04}" for number in range(21)]
    with (
        serving(gate, batch_size=8) as (url, _),
        ThreadPoolExecutor(21) as pool,
        browse(url) as client,
    ):

        def read(text: str) -> str:
            return client.post("/predict", content=picture(text)).json()["text"]

        first = pool.submit(read, texts[0])
        assert gate.entered.wait(20)
        others = [pool.submit(read, text) for text in texts[1:]]
        wait_for_images(client, 21)
        time.sleep(1)  # the last one is being decoded
        gate.opened.set()
        assert [answer.result() for answer in (first, *others)] == texts
        assert gate.sizes[0] == 1 and max(gate.sizes) == 8 and len(gate.sizes) <= 5


def test_a_full_queue_says_when_to_come_again():
    gate = Gate()
    with (
        serving(gate, queue_size=2) as (url, _),
        ThreadPoolExecutor(2) as pool,
        browse(url) as client,
    ):
        accepted = [pool.submit(client.post, "/predict", content=picture("1234")) for _ in range(2)]
        wait_for_images(client, 2)
        refused = client.post("/predict", content=picture("1234"))
        assert "waiting" in told(refused, 503)
        assert refused.headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
        gate.opened.set()
        assert [answer.result().json()["text"] for answer in accepted] == ["1234", "1234"]
        assert client.post("/predict", content=picture("1234")).status_code == 200


def test_64_clients_get_each_their_own_answer(service: str):
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    with (
        httpx.Client(base_url=service, timeout=60, verify=False, limits=limits) as client,
        ThreadPoolExecutor(64) as pool,
    ):

        def post(image: bytes) -> httpx.Response:
            for _ in range(3):  # on a busy machine a connection may wait too long for its request
                with suppress(httpx.TransportError):
                    return client.post("/predict", content=image)
            return client.post("/predict", content=image)

        def read(number: int) -> bool:
            text = f"{number:04}"
            answers = (post(picture(text)) for _ in range(3))
            return all(answer.json()["text"] == text for answer in answers)

        assert all(pool.map(read, range(0, 6400, 100)))


def test_a_model_that_fails_is_told_and_not_the_end():
    def fails_at_nine(images: np.ndarray) -> np.ndarray:
        if images.max() > 250:
            raise RuntimeError("a path on the server")
        return read_greys(images)

    with serving(fails_at_nine) as (url, _), browse(url) as client:
        detail = told(client.post("/predict", content=picture("1239")), 503)
        assert "path" not in detail
        assert client.post("/predict", content=picture("1234")).json()["text"] == "1234"


# Images at a URL


def answer(request: http.server.BaseHTTPRequestHandler) -> None:
    bodies = {"/a.png": picture("0729"), "/page": b"<html>", "/large": bytes(2_000_001)}
    request.send_response(200)
    request.end_headers()
    with suppress(OSError):  # the service may have had enough
        request.wfile.write(bodies[request.path])


def test_images_at_a_url():
    with (
        image_host(answer) as port,
        serving(allow_url_hosts=[f"127.0.0.1:{port}"]) as (url, _),
        browse(url) as client,
    ):

        def get(wanted: str) -> httpx.Response:
            return client.get("/", params={"url": wanted})

        read = get(f"http://127.0.0.1:{port}/a.png")
        assert read.status_code == 200 and read.text == "0729"
        assert read.headers["content-type"] == "text/plain; charset=utf-8"
        told(get(f"http://127.0.0.1:{port}/page"), 415)
        told(get(f"http://127.0.0.1:{port}/large"), 413)
        told(get("http://127.0.0.1/a.png"), 403)
        told(get(f"http://localhost:{port}/a.png"), 403)
        told(get("file:///etc/passwd"), 400)


def test_by_default_no_url_is_fetched(client: httpx.Client):
    assert "--allow-url-host" in told(client.get("/?url=http://127.0.0.1/a.png"), 403)


# Whatever somebody thinks of

EXPECTED = {200, 400, 413, 415, 422}


@settings(max_examples=60)
@given(st.data())
def test_any_bytes_are_answered(client: httpx.Client, data: st.DataObject):
    image = bytearray(picture("0729", data.draw(st.sampled_from(KINDS))))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(image) - 1), st.integers(0, 255)), max_size=8)
    ):
        image[place] = byte
    for content in (bytes(image), data.draw(st.binary(max_size=300))):
        response = client.post("/predict", content=content, headers=PNG)
        assert response.status_code in EXPECTED, response.text


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                b"--b",
                b"--",
                b"\r\n",
                b"\n",
                b'Content-Disposition: form-data; name="file"; ',
                b'filename="a"',
                b"Content-Type: image/png",
                b": ",
                b"\xff",
                b"GIF89a",
                b"\0",
            ]
        )
        | st.binary(max_size=10),
        max_size=20,
    ).map(b"".join)
)
def test_any_form_is_answered(client: httpx.Client, body: bytes):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for path in ("/predict", "/predict/batch"):
        response = client.post(path, content=b"--b\r\n" + body, headers=headers)
        assert response.status_code in EXPECTED, response.text


DOCUMENT = openapi.from_dict(create_app(Recognizer(read_greys, SPEC)).openapi())


@DOCUMENT.parametrize()
@settings(max_examples=15)
def test_the_service_keeps_to_its_openapi_document(service: str, case: Case):
    case.call_and_validate(
        base_url=service,
        allow_redirects=False,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )


# The process


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from captcha_helpers import pretrained_start  # these import Keras
    from captcha_helpers.exporting.onnx_graph import build_onnx

    spec = ModelSpec("0123456789", (4, 6), 48, 160)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(
        build_onnx(pretrained_start(Charset(spec.charset), length=6, start="pretrained"), spec)
    )
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_the_process_reads_without_tensorflow_and_ends_in_order(onnx_file: Path, root: Path):
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'cv2'): sys.modules[name] = None\n"
        "from captcha_helpers.serving import app as service\n"
        "service.serve(sys.argv[1], port=0)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(onnx_file)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        images = sorted((root / "captcha_images" / "stars").glob("*.png"))[:3]
        reader = load(onnx_file)
        with browse(url) as client:
            client.get("/healthz")
            seconds = (client.get("/healthz").elapsed.total_seconds() for _ in range(200))
            assert any(one < 0.035 for one in seconds)  # else the system holds each back for 40 ms
        for image in images:
            answer = httpx.post(f"{url}/predict", files={"file": image.read_bytes()}, timeout=30)
            assert answer.json()["text"] == reader.read(image).text
            assert answer.json()["model"] == "model.onnx"
        httpx.get(f"{url}/?url=http://secret.example/")

        # An upload is under way when the signal comes: it is still answered.
        content, (host, port) = images[0].read_bytes(), url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 30) as connection:
            connection.sendall(
                b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content)
            )
            connection.sendall(content[:50])
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(OSError):  # soon nobody new is let in
                for _ in range(600):
                    time.sleep(0.1)
                    socket.create_connection((host, int(port)), 5).close()
            connection.sendall(content[50:])
            answer = b""
            while part := connection.recv(65536):
                answer += part
            assert b'"text"' in answer
        assert process.wait(20) == 0
        assert process.stdout.read() == ""  # no request was logged
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


SERVE_GREYS = """
import sys, time
import numpy as np
from captcha_helpers import Recognizer
from captcha_helpers.serving import app
from tests.servers import SPEC, read_greys

def slowly(images):
    time.sleep(0.02)
    return read_greys(images)

app.load = lambda *model, **known: Recognizer(slowly, SPEC)
app.serve("model.onnx", port=0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize(
    ("end", "keep_alive"),
    [("SIGTERM", True), ("SIGTERM", False), ("SIGINT", True), ("SIGHUP", True)],
)
def test_a_signal_under_load_loses_nothing_that_was_sent_before(
    root: Path, end: str, keep_alive: bool
):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE_GREYS],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    signalled, answers = [float("inf")], []
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        with ThreadPoolExecutor(32) as pool:
            clients = [
                pool.submit(ask_until_the_end, url, number, keep_alive, signalled, answers)
                for number in range(32)
            ]
            while len(answers) < 200:
                assert process.poll() is None and not any(client.done() for client in clients)
                time.sleep(0.01)
            signalled[0] = time.monotonic()
            process.send_signal(getattr(signal, end))
            lost = sum(client.result() for client in clients)
        assert process.wait(60) == 0
        assert lost == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask_until_the_end(
    url: str, number: int, keep_alive: bool, signalled: list[float], answers: list[str]
) -> bool:
    """Send images until nobody answers any more; note the answers, and give whether one was lost.

    Lost is what had been sent when the signal came and was not answered.
    """
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {} if keep_alive else {"Connection": "close"}
    image = picture(f"{number:04}")
    while True:
        sent = float("inf")
        try:
            connection.request("POST", "/predict", image, headers)
            sent = time.monotonic()
            text = json.load(connection.getresponse())["text"]
        except (OSError, http.client.HTTPException):
            return sent < signalled[0]
        assert text == f"{number:04}"
        answers.append(text)


def test_an_address_in_use_is_told_before_the_model_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} .*choose another port"):
            serve("nowhere.onnx", port=port)
    with pytest.raises(OSError, match="cannot listen"):
        serve("nowhere.onnx", port=70_000)
    with pytest.raises(FileNotFoundError, match="no model file"):
        serve("nowhere.onnx", port=0)


@pytest.mark.parametrize("package", ["fastapi", "httpcore"])
def test_a_missing_package_is_told(package: str, root: Path):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "try:\n    import captcha_helpers.serving.app\n"
        "except ImportError as error:\n    print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert f"{package}, which is not installed: " in said and "pip install " in said


def test_the_container_file_has_both_targets_and_no_root(root: Path):
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    stages = re.split(r"^FROM ", text, flags=re.M)[1:]
    targets = {stage.split()[2]: stage for stage in stages}
    assert {"lab", "service"} <= set(targets)
    for name in ("lab", "service"):
        users = re.findall(r"^USER (\S+)$", targets[name], re.M)
        assert users and users[-1] not in ("root", "0")
        assert re.search(r"^(CMD|ENTRYPOINT) \[", targets[name], re.M)
