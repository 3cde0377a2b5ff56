"""No import stays `running` for ever. A chore of every process that answers calls.

A job that kills its worker every time uses up its deliveries and lies among the dead letters; so does one whose stores
were away for longer than it was tried. The document knows: nobody has renewed it for a long time. Then it is asked for
again, and when enough attempts have come to nothing it fails. Several at once do no harm: each change is a
compare-and-set, and a job that comes twice finds the import held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from modelyard_import.domain.imports import MOST_ATTEMPTS, Import, give_up, held, look_later, revive, silent
from modelyard_import.errors import ImportBroken
from modelyard_import.handlers.imports import asked_for
from modelyard_import.handlers.sweeping import Sweeping
from modelyard_import.repository import Repository, Say, failed
from modelyard_store.objects import Objects

log = structlog.get_logger()

AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class ImportRevival:
    repository: Repository
    objects: Objects
    now: Callable[[], int]

    async def sweep(self) -> int:
        """How many imports were silent. Raises what the stores raise; the next call goes on."""
        found = 0
        while due := await self.repository.imports_due(self.now(), AT_ONCE):
            for job in due:
                await self._wake(job)
            found += len(due)
        return found

    async def _wake(self, job: Import) -> None:
        now = self.now()

        def decide(current: Import) -> tuple[Import, Sequence[Say]]:
            if not silent(current, now=now):  # somebody has taken it just now
                return current, ()
            if held(current, now=now):
                return look_later(current, now=now), ()
            if current.attempt < MOST_ATTEMPTS:
                return revive(current, now=now), (asked_for(current),)
            broken = ImportBroken(f"{current.attempt} attempts ended without a word; the last one was silent")
            return give_up(current, broken, now=now), (failed(current, broken),)

        woken = await self.repository.imports.change(job.project, job.import_id, decide)
        if woken is not None and woken.state == "failed":
            log.error("import_broken", import_id=job.import_id, attempts=woken.attempt)
            await Sweeping(self.repository, self.objects).ended(woken)
