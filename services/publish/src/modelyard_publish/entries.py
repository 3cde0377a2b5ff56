"""Entries of competitions: submitted by a project or by a version's plan, scored by the evaluate service."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from modelyard_bus.consume import Reject
from modelyard_contracts.calls import publish
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import KeyReused, created_id
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.catalogue import ENTRY_REJECTED, ENTRY_SCORED, ENTRY_SUBMITTED, Event
from modelyard_contracts.events import EntryRejected, EntryScored, EntrySubmitted
from modelyard_contracts.ids import derived_id
from modelyard_publish.competitions import Competitions
from modelyard_publish.domain import Competition, Entry, day_of, in_slot, same_entry
from modelyard_publish.errors import (
    DeadlinePassed,
    NoSuchArtifact,
    NotFound,
    NotPublished,
    TooManyEntries,
)
from modelyard_publish.register import Register
from modelyard_publish.repository import Repository
from modelyard_publish.views import entry_view
from modelyard_store.aggregates import Say
from modelyard_store.documents import Duplicate


@dataclass(frozen=True)
class Entries:
    repository: Repository
    register: Register
    competitions: Competitions
    clock: Callable[[], int]

    async def submit(self, context: CallContext, request: publish.SubmitEntry) -> publish.EntryView:
        version = await self.register.version(context, request.model_id)
        entry_id = created_id(context, publish.SUBMIT_ENTRY)
        return entry_view(await self._enter(context, entry_id, request.competition_id, version, request.artifact_id))

    async def carry_out(self, context: CallContext, version: VersionView, competition_id: str) -> None:
        """What a version's plan asks: its source enters once."""
        entry_id = derived_id("planned-entry", version.model_id, competition_id)
        await self._enter(context, entry_id, competition_id, version, None)

    async def get(self, context: CallContext, request: publish.GetEntry) -> publish.EntryView:
        entry = await self.repository.entries.get(context.project, request.entry_id)
        if entry is None:
            raise NotFound("entry", request.entry_id)
        return entry_view(entry)

    async def score(self, project: str, entry_id: str, metrics: dict[str, float], correlationid: str | None) -> None:
        """Raises Reject for an entry that nobody submitted."""
        competition = await self._competition_of(project, entry_id)
        value = metrics.get(competition.metric)
        if value is None:
            await self.reject(project, entry_id, f"the evaluation gave no {competition.metric}", correlationid)
            return

        def decide(entry: Entry) -> tuple[Entry, list[Say]]:
            fact = EntryScored(**_names(entry), metric=competition.metric, score=value)
            after = entry.scored(value)
            return after, _say(ENTRY_SCORED, fact, entry, correlationid) if after is not entry else []

        await self.repository.entries.change(project, entry_id, decide)

    async def reject(self, project: str, entry_id: str, reason: str, correlationid: str | None) -> None:
        """Raises Reject for an entry that nobody submitted."""

        def decide(entry: Entry) -> tuple[Entry, list[Say]]:
            after = entry.rejected(reason)
            fact = EntryRejected(**_names(entry), reason=reason)
            return after, _say(ENTRY_REJECTED, fact, entry, correlationid) if after is not entry else []

        if await self.repository.entries.change(project, entry_id, decide) is None:
            raise Reject(f"no entry {entry_id!r} in project {project!r}")

    async def _enter(
        self, context: CallContext, entry_id: str, competition_id: str, version: VersionView, artifact_id: str | None
    ) -> Entry:
        """The same `entry_id` again finds the entry it made, also after the deadline."""
        competition = await self.competitions.competition(competition_id)
        wanted = Entry(
            entry_id=entry_id,
            competition_id=competition_id,
            project=context.project,
            model_id=version.model_id,
            model_name=version.model_name,
            model_version=version.model_version,
            artifact_id=_artifact(version, artifact_id),
            slot="",
            state="submitted",
            score=None,
            reason=None,
            submitted_at=self.clock(),
            submitted_by=context.actor,
        )
        return await self._made(wanted) or await self._add(competition, wanted, context.correlationid)

    async def _made(self, wanted: Entry) -> Entry | None:
        present = await self.repository.entries.get(wanted.project, wanted.entry_id)
        if present is not None and not same_entry(present, wanted):
            raise KeyReused
        return present

    async def _add(self, competition: Competition, wanted: Entry, correlationid: str) -> Entry:
        """Takes the first free slot of the day; the unique index decides between several at once."""
        if not competition.open_at(wanted.submitted_at):
            raise DeadlinePassed(competition.deadline)
        fact = EntrySubmitted(
            **_names(wanted),
            artifact_id=wanted.artifact_id,
            dataset_id=competition.dataset_id,
            metric=competition.metric,
            deadline=competition.deadline,
        )
        says = _say(ENTRY_SUBMITTED, fact, wanted, correlationid)
        taken = await self.repository.entries_on(
            day_of(competition.competition_id, wanted.project, wanted.submitted_at)
        )
        for number in range(taken, competition.entries_per_day):
            placed = in_slot(wanted, number)
            try:
                await self.repository.entries.add(wanted.project, wanted.entry_id, placed, says)
            except Duplicate as duplicate:
                if duplicate.fields == ("id",) and (made := await self._made(wanted)):
                    return made
                continue
            return placed
        raise TooManyEntries(competition.entries_per_day)

    async def _competition_of(self, project: str, entry_id: str) -> Competition:
        entry = await self.repository.entries.get(project, entry_id)
        if entry is None:
            raise Reject(f"no entry {entry_id!r} in project {project!r}")
        return await self.competitions.competition(entry.competition_id)


def _names(entry: Entry) -> dict[str, str]:
    return {"entry_id": entry.entry_id, "competition_id": entry.competition_id, "model_id": entry.model_id}


def _say(event: Event[Any], data: BaseModel, entry: Entry, correlationid: str | None) -> list[Say]:
    return [Say(event, data, entry.entry_id, correlationid)]


def _artifact(version: VersionView, artifact_id: str | None) -> str:
    if version.model_status != "published":
        raise NotPublished(version.model_status)
    for artifact in version.artifacts:
        if artifact.artifact_id == artifact_id or (artifact_id is None and artifact.kind == "source"):
            return artifact.artifact_id
    raise NoSuchArtifact(artifact_id or "source")
