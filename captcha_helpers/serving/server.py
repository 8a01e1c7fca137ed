"""Run the service until a signal ends it, and answer before what was sent until then."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

try:
    import uvicorn
except ModuleNotFoundError as error:
    raise ImportError(
        f"to serve you need {error.name}, which is not installed: "
        'pip install "captcha-helpers[serve]"'
    ) from error


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
