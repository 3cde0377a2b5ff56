"""A client that is not the bottleneck: prepared requests over bare sockets, in a process of its own.

It parses only the status and the length of a reply. Over NATS it is the real `CallClient`, as the gateway uses it.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import uvloop

from modelyard_bus.calls import CallClient
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts.calls import version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.ids import new_id
from modelyard_contracts.shapes import Location, Role, StorageSource

Ask = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Plan:
    """One series of calls. It ends after `seconds` or `most` calls, whichever comes first."""

    transport: str  # "http" | "nats"
    operation: str  # "get" | "list" | "create"
    clients: int
    seconds: float
    most: int
    port: int
    token: str
    nats_url: str
    nats_password: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """`milliseconds` of each call; `busy` is the share of one core that this process used."""

    milliseconds: list[float]
    seconds: float
    busy: float


def run(plan: Plan) -> Result:
    """Raises RuntimeError when a call is refused: numbers of refusals say nothing."""
    return uvloop.run(_run(plan))


async def _run(plan: Plan) -> Result:
    if plan.transport == "http":
        connections = [await _Http.connect(plan.port) for _ in range(plan.clients)]
        requests = _http_requests(plan)

        def asking(own: _Http) -> Ask:
            return lambda: own.ask(next(requests))

        return await _drive(plan, [asking(own) for own in connections])
    bus = await Bus.connect(BusSettings(plan.nats_url, "gateway", "gateway", plan.nats_password))
    try:
        return await _drive(plan, [_nats_ask(plan, CallClient(bus))] * plan.clients)
    finally:
        await bus.close()


async def _drive(plan: Plan, asks: list[Ask]) -> Result:
    await asyncio.gather(*(ask() for ask in asks))  # connections and statements are warm afterwards
    took: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()
    until = started + plan.seconds

    async def client(ask: Ask) -> None:
        while len(took) < plan.most and (before := time.perf_counter()) < until:
            await ask()
            took.append((time.perf_counter() - before) * 1000)

    await asyncio.gather(*(client(ask) for ask in asks))
    wall = time.perf_counter() - started
    return Result(took, wall, (time.process_time() - cpu) / wall)


class _Http(asyncio.Protocol):
    """One kept-alive connection with one request in flight."""

    def __init__(self) -> None:
        self._received = b""
        self._missing = -1
        self._reply: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, port: int) -> "_Http":
        _, protocol = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    async def ask(self, request: bytes) -> None:
        self._received, self._missing = b"", -1
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]
        await self._reply

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._missing < 0:
            head, end, _ = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self._missing = len(head) + 4 + int(length)
        if len(self._received) >= self._missing:
            self._done(self._received.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._done(False)

    def _done(self, good: bool) -> None:
        if self._reply is not None and not self._reply.done():
            error = None if good else RuntimeError(f"refused: {self._received[:300]!r}")
            self._reply.set_exception(error) if error else self._reply.set_result(None)


def _http_requests(plan: Plan) -> Iterator[bytes]:
    line = f"Host: 127.0.0.1\r\nAuthorization: Bearer {plan.token}\r\n"
    chosen = random.Random(7)
    while True:
        if plan.operation == "get":
            yield f"GET /v1/default/models/{chosen.choice(plan.ids)} HTTP/1.1\r\n{line}\r\n".encode()
        elif plan.operation == "list":
            yield f"GET /v1/default/models?limit=100 HTTP/1.1\r\n{line}\r\n".encode()
        else:
            body = f'{{"model_name":"made-{new_id()}","source_location":"s3://training/nothing-here/"}}'
            kind = "Content-Type: application/json\r\n"
            yield f"POST /v1/default/models HTTP/1.1\r\n{line}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _nats_ask(plan: Plan, calls: CallClient) -> Ask:
    context = CallContext(project="default", actor="token:bench", role=Role.ADMIN)
    chosen = random.Random(7)

    async def ask() -> None:
        if plan.operation == "get":
            await calls(version.GET, context, version.GetVersion(model_id=chosen.choice(plan.ids)))
        elif plan.operation == "list":
            await calls(version.LIST, context, version.ListVersions(limit=100))
        else:
            source = StorageSource(location=Location(bucket="training", prefix="nothing-here/"))
            await calls(version.CREATE, context, version.CreateVersion(model_name=f"made-{new_id()}", source=source))

    return ask
