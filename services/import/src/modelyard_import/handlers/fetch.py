"""Job import.fetch: one attempt to bring a package in. Who works on it and how it ends is `modelyard_work`'s.

An attempt that is interrupted leaves what it has copied to the next one (docs/adr/0007); how the store is kept clean
all the same is in `sweeping`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from modelyard_bus.connection import Bus
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure, is_away
from modelyard_contracts.jobs import ImportJob
from modelyard_contracts.outcome import Outcome
from modelyard_import.domain import imports
from modelyard_import.domain.imports import Import
from modelyard_import.errors import ImportBroken, RegistryAway
from modelyard_import.fetching.bring import Bring
from modelyard_import.fetching.notes import Notes
from modelyard_import.handlers.sweeping import Sweeping
from modelyard_import.repository import Repository
from modelyard_store.aggregates import Decide
from modelyard_store.objects import Objects
from modelyard_work.ending import Policy, first_of
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, LongWork, Progress

_REGISTRY_AWAY: Final = f"{RegistryAway.__name__}: "


@dataclass(frozen=True)
class FetchJobs:
    """`policy.lease_ms` must outlast several reports: an attempt that reports keeps its claim."""

    repository: Repository
    objects: Objects
    bus: Bus
    bring: Bring
    now: Callable[[], int]
    policy: Policy

    async def fetch(self, envelope: Envelope, job: ImportJob) -> None:
        await self.job.run(envelope, job.import_id)

    @cached_property
    def job(self) -> LongJob[Import]:
        return LongJob(self.repository.imports, lambda: _Fetching(self), self.policy)


class _Fetching(LongWork[Import]):
    """One delivery."""

    name = "import"
    doing = "they fetched it"

    def __init__(self, tools: FetchJobs) -> None:
        self._tools = tools
        self._notes = Notes(tools.now)
        self._taken: Import | None = None
        self._sweeping = Sweeping(tools.repository, tools.objects)

    def begin(self, value: Import) -> Outcome[Import]:
        return imports.start(value, now=self._tools.now())

    async def run(self, attempt: Attempt[Import]) -> Decide[Import]:
        self._taken = attempt.value
        try:
            fact = await self._tools.bring(attempt, self._notes)
        except Exception as error:
            first = first_of(error)
            if isinstance(first, Failure) and not is_away(first):  # so that nothing lies there when it is written down
                abandoned = await attempt.amend(lambda current: Outcome(imports.abandon(current)))
                await self._sweeping.emptied(abandoned, self._notes)
            raise
        return lambda current: imports.succeed(current, fact, now=self._tools.now())

    async def beat(self) -> None:
        if self._taken is not None:
            await self._announce(self._taken, "running")

    def progress(self) -> Progress[Import]:
        noted = self._notes.progress()
        return Progress(lambda current: imports.report(current, noted), lambda: self._notes.saved(noted))

    def let_go(self, value: Import, reason: str) -> Outcome[Import]:
        """A registry that is away is said in a sentence, which needs no name of an error before it."""
        return imports.interrupt(value, reason.removeprefix(_REGISTRY_AWAY), now=self._tools.now())

    def failed(self, value: Import, failure: Failure) -> Outcome[Import]:
        return imports.fail(value, failure, now=self._tools.now())

    def broken(self, why: str) -> Failure:
        return ImportBroken(why)

    async def ended(self, value: Import) -> None:
        await self._announce(value, value.state)
        await self._sweeping.ended(value)

    async def discard(self, attempt: Attempt[Import]) -> None:
        await self._sweeping.given_up(attempt.value, self._notes)

    async def _announce(self, job: Import, state: str) -> None:
        noted = self._notes.progress()
        copied = noted.copied_bytes or job.copied_bytes  # none: it has not looked yet at what is there
        payload = {"state": state, "copied_bytes": copied, "total_bytes": noted.total_bytes or job.total_bytes}
        await self._tools.bus.announce("import", job.model_id, payload)
