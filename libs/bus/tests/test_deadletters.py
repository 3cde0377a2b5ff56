from collections.abc import Callable
from typing import Any

import pytest

from modelyard_bus.connection import Bus
from modelyard_bus.consume import Consumer, Reject
from modelyard_bus.deadletters import DeadLetters
from modelyard_bus.errors import NoSuchDeadLetter
from modelyard_contracts.catalogue import DEAD_LETTERS, IMPORT_FETCH
from modelyard_contracts.envelope import Envelope

from .conftest import Connect

pytestmark = pytest.mark.servers


def job(import_id: str) -> Envelope:
    return Envelope(source="import", type="t", subject=import_id, project="项目", data={"import_id": import_id})


@pytest.fixture
async def buried(operator: Bus, connect: Connect, until: Callable[..., Any]) -> Bus:
    """Three imports were refused. The bus of the import service."""

    async def refuse(envelope: Envelope, data: Any) -> None:
        raise Reject(f"第 {data.import_id}\r\nis not wanted")

    bus: Bus = await connect("import")
    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, refuse)
    await consumer.start()
    for number in range(3):
        await bus.publish(IMPORT_FETCH.subject, job(f"i{number}"))
        await until(lambda done=number: bus.stats.dead_lettered == done + 1)
    await consumer.stop()
    return bus


async def test_listed_oldest_first_with_everything_needed_to_judge(buried: Bus, connect: Connect) -> None:
    letters = DeadLetters(await connect("gateway"))
    first, second, third = await letters.list()
    assert [letter.seq for letter in (first, second, third)] == [1, 2, 3]
    assert (first.subject, first.durable, first.deliveries) == (IMPORT_FETCH.subject, "import-fetch", 1)
    assert first.reason == "第 i0\r\nis not wanted"
    assert first.envelope is not None
    assert first.envelope["project"] == "项目"
    assert Envelope.model_validate_json(first.body).data == {"import_id": "i0"}
    assert await letters.list(1) == (first,)
    assert await letters.list(after=first.seq) == (second, third)
    assert await letters.show(second.seq) == second


async def test_replayed_to_the_consumer_that_failed_and_then_gone(
    buried: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    """Inside the duplicate window of the stream, where the old message id would be swallowed."""
    letters = DeadLetters(await connect("gateway"))
    taken: list[str] = []

    async def take(envelope: Envelope, data: Any) -> None:
        taken.append(data.import_id)

    bus = await connect("import")
    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, take)
    await consumer.start()
    assert (await letters.replay(2)).seq == 2
    await until(lambda: taken == ["i1"])
    await consumer.stop()
    assert [letter.seq for letter in await letters.list()] == [1, 3]
    with pytest.raises(NoSuchDeadLetter):
        await letters.replay(2)


async def test_a_replay_that_fails_again_is_a_new_dead_letter(
    buried: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    async def refuse(envelope: Envelope, data: Any) -> None:
        raise Reject("still not")

    letters = DeadLetters(await connect("gateway"))
    await letters.replay(1)
    bus = await connect("import")
    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, refuse)
    await consumer.start()
    await until(lambda: bus.stats.dead_lettered == 1)
    await consumer.stop()
    assert [(letter.seq, letter.reason) for letter in await letters.list(after=3)] == [(4, "still not")]


async def test_dropped_for_good(buried: Bus, connect: Connect) -> None:
    letters = DeadLetters(await connect("gateway"))
    await letters.drop(1)
    assert [letter.seq for letter in await letters.list()] == [2, 3]
    for attempt in (letters.drop, letters.show, letters.replay):
        for seq in (1, 99, 0, -1):
            with pytest.raises(NoSuchDeadLetter):
                await attempt(seq)


async def test_burying_twice_keeps_one(operator: Bus, connect: Connect, until: Callable[..., Any]) -> None:
    """The copy is stored, then the process dies before `term`: the next delivery buries it again."""
    bus = await connect("import")
    await bus.publish(IMPORT_FETCH.subject, job("i1"))

    async def refuse(envelope: Envelope, data: Any) -> None:
        raise Reject("no")

    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, refuse)
    already = {"Nats-Msg-Id": f"{IMPORT_FETCH.durable}:1"}
    await bus.store(f"modelyard.dlq.{IMPORT_FETCH.durable}", b"{}", already, 1000)
    await consumer.start()
    await until(lambda: bus.stats.dead_lettered == 1)
    await consumer.stop()
    assert (await operator.js.stream_info(DEAD_LETTERS.name)).state.messages == 1


async def test_the_largest_message_with_the_longest_reason_fits(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    async def refuse(envelope: Envelope, data: Any) -> None:
        raise Reject("\N{ROCKET}" * 1000)

    bus = await connect("import")
    envelope = job("i1")
    envelope.data["padding"] = ""
    envelope.data["padding"] = "x" * (bus.limit - len(envelope.to_bytes()) - 100)
    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, refuse)
    await consumer.start()
    await bus.publish(IMPORT_FETCH.subject, envelope)
    await until(lambda: bus.stats.dead_lettered == 1)
    await consumer.stop()
    assert not bus.closed.is_set()
    (letter,) = await DeadLetters(operator).list()
    assert letter.body == envelope.to_bytes()
