"""Let no client hold the service up: not by being slow, nor by how it cuts a request to pieces.

uvicorn itself waits without end, and takes headers and chunks of any number. How long the body of a
request may take is up to `serving.uploads`; here it is about what comes before and after.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from captcha_helpers.core.extras import needs

try:
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ModuleNotFoundError as error:
    raise ImportError(needs(f"Serving needs {error.name}", "serve")) from error


MAX_HEADERS = 64
MAX_HEADER_BYTES = 16_000  # of all of them and the address together
MAX_CHUNKS = 5_000  # of a body; browsers send none, and programs a chunk for some kilobytes


class _Connection(h11.Connection):
    """Refuses requests in very many pieces, each of which costs time however small it is."""

    refusal = 400, "this is not a request in HTTP/1.1"
    chunks = 0

    def next_event(self) -> Any:
        """The next event, as h11 has it."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunks = 0
            size = len(event.target) + sum(len(name) + len(value) for name, value in event.headers)
            if len(event.headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
                self.refusal = (
                    431,
                    f"the request has more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES:,} "
                    "bytes of them",
                )
                raise h11.RemoteProtocolError("too many headers", 431)
        elif isinstance(event, h11.Data):
            self.chunks += 1
            if self.chunks > MAX_CHUNKS:
                self.refusal = 400, f"the body comes in more than {MAX_CHUNKS:,} chunks"
                raise h11.RemoteProtocolError("too many chunks", 400)
        return event


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose client does not go on, or sends too many pieces.

    A client has `seconds` to send the headers of its first request, as long after each answer for
    the next one (whatever else it sends meanwhile), and as long to take what it is sent.
    """

    seconds = 10.0

    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn: _Connection = _Connection(h11.SERVER, 2 * MAX_HEADER_BYTES)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait_for_request()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's own, which is vague
        """Say what is wrong as the service says everything else, and close the connection."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer is under way
            self.transport.abort()
            return
        status, detail = self.conn.refusal
        body = json.dumps({"detail": detail}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

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
