"""Let no client hold a connection for ever by being slow; uvicorn itself waits without end.

How long the body of a request may take is up to `serving.uploads`; here it is about what
comes before and after.
"""

from __future__ import annotations

import asyncio

from captcha_helpers.core.extras import needs

try:
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Serving needs {error.name}", "serve")) from error


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose client does not go on.

    A client has `seconds` to send the headers of its first request, as long after each answer for
    the next one (whatever else it sends meanwhile), and as long to take what it is sent.
    """

    seconds = 10.0

    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_request()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._wait_for_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait until the client has taken what it was sent."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has taken it."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()

    def _wait_for_request(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.seconds, self._close_if_none_came, self.cycle)

    def _close_if_none_came(self, latest: object) -> None:
        if self.cycle is latest:
            self.transport.abort()
