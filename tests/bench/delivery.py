"""From a commit in one service's documents to the handler in another: outbox, relay, JetStream, consumer."""

import asyncio
import time
from pathlib import Path

from figures import Aim, Table, load, median, percentile

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer
from modelyard_bus.relay import Relay
from modelyard_bus.server_config import ServerConfig, render
from modelyard_contracts.catalogue import ALL_EVENTS, VERSION_DELETED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionDeleted
from modelyard_contracts.ids import new_id
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_contracts.permissions import IDENTITIES, OPERATOR
from modelyard_local.servers import NatsServer
from modelyard_store.aggregates import Aggregates
from modelyard_store.documents import Collection
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox
from modelyard_version.domain.aliases import Alias

_PASSWORDS = {identity: f"bench-{identity}" for identity in IDENTITIES}
_AT_ONCE = 32


class Way:
    """The whole way within one process and one loop, over two NATS connections: a service that says, one that hears."""

    def __init__(self, aggregates: Aggregates[Alias]) -> None:
        self._aggregates = aggregates
        self._heard: dict[str, asyncio.Future[float]] = {}

    async def hear(self, envelope: Envelope, _: object) -> None:
        self._heard[envelope.subject].set_result(time.perf_counter())

    async def tell(self) -> tuple[float, float]:
        """Milliseconds: the commit, and from the commit's return to the first line of the handler."""
        id = new_id()
        self._heard[id] = heard = asyncio.get_running_loop().create_future()
        data = VersionDeleted(model_id=id, model_name="bench", model_version="0.0.1")
        began = time.perf_counter()
        await self._aggregates.add(
            "default", id, Outcome(Alias("default", "bench", id), ((VERSION_DELETED, data),)), Cause(None)
        )
        committed = time.perf_counter()
        at = await heard
        del self._heard[id]
        return (committed - began) * 1000, (at - committed) * 1000


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    table = Table(
        "Commit → event in the handler of another service",
        ("pattern", "events", "events/s", "commit p50 ms", "delivery p50 ms", "p95", "p99", "load"),
        notes=[
            "Relay and consumer as the services use them, SQLite with `synchronous=FULL`, a NATS server of its own, "
            "everything in one Python process. Delivery counts from the return of the commit.",
        ],
    )
    server = NatsServer(folder / "nats", lambda store, port: render(ServerConfig(store, _PASSWORDS, port=port)))
    await server.start()
    try:
        await _declare(server.url)
        await _patterns(server.url, folder / "delivery.sqlite", 200 if quick else 1000, table)
    finally:
        await server.stop()
    return [table], []


async def _declare(url: str) -> None:
    operator = await _bus(url, OPERATOR)
    await operator.declare()
    await operator.close()


async def _patterns(url: str, file: Path, count: int, table: Table) -> None:
    documents = open_documents(f"sqlite:///{file}")
    collection = Collection("bench")
    await documents.open((collection,))
    saying, hearing = await _bus(url, "version"), await _bus(url, "publish")
    relay = Relay(saying, [Outbox(documents, collection)])
    path = Way(Aggregates(documents, collection, Alias, "version", relay.nudge))
    consumer = Consumer(hearing, "publish")
    for event in (event for event in ALL_EVENTS if "publish" in event.consumers):
        consumer.on_event(event, path.hear)
    await relay.start()
    await consumer.start()
    try:
        await path.tell()
        began = time.perf_counter()
        single = [await path.tell() for _ in range(count)]
        table.rows.append(("one after the other", *_row(single, began)))
        began = time.perf_counter()
        table.rows.append((f"{_AT_ONCE} writers at once", *_row(await _crowd(path, 3 * count), began)))
    finally:
        for each in (consumer.stop, relay.stop, saying.close, hearing.close, documents.close):
            await each()


async def _crowd(path: Way, count: int) -> list[tuple[float, float]]:
    async def writer() -> list[tuple[float, float]]:
        return [await path.tell() for _ in range(count // _AT_ONCE)]

    return [each for own in await asyncio.gather(*(writer() for _ in range(_AT_ONCE))) for each in own]


def _row(took: list[tuple[float, float]], began: float) -> tuple[str | float, ...]:
    rate = len(took) / (time.perf_counter() - began)
    commits, deliveries = [each[0] for each in took], [each[1] for each in took]
    tail = (percentile(deliveries, share) for share in (0.5, 0.95, 0.99))
    return (len(took), rate, median(commits), *tail, load())


async def _bus(url: str, identity: str) -> Bus:
    return await Bus.connect(BusSettings(url, identity, identity, _PASSWORDS[identity]))
