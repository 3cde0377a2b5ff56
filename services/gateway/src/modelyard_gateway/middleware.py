"""Around every request: a correlation id, a body bound, one access log line. Plain ASGI: streams stay streams."""

import time
from typing import Any

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard_contracts.failures import Away
from modelyard_gateway.access import correlation_of
from modelyard_gateway.errors import BodyTooLarge
from modelyard_gateway.replies import error_response, unavailable, unexpected

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
        started_to_answer = False

        async def tell(message: Message) -> None:
            nonlocal status, started_to_answer
            if message["type"] == "http.response.start":
                started_to_answer = True
                status = message["status"]
                message["headers"].append((b"x-correlation-id", request.state.correlationid.encode()))
            await send(message)

        with structlog.contextvars.bound_contextvars(correlationid=request.state.correlationid):
            try:
                await self._within_bounds(request, receive, tell)
            except Away as away:
                log.warning("request.unanswerable", reason=str(away), **_facts(scope))
                if not started_to_answer:
                    await error_response(request, unavailable())(scope, receive, tell)
            except Exception:
                log.exception("request.failed", **_facts(scope))
                if not started_to_answer:
                    await error_response(request, unexpected())(scope, receive, tell)
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

        async def unless_too_large(message: Message) -> None:
            """The framework takes whatever a body raises for bad JSON; its answer gives way to the true one."""
            if read <= self.max_body_bytes:
                await send(message)

        await self.app(request.scope, counted, unless_too_large)
        if read > self.max_body_bytes:
            await error_response(request, BodyTooLarge(self.max_body_bytes))(request.scope, receive, send)


def _facts(scope: Scope) -> dict[str, Any]:
    return {"method": scope["method"], "path": scope["path"]}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
