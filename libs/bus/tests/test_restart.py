"""The broker dies in the middle: nothing is lost, and guarded effects happen once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from modelyard_bus.connection import Bus
from modelyard_bus.consume import Consumer
from modelyard_bus.errors import PublishFailed
from modelyard_contracts.catalogue import EVENTS, IMPORT_FETCH, JOBS, VERSION_DELETED
from modelyard_contracts.envelope import Envelope

from .conftest import Connect

pytestmark = pytest.mark.servers

TOTAL = 300


def deleted(number: int) -> Envelope:
    data = {"model_id": f"m{number}", "model_name": "n", "model_version": "1"}
    return Envelope(source="version", type="t", subject=f"m{number}", project="p1", data=data)


async def stubborn(bus: Bus, subject: str, envelope: Envelope) -> None:
    while True:
        try:
            await bus.publish(subject, envelope)
        except PublishFailed:
            continue
        return


async def test_events_have_their_effect_once_over_kills_of_the_broker(
    server: Any, operator: Bus, connect: Connect, consumers: Any, until: Callable[..., Any]
) -> None:
    effects: dict[str, int] = {}
    deliveries = 0

    async def apply(envelope: Envelope, data: Any) -> None:
        nonlocal deliveries
        deliveries += 1
        if envelope.id not in effects:  # the state guard that every handler has
            effects[envelope.id] = 1

    version, convert = await connect("version"), await connect("convert")
    await consumers(convert, "convert", {VERSION_DELETED.subject: apply})

    async def publish_all() -> None:
        for number in range(TOTAL):
            await stubborn(version, VERSION_DELETED.subject, deleted(number))

    publishing = asyncio.create_task(publish_all())
    for threshold in (TOTAL // 4, TOTAL // 2):
        await until(lambda at=threshold: len(effects) >= at)
        server.kill()
        server.start()
    await publishing
    await until(lambda: len(effects) == TOTAL)
    assert (await operator.js.stream_info(EVENTS.name)).state.messages == TOTAL
    assert version.stats.reconnects == 2
    assert deliveries >= TOTAL


async def test_a_waiting_consumer_hears_once_the_broker_is_back(
    server: Any, operator: Bus, connect: Connect, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request for messages died with the broker; it must ask again on reconnecting, not when it would expire."""
    monkeypatch.setattr("modelyard_bus.pull.EXPIRES", 3600.0)
    bus = await connect("import")
    taken = asyncio.Event()

    async def take(envelope: Envelope, data: Any) -> None:
        taken.set()

    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, take)
    await consumer.start()
    server.kill()
    await until(lambda: not bus.nats.is_connected)
    server.start()
    await until(lambda: bus.nats.is_connected)
    envelope = Envelope(source="import", type="t", subject="i1", project="p1", data={"import_id": "i1"})
    await stubborn(bus, IMPORT_FETCH.subject, envelope)
    await taken.wait()
    await consumer.stop()
    await until(lambda: bus.stats.acked == 1)
    await bus.nats.flush()
    assert (await operator.js.stream_info(JOBS.name)).state.messages == 0
