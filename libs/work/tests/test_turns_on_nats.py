"""The same on a real JetStream: jobs leave the outbox, and workers, each on a connection of its own, pull them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer, Reject
from modelyard_bus.deadletters import DeadLetters
from modelyard_bus.relay import Relay
from modelyard_bus.server_config import ServerConfig, render
from modelyard_contracts.catalogue import JOBS, VERSION_AUDIT
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.permissions import IDENTITIES
from modelyard_local.servers import NatsServer
from modelyard_store.outbox import Outbox
from modelyard_store.sqlite import SqliteDocuments

from .queueing import THINGS, Queue, Thing, many

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]
PASSWORDS = {identity: f"secret of {identity}" for identity in IDENTITIES}
Handler = Callable[[Envelope, AuditJob], Awaitable[None]]


class Yard:
    """A queue whose jobs lie in JetStream. `go_on` lets the work pass; `changed` is set when something is served."""

    def __init__(self, queue: Queue, url: str, exits: AsyncExitStack) -> None:
        self.queue, self._url, self._exits = queue, url, exits
        self.go_on, self.changed = asyncio.Event(), asyncio.Event()
        self.working = list[Consumer]()
        queue.script = self._work

    async def _work(self, thing: Thing) -> None:
        self.changed.set()
        await self.go_on.wait()
        await asyncio.sleep(0)

    async def bus(self, identity: str) -> Bus:
        bus = await Bus.connect(BusSettings(self._url, identity, identity, PASSWORDS[identity]))
        self._exits.push_async_callback(bus.close)
        return bus

    async def worker(self, handler: Handler | None = None) -> Consumer:
        """With one slot."""
        job = self.queue.worker()

        async def work(envelope: Envelope, data: AuditJob) -> None:
            await job.run(envelope, data.audit_id)

        consumer = Consumer(await self.bus("version"), "version")
        consumer.on_job(VERSION_AUDIT, handler or work)
        await consumer.start()
        self.working.append(consumer)
        return consumer

    async def stop(self) -> None:
        for consumer in self.working:
            await consumer.stop(0)
        self.working.clear()

    async def ask(self, *names: str) -> None:
        """Committed, and in the stream."""
        await self.queue.ask(*names)
        relay = Relay(await self.bus("version"), [Outbox(self.queue.documents, THINGS)])
        while await relay._drain(relay._sources[0]):
            pass

    async def until(self, true: Callable[[], Any]) -> None:
        while not true():
            self.changed.clear()
            await asyncio.wait({asyncio.create_task(self.changed.wait())}, timeout=0.02)

    async def empty(self) -> None:
        """Waits until no job is left in the stream."""
        operator = await self.bus("operator")
        while (await operator.js.stream_info(JOBS.name)).state.messages:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.01)


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with AsyncExitStack() as exits:
        server = NatsServer(
            tmp_path / "nats", lambda store, port: render(ServerConfig(store=store, passwords=PASSWORDS, port=port))
        )
        await server.start()
        exits.push_async_callback(server.stop)
        documents = SqliteDocuments(tmp_path / "documents.db")
        await documents.open([THINGS])
        exits.push_async_callback(documents.close)
        made = Yard(Queue(tmp_path / "scratch", documents), server.url, exits)
        await (await made.bus("operator")).declare()
        yield made
        await made.stop()


async def test_one_job_beside_two_thousand(yard: Yard) -> None:
    """Two workers; what is counted is what they begin between the single job's coming and its turn."""
    await yard.ask(*many("a", 2000))
    for _ in range(2):
        await yard.worker()
    await yard.until(lambda: len(yard.queue.served) == 2)
    await yard.ask("b0")
    before = len(yard.queue.served)
    yard.go_on.set()
    await yard.until(lambda: "b0" in yard.queue.served)
    assert yard.queue.served.index("b0") - before <= 2


async def test_every_job_is_served_once_and_none_is_left(yard: Yard) -> None:
    """Three projects, two workers, a third that comes in the middle."""
    asked = [*many("a", 60), *many("b", 30), *many("c", 10)]
    yard.go_on.set()
    await yard.ask(*asked)
    await yard.worker()
    await yard.worker()
    await yard.until(lambda: len(yard.queue.served) > 20)
    await yard.worker()
    await yard.until(lambda: len(yard.queue.served) == len(asked))
    assert sorted(yard.queue.served) == sorted(asked)
    await yard.empty()
    assert {await yard.queue.state(name) for name in asked} == {"done"}


async def test_a_job_among_the_dead_letters_is_served_in_its_turn_and_its_replay_does_nothing(yard: Yard) -> None:
    async def refuse(envelope: Envelope, data: AuditJob) -> None:
        raise Reject("an older release does not know it")

    yard.go_on.set()
    letters = DeadLetters(await yard.bus("operator"))
    await yard.worker(refuse)
    await yard.ask("b0")
    while not (found := await letters.list()):  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.01)
    await yard.stop()
    await yard.worker()
    await yard.ask("a0", "a1")
    await yard.until(lambda: len(yard.queue.served) == 3)
    assert await yard.queue.state("b0") == "done"
    assert json.loads(found[0].body)["subject"] == "b0"
    await letters.replay(found[0].seq)
    await yard.empty()
    assert sorted(yard.queue.served) == ["a0", "a1", "b0"]
    assert await letters.list() == ()


async def test_a_worker_that_is_stopped_leaves_both_to_the_next(yard: Yard) -> None:
    """The job it was given, and the one that it serves before it."""
    await yard.ask("a0", "a1", "b0")
    await yard.worker()
    await yard.until(lambda: yard.queue.served == ["a0"])
    yard.go_on.set()
    await yard.until(lambda: yard.queue.served[-1] == "b0")
    yard.go_on.clear()
    await yard.stop()
    yard.go_on.set()
    await yard.worker()
    await yard.empty()
    assert {await yard.queue.state(name) for name in ("a0", "a1", "b0")} == {"done"}
