"""Which training runs a project has: the queries behind the listing and behind the dry run of a rule.

An exact name, a version and a status are found along an index. A pattern is applied to the project's job names first,
from its literal beginning on, and then its runs are found by name: it costs in proportion to the names with that
beginning (a pattern that begins with a wildcard looks at all of them), not to the runs.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Outcome
from modelyard_import.domain.training import RunStatus, TrainingJob
from modelyard_import.domain.training_names import JobName, is_pattern, matches, span
from modelyard_import.repository import Repository
from modelyard_store.documents import AnyOf, Between, Condition, Duplicate, Equals, Query, Sort

NEWEST: Final = (Sort("received_at", descending=True),)
PAGE: Final = 1000
NAMES_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """None: whatever it is. `job_name` is exact or a pattern."""

    job_name: str | None = None
    job_version: str | None = None
    status: RunStatus | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Without the name."""
        version = () if self.job_version is None else (Equals("training.job_version", self.job_version),)
        return (*version, *(() if self.status is None else (Equals("status", self.status),)))


def name_id(project: str, job_name: str) -> str:
    return derived_id(project, "job-name", job_name)


@dataclass(frozen=True, slots=True)
class Runs:
    repository: Repository

    async def name(self, project: str, job_name: str) -> None:
        """Make the name known, before the first run with it is kept."""
        identifier = name_id(project, job_name)
        if await self.repository.job_names.get(project, identifier) is None:
            try:
                await self.repository.job_names.add(project, identifier, Outcome(JobName(project, job_name)))
            except Duplicate:
                return

    async def page(self, project: str, wanted: Wanted, *, offset: int, limit: int) -> tuple[int, list[TrainingJob]]:
        """How many there are, and some of them, newest first."""
        where: tuple[Condition, ...] = (Equals("project", project), *wanted.conditions)
        if wanted.job_name is None:
            return await self._page(where, offset, limit)
        if not is_pattern(wanted.job_name):
            return await self._page((*where, Equals("job_name", wanted.job_name)), offset, limit)
        names = await self._names(project, wanted.job_name)
        if len(names) <= NAMES_AT_ONCE:
            return await self._page((*where, AnyOf("job_name", tuple(names))), offset, limit) if names else (0, [])
        return await self._page_of_many(where, names, offset, limit)

    async def newest(self, project: str, most: int) -> AsyncIterator[TrainingJob]:
        """The project's last runs, the newest first."""
        async for run in self._along((Equals("project", project),), most):
            yield run

    async def _page(self, where: tuple[Condition, ...], offset: int, limit: int) -> tuple[int, list[TrainingJob]]:
        runs = self.repository.training_jobs
        return await runs.count(where), await runs.find(Query(where, NEWEST, offset=offset, limit=limit))

    async def _page_of_many(
        self, where: tuple[Condition, ...], names: list[str], offset: int, limit: int
    ) -> tuple[int, list[TrainingJob]]:
        """So many names that asking for each would cost more than passing over the runs of the others."""
        total = 0
        for start in range(0, len(names), NAMES_AT_ONCE):
            some = AnyOf("job_name", tuple(names[start : start + NAMES_AT_ONCE]))
            total += await self.repository.training_jobs.count((*where, some))
        known, found = frozenset(names), list[TrainingJob]()
        if offset < total:
            async for run in self._along(where, None):
                if run.job_name in known:
                    found.append(run)
                if len(found) == offset + limit:
                    break
        return total, found[offset:]

    async def _names(self, project: str, pattern: str) -> list[str]:
        """In alphabetical order."""
        first, last = span(pattern)
        where = (Equals("project", project), Between("job_name", first, last))
        found, after = list[str](), None
        while True:
            query = Query(where, (Sort("job_name"),), limit=PAGE, after=after)
            page = await self.repository.job_names.find(query)
            found += [each.job_name for each in page if matches(pattern, each.job_name)]
            if len(page) < PAGE:
                return found
            after = (page[-1].job_name, name_id(project, page[-1].job_name))

    async def _along(self, where: tuple[Condition, ...], most: int | None) -> AsyncIterator[TrainingJob]:
        after: tuple[int, str] | None = None
        left = most
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = await self.repository.training_jobs.find(Query(where, NEWEST, limit=size, after=after))
            for run in page:
                yield run
            if len(page) < size:
                return
            after = (page[-1].received_at, page[-1].training_job_id)
            left = None if left is None else left - size
