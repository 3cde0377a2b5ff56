"""Documents of several projects that wait for one kind of job, and what serves them. For the tests of turns."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts.catalogue import VERSION_AUDIT
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import Collection
from modelyard_store.sqlite import SqliteDocuments
from modelyard_testkit.faults import Faults
from modelyard_work.ending import Policy
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, LongWork

THINGS = Collection("things", indexes=(DUE, TURN))
JOB = VERSION_AUDIT.subject
POLICY = Policy(tries=3, lease_ms=8_000, patience=0)


@dataclass(frozen=True)
class Thing:
    project: str
    name: str
    state: str = "waiting"
    attempt: int = 0
    correlationid: str = "c"


def asked(thing: Thing) -> Outcome[Thing]:
    return Outcome(thing, ((VERSION_AUDIT, AuditJob(audit_id=thing.name)),))


Script = Callable[[Thing], Awaitable[None]]


async def quick(thing: Thing) -> None:
    """Nothing to wait for."""


@dataclass
class Queue:
    """First come, first served, as JetStream does it. `served` is the work in the order in which it began."""

    folder: Path
    documents: SqliteDocuments
    faults: Faults = field(default_factory=Faults)
    waiting: deque[Thing] = field(default_factory=deque)
    served: list[str] = field(default_factory=list)
    script: Script = quick
    now: int = 1_000_000

    def __post_init__(self) -> None:
        self.attempts = Attempts(
            self.faults.before(self.documents), THINGS, Thing, "version", lambda: None, now=lambda: self.now,
            open_states=("waiting", "running"),
        )  # fmt: skip

    def worker(self) -> LongJob[Thing]:
        """A fresh process."""
        return LongJob(self.attempts, lambda: Serving(self), POLICY, self.folder)

    async def ask(self, *names: str) -> None:
        """A name begins with that of its project, one letter."""
        for name in names:
            thing = Thing(name[0], name)
            self.now += 1
            await self.attempts.add(thing.project, name, asked(thing), Cause("c"))
            self.waiting.append(thing)

    async def work(self, worker: LongJob[Thing], deliveries: int | None = None) -> list[str]:
        """So many deliveries, or all there are; what was served meanwhile."""
        before = len(self.served)
        for _ in range(len(self.waiting) if deliveries is None else deliveries):
            await self.deliver(worker, self.waiting.popleft())
        return self.served[before:]

    async def deliver(self, worker: LongJob[Thing], thing: Thing, attempt: int = 1) -> Retry | None:
        envelope = Envelope(source="s", type=JOB, subject=thing.name, project=thing.project, data={})
        with handling(Delivery(envelope, attempt, last=False), "things"):
            try:
                await worker.run(envelope, thing.name)
            except Retry as retry:
                return retry
        return None

    async def state(self, name: str) -> str:
        thing = await self.attempts.get(None, name)
        assert thing is not None
        return thing.state


class Serving(LongWork[Thing]):
    name = "things"

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def begin(self, value: Thing) -> Outcome[Thing]:
        return Outcome(replace(value, state="running"))

    async def run(self, attempt: Attempt[Thing]) -> Decide[Thing]:
        self._queue.served.append(attempt.value.name)
        await self._queue.script(attempt.value)
        return lambda thing: Outcome(replace(thing, state="done"))

    def let_go(self, value: Thing, reason: str) -> Outcome[Thing]:
        return Outcome(replace(value, state="waiting"))

    def failed(self, value: Thing, failure: Failure) -> Outcome[Thing]:
        return Outcome(replace(value, state="failed"))


def many(project: str, count: int) -> list[str]:
    return [f"{project}{number}" for number in range(count)]
