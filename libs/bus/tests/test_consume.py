import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from nats.aio.msg import Msg

from modelyard_bus import consume, settle, streams
from modelyard_bus.connection import Bus
from modelyard_bus.consume import Consumer, Reject, Retry
from modelyard_bus.errors import NotDeclared
from modelyard_bus.handling import current_delivery
from modelyard_contracts import catalogue
from modelyard_contracts.catalogue import DEAD_LETTERS, IMPORT_FETCH, IMPORT_MATCH, JOBS, VERSION_DELETED, VERSION_PURGE
from modelyard_contracts.durables import Durable, all_durables, durables_of
from modelyard_contracts.envelope import Envelope

from .conftest import Connect

pytestmark = pytest.mark.servers

QUICK = catalogue.Retry(max_deliver=3, ack_wait=1, first_delay=0.02, max_delay=0.05)


LEISURELY = dataclasses.replace(QUICK, ack_wait=4)  # a busy machine may be late with a beat, but not by seconds


def quick(durable: Durable) -> Durable:
    return dataclasses.replace(durable, retry=QUICK)


def leisurely(durable: Durable) -> Durable:
    return dataclasses.replace(durable, retry=LEISURELY)


def retrying(monkeypatch: pytest.MonkeyPatch, like: Callable[[Durable], Durable]) -> None:
    monkeypatch.setattr(consume, "durables_of", lambda service: map(like, durables_of(service)))
    monkeypatch.setattr(streams, "all_durables", lambda: map(like, all_durables()))


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts within a moment, and ack_wait of a second."""
    retrying(monkeypatch, quick)


@pytest.fixture
def leisurely_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    retrying(monkeypatch, leisurely)


def deleted(model_id: str, **extra: Any) -> Envelope:
    data = {"model_id": model_id, "model_name": "n", "model_version": "1.0.0"}
    return Envelope(source="version", type="t", subject=model_id, project="p1", data=data, **extra)


def fetch_job(import_id: str = "i1") -> Envelope:
    return Envelope(source="import", type="t", subject=import_id, project="p1", data={"import_id": import_id})


async def jobs_left(operator: Bus) -> int:
    return (await operator.js.stream_info(JOBS.name)).state.messages


async def dead(operator: Bus) -> int:
    return (await operator.js.stream_info(DEAD_LETTERS.name)).state.messages


async def test_every_consumer_of_an_event_gets_it_decoded(operator: Bus, connect: Connect, consumers: Any) -> None:
    seen: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    def taking(service: str) -> Any:
        async def take(envelope: Envelope, data: Any) -> None:
            await seen.put((service, data.model_id, envelope.project))

        return take

    for service in VERSION_DELETED.consumers:
        await consumers(await connect(service), service, {VERSION_DELETED.subject: taking(service)})
    await (await connect("version")).publish(VERSION_DELETED.subject, deleted("m1"))
    got = {await seen.get() for _ in VERSION_DELETED.consumers}
    assert got == {(service, "m1", "p1") for service in VERSION_DELETED.consumers}


async def test_an_idle_consumer_hears_at_once(
    operator: Bus, connect: Connect, consumers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request for messages lasts an hour: whoever waited for one to end would hear nothing here."""
    monkeypatch.setattr("modelyard_bus.pull.EXPIRES", 3600.0)
    heard = asyncio.Event()

    async def take(envelope: Envelope, data: Any) -> None:
        heard.set()

    version = await connect("version")
    await consumers(await connect("convert"), "convert", {VERSION_DELETED.subject: take})
    for number in range(50):
        heard.clear()
        await version.publish(VERSION_DELETED.subject, deleted(f"m{number}"))
        await heard.wait()


async def test_acked_work_is_gone(operator: Bus, connect: Connect, until: Callable[..., Any]) -> None:
    bus = await connect("import")
    consumer = Consumer(bus, "import")

    async def done(envelope: Envelope, data: Any) -> None:
        pass

    consumer.on_job(IMPORT_FETCH, done)
    await consumer.start()
    await bus.publish(IMPORT_FETCH.subject, fetch_job())
    await until(lambda: bus.stats.acked == 1)
    await bus.nats.flush()
    assert await jobs_left(operator) == 0
    await consumer.stop()


