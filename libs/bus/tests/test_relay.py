import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelyard_bus.connection import Bus
from modelyard_bus.relay import Relay
from modelyard_contracts.catalogue import EVENTS, IMPORT_FETCH, IMPORT_STARTED
from modelyard_contracts.envelope import Envelope

from .conftest import Connect

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class Message:
    seq: int
    subject: str
    envelope: dict[str, Any]


@dataclass
class Document:
    id: str
    messages: list[Message] = field(default_factory=list)


class Source:
    """Documents in memory, with faults that can be switched on."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.readable = self.trimmable = True
        self.reads = 0
        self._seq = 0

    def commit(self, document: str, text: str, subject: str = IMPORT_STARTED.subject) -> None:
        self._seq += 1
        data = {"import_id": text, "model_id": document}
        envelope = Envelope(source="import", type="t", subject=document, project="p1", data=data)
        message = Message(self._seq, subject, envelope.model_dump(mode="json"))
        self.documents.setdefault(document, Document(document)).messages.append(message)

    @property
    def left(self) -> int:
        return sum(len(document.messages) for document in self.documents.values())

    async def pending(self, limit: int) -> list[Document]:
        self.reads += 1
        if not self.readable:
            raise OSError("the store is away")
        waiting = [Document(d.id, list(d.messages)) for d in self.documents.values() if d.messages]
        return waiting[:limit]

    async def trim(self, id: str, up_to: int) -> None:
        if not self.trimmable:
            raise OSError("the store is away")
        document = self.documents[id]
        document.messages = [message for message in document.messages if message.seq > up_to]


async def stored(operator: Bus) -> list[tuple[str, str]]:
    """(document, text) of every event, in stream order."""
    count = (await operator.js.stream_info(EVENTS.name)).state.messages
    found = []
    for seq in range(1, count + 1):
        raw = await operator.js.get_msg(EVENTS.name, seq)
        envelope = Envelope.model_validate_json(raw.data or b"")
        found.append((envelope.subject, envelope.data["import_id"]))
    return found


async def test_committed_messages_are_published_in_order_and_trimmed(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    source, bus = Source(), await connect("import")
    for number in range(30):
        source.commit(f"d{number % 3}", str(number))
    relay = Relay(bus, [source])
    await relay.start()
    await until(lambda: source.left == 0)
    await relay.stop()
    events = await stored(operator)
    assert len(events) == 30
    for document in range(3):
        assert [text for d, text in events if d == f"d{document}"] == [str(n) for n in range(document, 30, 3)]


async def test_a_nudge_does_not_wait_for_the_interval(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    source = Source()
    relay = Relay(await connect("import"), [source], interval=3600)
    await relay.start()
    await until(lambda: source.reads == 1)
    for number in range(5):
        source.commit("d", str(number))
        relay.nudge()
        await until(lambda: source.left == 0)
    await relay.stop()
    assert len(await stored(operator)) == 5


async def test_more_than_a_page_goes_out_without_a_pause(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    source = Source()
    for number in range(250):
        source.commit(f"d{number}", str(number))
    relay = Relay(await connect("import"), [source], interval=3600)
    await relay.start()
    await until(lambda: source.left == 0)
    await relay.stop()
    assert len(await stored(operator)) == 250


async def test_killed_between_publish_and_trim_repeats_without_a_trace(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    source, bus = Source(), await connect("import")
    source.trimmable = False
    for number in range(3):
        source.commit("d", str(number))
    killed = Relay(bus, [source], interval=3600)
    await killed.start()
    await until(lambda: bus.stats.relay_failures == 1)
    await killed.stop()
    assert source.left == 3
    source.trimmable = True
    source.commit("d", "3")
    successor = Relay(bus, [source])
    await successor.start()
    await until(lambda: source.left == 0)
    await successor.stop()
    assert [text for _, text in await stored(operator)] == ["0", "1", "2", "3"]


async def test_two_relays_on_the_same_documents(operator: Bus, connect: Connect, until: Callable[..., Any]) -> None:
    source = Source()
    relays = [Relay(await connect("import"), [source], interval=0.01) for _ in range(2)]
    for relay in relays:
        await relay.start()
    for number in range(60):
        source.commit(f"d{number % 5}", str(number))
        relays[number % 2].nudge()
        if number % 10 == 0:
            await asyncio.sleep(0)
    await until(lambda: source.left == 0)
    for relay in relays:
        await relay.stop()
    events = await stored(operator)
    assert len(events) == 60
    for document in range(5):
        assert [text for d, text in events if d == f"d{document}"] == [str(n) for n in range(document, 60, 5)]


async def test_a_message_that_cannot_go_out_holds_back_its_own_document_only(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    source, bus = Source(), await connect("import")
    source.commit("stuck", "0")
    source.commit("stuck", "1", subject="modelyard.evt.import.invented.v1")
    source.commit("stuck", "2")
    source.commit("free", "3")
    relay = Relay(bus, [source], interval=0.01)
    await relay.start()
    await until(lambda: source.left == 2 and bus.stats.relay_failures > 1)
    await relay.stop()
    assert sorted(await stored(operator)) == [("free", "3"), ("stuck", "0")]


async def test_it_survives_a_store_and_a_broker_that_go_away(
    server: Any, operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    source, bus = Source(), await connect("import")
    source.readable = False
    relay = Relay(bus, [source], interval=0.01)
    await relay.start()
    await until(lambda: source.reads > 2)
    server.kill()
    source.readable = True
    for number in range(10):
        source.commit("d", str(number))
    await until(lambda: not bus.nats.is_connected)
    server.start()
    await until(lambda: source.left == 0)
    await relay.stop()
    assert [text for _, text in await stored(operator)] == [str(n) for n in range(10)]


async def test_jobs_go_the_same_way(operator: Bus, connect: Connect, until: Callable[..., Any]) -> None:
    source = Source()
    source.commit("d", "i1", subject=IMPORT_FETCH.subject)
    relay = Relay(await connect("import"), [source])
    await relay.start()
    await until(lambda: source.left == 0)
    await relay.stop()
    assert (await operator.js.consumer_info("MODELYARD_JOBS", IMPORT_FETCH.durable)).num_pending == 1


async def test_stopping_twice_or_unstarted_is_harmless(connect: Connect) -> None:
    relay = Relay(await connect("import"), [])
    await relay.stop()
    await relay.start()
    await relay.stop()
    await relay.stop()
