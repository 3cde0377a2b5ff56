"""Around every request: a correlation id, a body bound, one access log line. Plain ASGI: streams stay streams."""

import time
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard_gateway.access import correlation_of
from modelyard_gateway.errors import BodyTooLarge
from modelyard_gateway.replies import error_response

log = structlog.get_logger()


class Edge:
    """Binds the correlation id to everything logged meanwhile and returns it as `X-Correlation-Id`."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.correlationid = correlation_of(request)
        started = time.perf_counter()
        status = 500

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-correlation-id", request.state.correlationid.encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(correlationid=request.state.correlationid):
            try:
                await self._within_bounds(request, receive, tell)
            finally:
                log.info("http.request", **_facts(scope), status=status, ms=_since(started))

    async def _within_bounds(self, request: Request, receive: Receive, send: Send) -> None:
        declared = request.headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > self.max_body_bytes:
            await error_response(request, BodyTooLarge(self.max_body_bytes))(request.scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_body_bytes:
                raise BodyTooLarge(self.max_body_bytes)
            return message

        await self.app(request.scope, counted, send)


def _facts(scope: Scope) -> dict[str, Any]:
    return {"method": scope["method"], "path": scope["path"]}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