async def test_rejected_and_undecodable_messages_become_dead_letters_at_once(
    operator: Bus, connect: Connect, consumers: Any, until: Callable[..., Any]
) -> None:
    async def refuse(envelope: Envelope, data: Any) -> None:
        raise Reject("nobody wants it")

    bus, version = await connect("convert"), await connect("version")
    await consumers(bus, "convert", {VERSION_DELETED.subject: refuse})
    await version.publish(VERSION_DELETED.subject, deleted("m1"))
    wrong = deleted("m2")
    wrong.data = {"model_name": 5}
    await version.publish(VERSION_DELETED.subject, wrong)
    await version.store(VERSION_DELETED.subject, b"\xff not json", {}, 1000)
    await until(lambda: bus.stats.dead_lettered == 3)
    assert await dead(operator) == 3


@pytest.mark.parametrize("error", [Retry("not yet"), RuntimeError("surprise")])
async def test_failing_work_is_tried_again(
    quick_retries: None, operator: Bus, connect: Connect, until: Callable[..., Any], error: Exception
) -> None:
    bus = await connect("import")
    attempts: list[tuple[int, bool]] = []

    async def third_time_lucky(envelope: Envelope, data: Any) -> None:
        delivery = current_delivery()
        assert delivery is not None
        attempts.append((delivery.attempt, delivery.last))
        if len(attempts) < 3:
            raise error

    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, third_time_lucky)
    await consumer.start()
    await bus.publish(IMPORT_FETCH.subject, fetch_job())
    await until(lambda: bus.stats.acked == 1)
    assert attempts == [(1, False), (2, False), (3, True)]
    await consumer.stop()
    assert (await dead(operator), await jobs_left(operator)) == (0, 0)


async def test_used_up_attempts_end_as_a_dead_letter(
    quick_retries: None, operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    bus = await connect("import")
    attempts: list[int] = []

    async def always(envelope: Envelope, data: Any) -> None:
        attempts.append(1)
        raise RuntimeError("always")

    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, always)
    await consumer.start()
    await bus.publish(IMPORT_FETCH.subject, fetch_job())
    await until(lambda: bus.stats.dead_lettered == 1)
    await consumer.stop()
    assert (len(attempts), await dead(operator), await jobs_left(operator)) == (3, 1, 0)


