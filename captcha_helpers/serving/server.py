"""Run the service until a signal ends it, and answer before what was sent until then."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from captcha_helpers.core.extras import needs

try:
    import uvicorn
    from starlette.types import ASGIApp
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Serving needs {error.name}", "serve")) from error

from captcha_helpers.serving.slow_clients import ImpatientProtocol

_DRAIN_SECONDS = 30


class PatientServer(uvicorn.Server):
    """Ends after Ctrl-C, SIGTERM or SIGHUP, when all that was sent before it is answered.

    uvicorn itself closes at once the connections on which it has not yet begun to read, and ends
    with the signal instead of exit code 0. A second Ctrl-C waits for nobody.
    """

    linger = 0.25  # seconds in which whatever has arrived is accepted and read

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Note that a signal came; it is not raised again at the end."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals, a lost terminal's too unless somebody ignores it (nohup)."""
        with super().capture_signals():
            hangup = getattr(signal, "SIGHUP", None)  # Windows has none
            main = threading.current_thread() is threading.main_thread()
            if hangup is None or not main or signal.getsignal(hangup) is signal.SIG_IGN:
                yield
                return
            before = signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hangup, before)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Read what has arrived, let nobody new in, and wait until all have their answers."""
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        await asyncio.sleep(self.linger)
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Take an address, before a model is loaded, so that a wrong one is told at once.

    Args:
        host: The address to listen at.
        port: The port; 0 takes a free one.

    Returns:
        The socket.

    Raises:
        OSError: If the address cannot be used, most often because something else listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off, which costs 40 ms an answer, where it is told TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two services take the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(
            f"cannot listen at {host!r}, port {port} ({error}); choose another port, or end what "
            "listens there"
        ) from None
    return listener


def url_of(host: str, listener: socket.socket) -> str:
    """The address at which a browser reaches what listens there."""
    address = f"[{host}]" if ":" in host else host
    return f"http://{address}:{listener.getsockname()[1]}"


def run(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C, SIGTERM or SIGHUP.

    Args:
        app: What answers.
        listener: Where, see `listen`.
    """
    server_of(app).run(sockets=[listener])


def server_of(app: ASGIApp) -> PatientServer:
    """Make the server of an application; its `run` answers, until `should_exit` is set.

    Args:
        app: What answers.

    Returns:
        The server.
    """
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    return PatientServer(config)
