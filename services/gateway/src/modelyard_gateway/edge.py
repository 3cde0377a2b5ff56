"""In each door, before a route sees the request: who may come in, how much of it is read, and what is said when
something fails that no handler of the door expects. Plain ASGI: streams stay streams."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard_contracts.failures import Away, Failure
from modelyard_contracts.json_text import crowded
from modelyard_gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    Crowded,
    EncodedBody,
    OtherBody,
    unavailable,
    unexpected,
)

log = structlog.get_logger()

PAUSE: Final = 1.0  # seconds in a caller's own lane for what is too much, or large and refused: that is work too
LARGE: Final = 16 * 1024  # bytes
TURN: Final = 0.02  # seconds for the others, after a large body was looked through
BODY_WITHIN: Final = 20.0  # seconds from head to end
MOST_VALUES: Final = 10_000  # in one body
_FEWER_FILES: Final = "of an upload every file has three: pack many files into one archive, many samples into one .npz"
MOST_PARAMETERS: Final = 100  # in one query
_STREAM: Final = b"text/event-stream"


class Place(Protocol):
    """What a caller takes while it is served. Leaving twice is harmless."""

    def leave(self, sent: int) -> None:
        """`sent` bytes were answered."""


@dataclass(frozen=True)
class Admitted:
    """`body_sha256`: in hexadecimal, of the only body that is taken, where the caller has signed it."""

    place: Place
    body_sha256: str | None = None


Read = Callable[[], Awaitable[bytes]]
"""The body, within bounds; it can be asked for again. Raises Failure."""
Admit = Callable[[Request, Read], Awaitable[Admitted]]
"""Knows the caller, and waits until it may be served. Raises Failure."""


class Edge:
    """A caller is admitted before its body is read, unless `admit` cannot know it without. Refusals have the door's own
    shape (`refuse`)."""

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        refuse: Callable[[Request, Failure], Response],
        admit: Admit | None = None,
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.refuse = refuse
        self.admit = admit
        self._looking = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer = _Answer(send, headed=scope["method"] == "HEAD")
        try:
            await self._serve(request, answer)
        except ClientDisconnect:
            return
        except Failure as failure:
            await answer.unless_begun(self.refuse(request, failure), request)
        except Away as away:
            log.warning("request.unanswerable", reason=str(away), method=scope["method"], path=scope["path"])
            await answer.unless_begun(self.refuse(request, unavailable()), request)
        except Exception:
            log.exception("request.failed", method=scope["method"], path=scope["path"])
            await answer.unless_begun(self.refuse(request, unexpected()), request)
        finally:
            answer.end()

    async def _serve(self, request: Request, answer: "_Answer") -> None:
        read = _Body(request, self.max_body_bytes, pause=PAUSE if self.admit else 0)
        admitted = None
        if self.admit is not None:
            admitted = await self.admit(request, read)
            answer.place = admitted.place
        body = await read()
        if admitted and admitted.body_sha256 and hashlib.sha256(body).hexdigest() != admitted.body_sha256:
            raise OtherBody
        await self._look_through(body, request.url.path)
        scope = {**request.scope, "method": "GET"} if answer.headed else request.scope
        await self.app(scope, _repeated(body, request.receive), answer.send)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or (400 <= answer.status < 500 and len(body) >= LARGE):
            await asyncio.sleep(PAUSE)

    async def _look_through(self, body: bytes, path: str) -> None:
        """Large bodies one after the other, with the others' turn in between. Raises Crowded."""
        if len(body) < LARGE:
            too_much = crowded(body, MOST_VALUES)
        else:
            async with self._looking:
                too_much = crowded(body, MOST_VALUES)
                await asyncio.sleep(TURN)
        if too_much:
            await asyncio.sleep(PAUSE if self.admit else 0)
            advice = _FEWER_FILES if path.endswith("/uploads") else "send less at once"
            raise Crowded("values (fields, items, objects and lists)", "body", MOST_VALUES, advice)


class _Body:
    """Read when it is first asked for. What is out of bounds is told after a pause (seconds), in its sender's lane."""

    def __init__(self, request: Request, most: int, pause: float) -> None:
        self._request, self._most, self._pause = request, most, pause
        self._whole: bytes | None = None

    async def __call__(self) -> bytes:
        """Raises Failure, and ClientDisconnect."""
        if self._whole is None:
            try:
                _within_bounds(self._request, self._most)
                self._whole = await _body_of(self._request, self._most)
            except Failure:
                await asyncio.sleep(self._pause)
                raise
        return self._whole


class _Answer:
    """What goes back. An event stream has bounds of its own: with its head it leaves the place of a request."""

    def __init__(self, send: Send, headed: bool) -> None:
        self.headed = headed
        self.place: Place | None = None
        self.status = 0
        self._sent = 0
        self._send = send
        self._begun = False
        self._ended = False

    async def send(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start":
            self._begun = True
            self.status = int(message["status"])
            if any(value.startswith(_STREAM) for name, value in message["headers"] if name == b"content-type"):
                self.end()
        self._sent += len(message.get("body", b""))
        await self._send(message)
        if self.headed:
            self._ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def unless_begun(self, response: Response, request: Request) -> None:
        if not self._begun:
            await response(request.scope, request.receive, self.send)

    def end(self) -> None:
        if self.place is not None:
            self.place.leave(self._sent)


def _within_bounds(request: Request, most: int) -> None:
    """What can be told from the head. Raises Failure."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared) > most:
        raise BodyTooLarge(most)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodedBody
    if request.scope["query_string"].count(b"&") >= MOST_PARAMETERS:
        raise Crowded("parameters", "query", MOST_PARAMETERS)


async def _body_of(request: Request, most: int) -> bytes:
    """Raises Failure, and ClientDisconnect."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise BodyTooLarge(most)
    except TimeoutError as error:
        raise BodyTooSlow(BODY_WITHIN) from error
    return bytes(body)


def _repeated(body: bytes, receive: Receive) -> Receive:
    told = False

    async def repeat() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return repeat
