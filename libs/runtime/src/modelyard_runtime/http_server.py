"""An ASGI application on a socket inside a loop that is not its own. Called by `process` (health) and by the gateway.

uvicorn wants to own the process: signals, loop, logging. Here it only serves.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from modelyard_runtime.http_connection import Connection

_DRAIN = 2  # seconds for requests in flight; event streams end only when they are cut


class HttpServer:
    """`port` 0: any free one; after `start` it is the actual one."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self.host: Final = host
        self.port = port
        self._app = app
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises OSError when the address cannot be used."""
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))

    @property
    def connections(self) -> int:
        return 0 if self._server is None else len(self._server.server_state.connections)

    async def stop(self) -> None:
        """Finishes requests in flight, at most `_DRAIN` seconds. Safe to call twice."""
        server, serving = self._server, self._serving
        self._server = self._serving = None
        if server is not None and serving is not None:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process, not to one of its servers."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=512)
