"""One HTTP connection, bounded in time and number. uvicorn has no deadline for a request's head, none for a client that
does not read its answer, and no way to make room. Used by `http_server`."""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN: Final = 10.0  # seconds from the connection, or from the answer before, to the end of a head
READ_WITHIN: Final = 30.0  # seconds without a byte read, for a client with more to read than the system keeps for it
MOST_CONNECTIONS: Final = 500  # of one server
_NOT_HTTP: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
    b"Content-Length: 32\r\nConnection: close\r\n\r\nthis is not a valid HTTP request"
)
REFUSED_AFTER: Final = 1.0  # seconds in which who sends what is not HTTP cannot send more
_FREE_PIECES: Final = 100
_BYTES_A_PIECE: Final = 64


class Strict(h11.Connection):
    """Refuses what two readers could understand differently (RFC 9112 §6.3), and bodies in crumbs: each is work."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER)
        self._pieces = self._bytes = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Raises h11.RemoteProtocolError."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._pieces = self._bytes = 0
            _unambiguous(event)
        elif isinstance(event, h11.Data):
            self._pieces += 1
            self._bytes += len(event.data)
            if self._pieces > _FREE_PIECES + self._bytes / _BYTES_A_PIECE:
                raise h11.RemoteProtocolError("a body in too small pieces")
        return event


def _unambiguous(request: h11.Request) -> None:
    names = [name for name, _ in request.headers]
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version < b"1.1"):
        raise h11.RemoteProtocolError("Transfer-Encoding beside Content-Length, or before HTTP/1.1")


class Connection(H11Protocol):
    """Closed when a head does not come or an answer is not read. When there are as many as may be, a new one takes the
    place of the one that has waited longest for its next head, or goes when none waits."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = Strict()
        self._head: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._refusing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        full = len(self.connections) >= MOST_CONNECTIONS
        super().connection_made(transport)  # type: ignore[arg-type]  # as uvicorn has it
        if full:
            self._make_room()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head, self._reading, self._refusing):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the reason is for nobody
        """Of what is not HTTP. In the middle of an answer there is no way to say so."""
        if self._refusing is None:
            self.transport.pause_reading()
            self._refusing = self.loop.call_later(REFUSED_AFTER, self._refuse)

    def _refuse(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_NOT_HTTP)
            self.transport.close()
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    @property
    def waiting(self) -> float | None:
        """Since when, by the loop's clock, for the end of a head; None while a request is under way."""
        return None if self._head is None else self._head.when() - HEAD_WITHIN

    def _watch(self) -> None:
        """From an answer to the next head the clock runs on, whatever arrives meanwhile."""
        under_way = self.cycle is not None and not self.cycle.response_complete
        if under_way and self._head is not None:
            self._head.cancel()
            self._head = None
        elif not under_way and self._head is None:
            self._head = self.loop.call_later(HEAD_WITHIN, self.transport.abort)

    def _make_room(self) -> None:
        waiting = {each: each.waiting for each in self.connections if isinstance(each, Connection)}
        since = {each: when for each, when in waiting.items() if when is not None}
        oldest = min(since, key=since.__getitem__, default=self)
        oldest.transport.abort()
