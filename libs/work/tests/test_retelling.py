"""The streams are lost with all that lies on them, and declared anew: what was told is told again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.relay import Relay
from modelyard_contracts.catalogue import STREAMS, VERSION_FAILED
from modelyard_contracts.durables import durables_of
from modelyard_contracts.envelope import Envelope
from modelyard_store.documents import Collection, Documents
from modelyard_store.opening import open_documents
from modelyard_store.outbox import TOLD, Outbox, add_message
from modelyard_testkit.servers import RunningNats
from modelyard_work.retelling import STREAMS as TOLD_STREAMS
from modelyard_work.retelling import Retelling

pytestmark = pytest.mark.servers

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
THINGS = Collection("things", indexes=(TOLD,))


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[Documents]:
    opened = open_documents(f"sqlite:///{tmp_path}/things.db")
    await opened.open((THINGS, TOLD_STREAMS))
    yield opened
    await opened.close()


async def connected(nats: RunningNats, identity: str) -> Bus:
    return await Bus.connect(BusSettings(nats.url, identity, identity, nats.passwords[identity]))


async def lose(operator: Bus) -> None:
    for stream in STREAMS:
        await operator.js.delete_stream(stream.name)


async def test_what_was_told_is_told_again(nats_server: RunningNats, documents: Documents) -> None:
    operator, bus = await connected(nats_server, "operator"), await connected(nats_server, "version")
    await operator.declare()
    outbox = Outbox(documents, THINGS)
    relay = Relay(bus, [outbox], interval=0.01)
    retelling = Retelling(bus, documents, "version", [outbox], relay.nudge)
    try:
        await retelling.look()
        assert await retelling.check() is None
        body: dict[str, object] = {}
        said = Envelope(source="modelyard/version", type="t", subject="told", project="p", data={})
        add_message(body, VERSION_FAILED.subject, said.model_dump(mode="json", exclude_none=True))
        await documents.add(THINGS, "thing", body)
        await relay.start()
        assert await heard(operator, said.id)

        await trimmed(outbox)
        await retelling.look()
        assert await outbox.pending(1) == [], "nothing was lost"

        await lose(operator)
        await retelling.look()
        missing = str(await retelling.check())
        assert all(durable.name in missing for durable in durables_of("version"))
        assert "modelyard_bus.declare" in missing

        await operator.declare()
        await retelling.look()
        assert await retelling.check() is None
        assert await heard(operator, said.id)
    finally:
        await relay.stop()
        await bus.close()
        await operator.close()


async def trimmed(outbox: Outbox) -> None:
    while await outbox.pending(1):  # noqa: ASYNC110 - a store has no event to wait for
        await asyncio.sleep(0.01)


async def heard(operator: Bus, identifier: str) -> bool:
    async for envelope in operator.watch_events(since=EPOCH):
        if envelope.id == identifier:
            return True
    return False
