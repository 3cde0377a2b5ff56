"""Around all doors: the correlation id, the headers that every answer has, the access log. Plain ASGI: streams stay
streams."""

import time
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard_contracts.ids import new_id

log = structlog.get_logger()

CORRELATION: Final = ("X-Correlation-Id", "X-Request-Id")  # ours, and what most proxies and clients call it
GUARDED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # tokens and links are secrets, and what is said of a task is over soon
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer that says nothing else itself."""


class Trace:
    """Binds the correlation id to everything logged meanwhile, returns it as `X-Correlation-Id`, logs one line. A HEAD
    is answered as the GET is, without the body."""

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
                headers = MutableHeaders(scope=message)
                for name in CORRELATION:
                    headers[name] = request.state.correlationid
                for name, value in GUARDED.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(correlationid=request.state.correlationid):
            try:
                await self.app(scope, receive, tell)
            finally:
                log.info("http.request", **_facts(scope), status=status, ms=_since(started))


def correlation_of(request: Request) -> str:
    """The caller's own `X-Correlation-Id` or `X-Request-Id` when it is a plain short word, else a new one."""
    given = next((found for name in CORRELATION if (found := request.headers.get(name, ""))), "")
    return given if 0 < len(given) <= 100 and given.isascii() and given.isprintable() else new_id()


def _facts(scope: Scope) -> dict[str, Any]:
    return {"method": scope["method"], "path": scope["path"]}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