async def test_work_that_kills_its_worker_every_time_is_not_stuck(
    quick_retries: None, operator: Bus, connect: Connect, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each delivery but the last is taken and never answered, as by a process that dies."""
    monkeypatch.setattr(settle, "MOST_DELIVERIES", 1)  # 150 would take minutes
    durable = quick(next(d for d in durables_of("import") if d.name == IMPORT_FETCH.durable))
    bus = await connect("import")
    await bus.publish(IMPORT_FETCH.subject, fetch_job())
    subscription = await bus.js.pull_subscribe_bind(durable.name, durable.stream.name)
    for attempt in range(1, QUICK.max_deliver + 1):
        (message,) = await subscription.fetch(1, timeout=3600)
        assert message.metadata.num_delivered == attempt
    await subscription.unsubscribe()

    ran: list[str] = []

    async def deadly(envelope: Envelope, data: Any) -> None:
        ran.append(data.import_id)

    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, deadly)
    await consumer.start()
    await until(lambda: bus.stats.dead_lettered == 1)
    await consumer.stop()
    assert not ran  # it would have killed this process too
    assert (await dead(operator), await jobs_left(operator)) == (1, 0)


async def test_long_work_is_not_given_to_another(
    leisurely_retries: None, operator: Bus, connect: Connect, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs for more than ack_wait, three beats long, while a second worker waits for something to do."""
    attempts: list[int] = []
    beats: list[Msg] = []
    beat = Msg.in_progress

    async def counted(message: Msg) -> None:
        beats.append(message)
        await beat(message)

    monkeypatch.setattr(Msg, "in_progress", counted)

    async def slow(envelope: Envelope, data: Any) -> None:
        attempts.append(1)
        await until(lambda: len(beats) > 4)

    buses = [await connect("import"), await connect("import")]
    workers = [Consumer(bus, "import") for bus in buses]
    for worker in workers:
        worker.on_job(IMPORT_FETCH, slow)
        await worker.start()
    await buses[0].publish(IMPORT_FETCH.subject, fetch_job())
    await until(lambda: sum(bus.stats.acked for bus in buses) == 1)
    assert len(attempts) == 1
    for worker in workers:
        await worker.stop()


async def test_no_more_runs_at_once_than_allowed_and_others_share(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    running, most = 0, 0
    enough = asyncio.Event()

    async def work(envelope: Envelope, data: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            enough.set()
        await enough.wait()
        running -= 1

    bus = await connect("import")
    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, work, parallel=3)
    for number in range(20):
        await bus.publish(IMPORT_FETCH.subject, fetch_job(f"i{number}"))
    await consumer.start()
    await until(lambda: bus.stats.acked == 20)
    assert most == 3
    await consumer.stop()


async def test_events_of_one_entity_come_one_at_a_time_in_order(
    operator: Bus, connect: Connect, consumers: Any, until: Callable[..., Any]
) -> None:
    seen: dict[str, list[str]] = {"a": [], "b": []}
    busy: set[str] = set()
    both = asyncio.Event()

    async def take(envelope: Envelope, data: Any) -> None:
        assert envelope.subject not in busy
        busy.add(envelope.subject)
        if len(busy) == 2:
            both.set()
        await both.wait()  # the entities do run side by side
        seen[envelope.subject].append(data.model_name)
        busy.discard(envelope.subject)

    version, convert = await connect("version"), await connect("convert")
    for number in range(10):
        for entity in ("a", "b"):
            envelope = deleted(entity)
            envelope.data["model_name"] = str(number)
            await version.publish(VERSION_DELETED.subject, envelope)
    await consumers(convert, "convert", {VERSION_DELETED.subject: take})
    await until(lambda: convert.stats.acked == 20)
    assert seen == {"a": [str(n) for n in range(10)], "b": [str(n) for n in range(10)]}


async def test_stopping_gives_unfinished_work_back_at_once(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def endless(envelope: Envelope, data: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    first, second = await connect("import"), await connect("import")
    old = Consumer(first, "import")
    old.on_job(IMPORT_FETCH, endless)
    await old.start()
    await first.publish(IMPORT_FETCH.subject, fetch_job())
    await started.wait()
    began = time.monotonic()
    await old.stop(grace=0)
    assert cancelled.is_set()
    assert first.stats.interrupted == 1

    async def done(envelope: Envelope, data: Any) -> None:
        pass

    new = Consumer(second, "import")
    new.on_job(IMPORT_FETCH, done)
    await new.start()
    await until(lambda: second.stats.acked == 1)
    assert time.monotonic() - began < IMPORT_FETCH.retry.ack_wait
    await new.stop()


async def test_stopping_lets_quick_work_finish(operator: Bus, connect: Connect) -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def nearly(envelope: Envelope, data: Any) -> None:
        started.set()
        await release.wait()

    bus = await connect("import")
    consumer = Consumer(bus, "import")
    consumer.on_job(IMPORT_FETCH, nearly)
    await consumer.start()
    await bus.publish(IMPORT_FETCH.subject, fetch_job())
    await started.wait()
    stopping = asyncio.create_task(consumer.stop(grace=3600))
    release.set()
    await stopping
    assert (bus.stats.acked, bus.stats.interrupted) == (1, 0)


async def test_a_worker_takes_only_the_jobs_it_bound(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    async def done(envelope: Envelope, data: Any) -> None:
        pass

    bus = await connect("version")
    consumer = Consumer(bus, "version")
    await consumer.start()
    place = {"bucket": "models", "prefix": "p/"}
    envelope = Envelope(
        source="version", type="t", subject="m1", project="p1", data={"model_id": "m", "location": place}
    )
    await bus.publish(VERSION_PURGE.subject, envelope)
    info = await bus.js.consumer_info(JOBS.name, VERSION_PURGE.durable)
    assert (info.num_pending, info.num_waiting) == (1, 0)
    consumer.on_job(VERSION_PURGE, done)
    await consumer.start()
    await until(lambda: bus.stats.acked == 1)
    await consumer.stop()


async def test_log_lines_of_a_handler_name_its_message(
    operator: Bus, connect: Connect, consumers: Any, until: Callable[..., Any]
) -> None:
    bound: list[dict[str, Any]] = []

    async def take(envelope: Envelope, data: Any) -> None:
        bound.append(dict(structlog.contextvars.get_contextvars()))

    convert = await connect("convert")
    await consumers(convert, "convert", {VERSION_DELETED.subject: take})
    envelope = deleted("m1", correlationid="c1")
    await (await connect("version")).publish(VERSION_DELETED.subject, envelope)
    await until(lambda: convert.stats.acked == 1)
    expected = {"correlationid": "c1", "message_id": envelope.id, "project": "p1"}
    assert bound[0] == expected | {"durable": "convert-events", "attempt": 1}
    assert structlog.contextvars.get_contextvars() == {}
    assert current_delivery() is None


async def test_mistakes_in_the_bootstrap_are_told_at_start(operator: Bus, connect: Connect) -> None:
    async def never(envelope: Envelope, data: Any) -> None:
        raise AssertionError

    bus = await connect("convert")
    consumer = Consumer(bus, "convert")
    with pytest.raises(ValueError, match="does not send"):
        consumer.on_job(IMPORT_FETCH, never)
    consumer.on_event(VERSION_DELETED, never)
    with pytest.raises(ValueError, match="has a handler already"):
        consumer.on_event(VERSION_DELETED, never)
    with pytest.raises(ValueError, match=r"no handler for modelyard\.evt\.version\.published"):
        await consumer.start()


async def test_a_missing_durable_is_told_at_start(connect: Connect) -> None:
    async def never(envelope: Envelope, data: Any) -> None:
        raise AssertionError

    consumer = Consumer(await connect("import"), "import")
    consumer.on_job(IMPORT_FETCH, never)
    with pytest.raises(NotDeclared, match="import-fetch"):
        await consumer.start()


@pytest.mark.timeout(120)
async def test_one_quick_job_beside_another_projects_crowd(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    """What is counted is what is handled between the single job's coming and its turn."""
    bus = await connect("import")
    consumer, handled, crowd = Consumer(bus, "import"), list[str](), 1500
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def match(envelope: Envelope, data: Any) -> None:
        handled.append(envelope.project)
        begun.set()
        await go_on.wait()

    async def publish(project: str, number: int) -> None:
        job = Envelope(
            source="i", type="t", subject=f"{project}{number}", project=project, data={"training_job_id": "t"}
        )
        await bus.publish(IMPORT_MATCH.subject, job)

    for number in range(crowd):
        await publish("crowd", number)
    consumer.on_job(IMPORT_MATCH, match, quick=True)
    await consumer.start()
    await begun.wait()
    await publish("single", 0)
    await until(lambda: len(consumer._lanes[IMPORT_MATCH.durable]._running) == crowd + 1)
    go_on.set()
    await until(lambda: bus.stats.acked == crowd + 1)
    assert handled.index("single") <= 2
    await bus.nats.flush()
    assert await jobs_left(operator) == 0
    await consumer.stop()


async def test_long_jobs_are_not_held_ahead(operator: Bus, connect: Connect, until: Callable[..., Any]) -> None:
    """A second worker gets what the first has no slot for."""
    begun: list[str] = []
    workers = []
    for name in ("one", "two"):
        bus = await connect("import")
        consumer = Consumer(bus, "import")

        async def work(envelope: Envelope, data: Any, name: str = name) -> None:
            begun.append(name)
            await asyncio.Event().wait()

        consumer.on_job(IMPORT_FETCH, work)
        workers.append(consumer)
    await workers[0].start()
    for number in range(4):
        await (await connect("import")).publish(IMPORT_FETCH.subject, fetch_job(f"i{number}"))
    await until(lambda: begun == ["one"])
    await workers[1].start()
    await until(lambda: begun == ["one", "two"])
    for worker in workers:
        await worker.stop(grace=0)
