"""The one place where the gateway opens its clients and builds its application."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from modelyard_bus.calls import CallClient
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.deadletters import DeadLetters
from modelyard_contracts.calls import Call, convert, evaluate, imports, publish, version
from modelyard_gateway.app import create_app
from modelyard_gateway.attempts import Attempts
from modelyard_gateway.backends import Backends
from modelyard_gateway.lanes import Lanes
from modelyard_gateway.lookups import Lookups
from modelyard_gateway.repository import COLLECTIONS, AccessRepository
from modelyard_gateway.settings import GatewaySettings
from modelyard_gateway.streams import StreamCount
from modelyard_gateway.turns import Turns
from modelyard_gateway.watching import Watches
from modelyard_runtime.clock import now_ms
from modelyard_runtime.health import ANSWER_WITHIN, Readiness
from modelyard_runtime.http_server import HttpServer
from modelyard_runtime.metrics import ServiceMetrics
from modelyard_runtime.process import Service
from modelyard_store.documents import Documents
from modelyard_store.opening import open_documents

SERVICES_WITHIN: Final = ANSWER_WITHIN + 0.5
"""Seconds for a service to say whether it is ready."""
_PROBED = (version.GET, imports.GET, convert.GET, evaluate.GET, publish.GET_LISTING)


async def build(settings: GatewaySettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or GatewaySettings()
    bus = await Bus.connect(BusSettings(**settings.nats("gateway")))
    documents = open_documents(settings.document_url)
    calls = CallClient(bus)
    checks = {"nats": bus.check, "documents": documents.check, **_service_checks(calls)}
    metrics = ServiceMetrics("gateway", {"bus": bus.stats})
    readiness = Readiness(checks, metrics, SERVICES_WITHIN + 1)
    api = _Api(settings, bus, calls, documents, readiness, metrics)
    return Service(
        name="gateway",
        checks=checks,
        start=(api.open, api.start),
        stop=(bus.close, documents.close, api.stop),
        closed=bus.closed,
        stats={"bus": bus.stats},
        http_host=settings.http_host,
        http_port=settings.http_port,
        answer_within=SERVICES_WITHIN + 1,
    )


@dataclass
class _Api:
    """The public HTTP server, from opening its documents to its last request."""

    settings: GatewaySettings
    bus: Bus
    calls: CallClient
    documents: Documents
    readiness: Readiness
    metrics: ServiceMetrics
    server: HttpServer | None = None
    watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.documents.open(COLLECTIONS)
        if self.settings.operator_token is not None:
            secret = self.settings.operator_token.get_secret_value()
            await AccessRepository(self.documents).keep_operator(self.settings.operator_project, secret, now_ms())

    async def start(self) -> None:
        app = create_app(self.settings, self._backends(), self.readiness, self.metrics)
        self.server = HttpServer(app, self.settings.api_host, self.settings.api_port)
        await self.server.start()
        self.readiness.phase = "running"
        self.watching = asyncio.create_task(self.readiness.keep_asking())

    def _backends(self) -> Backends:
        return Backends(
            settings=self.settings,
            bus=self.bus,
            calls=self.calls,
            access=AccessRepository(self.documents),
            lookups=Lookups(AccessRepository(self.documents), now_ms),
            dead_letters=DeadLetters(self.bus),
            now=now_ms,
            streams=StreamCount(
                self.settings.max_streams, self.settings.max_project_streams, self.settings.max_token_streams
            ),
            turns=Turns(Lanes(self.settings.max_token_requests, self.settings.max_project_requests)),
            unproven=Lanes(self.settings.max_token_requests, self.settings.max_project_requests),
            attempts=Attempts(now_ms),
            watches=Watches(self.bus.watch_live),
        )

    async def stop(self) -> None:
        self.readiness.phase = "stopping"
        if self.watching is not None:
            self.watching.cancel()
        if self.server is not None:
            await self.server.stop()


def _service_checks(calls: CallClient) -> dict[str, Callable[[], Awaitable[str | None]]]:
    """The gateway is ready when every service is: without one of them a part of the API would fail."""

    def check(call: Call[Any, Any]) -> Callable[[], Awaitable[str | None]]:
        return lambda: calls.missing(call, SERVICES_WITHIN)

    return {call.service: check(call) for call in _PROBED}
