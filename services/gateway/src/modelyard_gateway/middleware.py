"""Around every request: `Trace` once before all doors, `Edge` within each. Plain ASGI: streams stay streams."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard_contracts.failures import Away, Failure
from modelyard_contracts.ids import new_id
from modelyard_gateway.errors import BodyTooLarge, unavailable, unexpected

log = structlog.get_logger()


class Trace:
    """Binds the correlation id to everything logged meanwhile, returns it as `X-Correlation-Id`, logs one line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

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
                await self.app(scope, receive, tell)
            finally:
                log.info("http.request", **_facts(scope), status=status, ms=_since(started))


class Edge:
    """Bounds the body, and answers in the door's own shape (`refuse`) for what no handler of the door expects."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, refuse: Callable[[Request, Failure], Response]) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        started_to_answer = False

        async def tell(message: Message) -> None:
            nonlocal started_to_answer
            started_to_answer = True
            await send(message)

        try:
            await self._within_bounds(request, receive, tell)
        except Away as away:
            log.warning("request.unanswerable", reason=str(away), **_facts(scope))
            if not started_to_answer:
                await self.refuse(request, unavailable())(scope, receive, tell)
        except Exception:
            log.exception("request.failed", **_facts(scope))
            if not started_to_answer:
                await self.refuse(request, unexpected())(scope, receive, tell)

    async def _within_bounds(self, request: Request, receive: Receive, send: Send) -> None:
        declared = request.headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > self.max_body_bytes:
            await self.refuse(request, BodyTooLarge(self.max_body_bytes))(request.scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.max_body_bytes:
                raise BodyTooLarge(self.max_body_bytes)
            return message

        async def unless_too_large(message: Message) -> None:
            """The framework takes whatever a body raises for bad JSON; its answer gives way to the true one."""
            if read <= self.max_body_bytes:
                await send(message)

        await self.app(request.scope, counted, unless_too_large)
        if read > self.max_body_bytes:
            await self.refuse(request, BodyTooLarge(self.max_body_bytes))(request.scope, receive, send)


def correlation_of(request: Request) -> str:
    """The caller's own `X-Correlation-Id` when it is a plain short word, else a new one."""
    given = request.headers.get("x-correlation-id", "")
    return given if 0 < len(given) <= 100 and given.isascii() and given.isprintable() else new_id()


def _facts(scope: Scope) -> dict[str, Any]:
    return {"method": scope["method"], "path": scope["path"]}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
