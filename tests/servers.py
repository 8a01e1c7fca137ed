"""Servers on free ports of this machine, for the tests of the service."""

from __future__ import annotations

import http.server
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import uvicorn
from PIL import Image

from captcha_helpers import ModelSpec, Recognizer
from captcha_helpers.serving.app import create_app
from captcha_helpers.serving.slow_clients import ImpatientProtocol
from tests.patience import until

SPEC = ModelSpec("0123456789", (4, 4), 16, 64, "per_position")


def read_greys(images: np.ndarray) -> np.ndarray:
    """Logits of a model that reads four columns of grey, 0 to 9."""
    greys = images.reshape(len(images), 16, 4, 16).mean(axis=(1, 3))
    return 9.0 * np.eye(11)[(greys / 28).round().astype(int) + 1]


def picture(text: str, kind: str = "PNG", size: tuple[int, int] = (64, 16)) -> bytes:
    """Draw what `read_greys` reads as this text."""
    greys = np.array([28 * int(char) for char in text], np.uint8).repeat(16)
    file = io.BytesIO()
    pixels = np.tile(greys, (16, 1))
    pixels[0, 0] += 1  # or four times the same digit would be an empty image
    image = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
    image.convert("RGB").save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def browse(url: str) -> httpx.Client:
    """Return a client of the service; it needs no certificates, whose loading takes long."""
    return httpx.Client(base_url=url, timeout=60, verify=False)


@contextmanager
def serving(
    run: Callable[[np.ndarray], np.ndarray] = read_greys,
    protocol: type[ImpatientProtocol] = ImpatientProtocol,
    **options: object,
) -> Iterator[tuple[str, uvicorn.Server]]:
    """Run the service in a thread; gives its URL."""
    with running(create_app(Recognizer(run, SPEC), **options), protocol) as running_service:
        yield running_service


@contextmanager
def running(
    app: Callable, protocol: type[ImpatientProtocol], listener: socket.socket | None = None
) -> Iterator[tuple[str, uvicorn.Server]]:
    """Run an application in a thread, on a free port if no other is given; gives its URL."""
    config = uvicorn.Config(
        app, port=0, http=protocol, ws="none", log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener] if listener else None,))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the service did not start"
            time.sleep(0.01)
        port = (listener or server.servers[0].sockets[0]).getsockname()[1]
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.should_exit = True
        until(lambda: not thread.is_alive(), lambda: "the service did not stop")


@contextmanager
def image_host(
    answer: Callable[[http.server.BaseHTTPRequestHandler], None],
) -> Iterator[int]:
    """Run somebody else's web server, which `answer` plays; gives its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
