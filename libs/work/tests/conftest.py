"""A task with everything that a long job can meet: its document store, its queue, its workers and its clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts.catalogue import CONVERSION_FAILED, VERSION_AUDIT
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import ConversionFailed
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import Collection
from modelyard_store.outbox import Outbox
from modelyard_store.sqlite import SqliteDocuments
from modelyard_testkit.faults import Faults
from modelyard_work.ending import Policy
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, LongWork, Progress
from modelyard_work.revival import Revival

TASKS = Collection("tasks", indexes=(DUE, TURN))
POLICY = Policy(tries=3, crashes=1, deaths=2, lease_ms=8_000, patience=0)


@dataclass(frozen=True)
class Task:
    project: str
    state: str = "waiting"
    attempt: int = 0
    steps: int = 0
    reason: str | None = None
    correlationid: str = "c-1"


def asked(task: Task) -> Outcome[Task]:
    return Outcome(task, ((VERSION_AUDIT, AuditJob(audit_id="t")),))


def over(task: Task, state: str, reason: str | None = None) -> Outcome[Task]:
    said = ConversionFailed(conversion_id="t", model_id="m", target="none", code="none", reason=reason or state)
    return Outcome(replace(task, state=state, reason=reason), ((CONVERSION_FAILED, said),))


Script = Callable[[Attempt[Task]], Awaitable[None]]


@dataclass
class Yard:
    """`outputs` are the attempts whose work lies in the store; `messages` how often the job stands in the queue."""

    folder: Path
    documents: SqliteDocuments
    faults: Faults = field(default_factory=Faults)
    policy: Policy = POLICY
    now: int = 1_000_000
    messages: int = 0
    outputs: set[int] = field(default_factory=set)
    script: Script | None = None

    def __post_init__(self) -> None:
        self.attempts = Attempts(
            self.faults.before(self.documents),
            TASKS,
            Task,
            "version",
            lambda: None,
            now=lambda: self.now,
            open_states=("waiting", "running"),
        )
        self.revival = Revival(self.attempts, asked)
        self.job = self.worker()

    def worker(self) -> LongJob[Task]:
        """A fresh process."""
        return LongJob(self.attempts, lambda: Working(self), self.policy, self.folder)

    async def ask(self) -> None:
        await self.attempts.add("mine", "t", asked(Task("mine")), Cause("c-1"))
        await self.relay()

    async def relay(self) -> None:
        """Send what waits: the job's messages come into the queue."""
        outbox = Outbox(self.documents, TASKS)
        for pending in await outbox.pending(10):
            self.messages += sum(".job." in message.subject for message in pending.messages)
            await outbox.trim(pending.id, pending.messages[-1].seq)

    async def deliver(self, script: Script | None = None, *, last: bool = False) -> str:
        """One delivery: `done`, or why it comes again. On the last one that is for the dead letters."""
        self.script = script
        envelope = Envelope(source="modelyard/version", type="t", subject="t", project="mine", data={})
        try:
            with handling(Delivery(envelope, 5, last=last), "tasks"):
                await self.job.run(envelope, "t")
        except Retry as retry:
            self.messages -= last
            return str(retry)
        self.messages -= 1
        return "done"

    async def task(self) -> Task:
        found = await self.attempts.get("mine", "t")
        assert found is not None
        return found

    async def sent(self) -> list[str]:
        pages = await Outbox(self.documents, TASKS).pending(10)
        return [message.subject for each in pages for message in each.messages]


class Working(LongWork[Task]):
    name = "tasks"
    doing = "they worked on it"
    child = "the child"

    def __init__(self, yard: Yard) -> None:
        self._yard, self._script = yard, yard.script
        self.steps = 0

    def begin(self, value: Task) -> Outcome[Task]:
        return Outcome(replace(value, state="running", reason=None))

    async def run(self, attempt: Attempt[Task]) -> Decide[Task]:
        self._yard.outputs.add(attempt.value.attempt)
        (attempt.folder / "half").write_bytes(b"half")
        if self._script is not None:
            await self._script(attempt)
        return lambda task: over(task, "succeeded")

    def progress(self) -> Progress[Task]:
        return Progress(lambda task: replace(task, steps=task.steps + 1))

    def let_go(self, value: Task, reason: str) -> Outcome[Task]:
        return Outcome(replace(value, state="waiting", reason=reason))

    def failed(self, value: Task, failure: Failure) -> Outcome[Task]:
        return over(value, "failed", failure.message)

    async def ended(self, value: Task) -> None:
        self._yard.outputs &= {value.attempt} if value.state == "succeeded" else set()

    async def discard(self, attempt: Attempt[Task]) -> None:
        self._yard.outputs.discard(attempt.value.attempt)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Yard]:
    documents = SqliteDocuments(folder / "documents.db")
    await documents.open([TASKS])
    yard = Yard(folder / "scratch", documents)
    await yard.ask()
    yield yard
    await documents.close()


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def open_yard() -> Callable[[Path], Any]:
    return opened


async def never(attempt: Attempt[Task]) -> None:
    await asyncio.Event().wait()
