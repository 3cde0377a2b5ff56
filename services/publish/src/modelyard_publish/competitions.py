"""Competitions: opened on a hidden dataset, entered with an artifact, scored by the evaluate service."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelyard_bus.calls import CallContext
from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Page
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.catalogue import COMPETITION_OPENED, ENTRY_REJECTED, ENTRY_SCORED, ENTRY_SUBMITTED
from modelyard_contracts.events import CompetitionOpened, EntryRejected, EntryScored, EntrySubmitted
from modelyard_contracts.ids import derived_id, new_id
from modelyard_publish.domain import Competition, Entry, slot
from modelyard_publish.errors import (
    DatasetNotHidden,
    DeadlineInThePast,
    DeadlinePassed,
    KeyReused,
    NoSuchArtifact,
    NotFound,
    NotPublished,
    TooManyEntries,
)
from modelyard_publish.register import Register
from modelyard_publish.repository import Repository
from modelyard_publish.views import competition_view, entry_view, leaderboard_row
from modelyard_store.aggregates import Say
from modelyard_store.documents import Duplicate


@dataclass(frozen=True)
class Competitions:
    repository: Repository
    register: Register
    clock: Callable[[], int]

    async def create(self, context: CallContext, request: publish.CreateCompetition) -> publish.CompetitionView:
        now = self.clock()
        if request.deadline <= now:
            raise DeadlineInThePast(request.deadline)
        dataset = await self.register.dataset(context, request.dataset_id)
        if not dataset.hidden:
            raise DatasetNotHidden(dataset.name)
        competition = Competition(
            competition_id=_requested_id(context, "competition"),
            project=context.project,
            created_at=now,
            created_by=context.actor,
            **request.model_dump(),
        )
        opened = CompetitionOpened(
            competition_id=competition.competition_id,
            title=competition.title,
            metric=competition.metric,
            deadline=competition.deadline,
        )
        say = Say(COMPETITION_OPENED, opened, competition.competition_id, context.correlationid)
        try:
            await self.repository.competitions.add(context.project, competition.competition_id, competition, [say])
        except Duplicate:
            competition = await self._same_competition(context.project, competition)
        return competition_view(competition, 0, now)

    async def _same_competition(self, project: str, wanted: Competition) -> Competition:
        present = await self.repository.competitions.get(project, wanted.competition_id)
        if present is None or replace(present, created_at=0, created_by="") != replace(
            wanted, created_at=0, created_by=""
        ):
            raise KeyReused
        return present

    async def get(self, _: CallContext, request: publish.GetCompetition) -> publish.CompetitionView:
        competition = await self._competition(request.competition_id)
        entries = await self.repository.entries_in(competition.competition_id)
        return competition_view(competition, entries, self.clock())

    async def page(self, _: CallContext, request: Page) -> publish.CompetitionPage:
        total, page = await self.repository.newest_competitions(request.offset, request.limit)
        views = [
            competition_view(competition, await self.repository.entries_in(competition.competition_id), self.clock())
            for competition in page
        ]
        return publish.CompetitionPage(total_count=total, count=len(views), competitions=tuple(views))

    async def submit(self, context: CallContext, request: publish.SubmitEntry) -> publish.EntryView:
        version = await self.register.version(context, request.model_id)
        entry_id = _requested_id(context, "entry")
        return entry_view(await self.enter(context, entry_id, request.competition_id, version, request.artifact_id))

    async def enter(
        self, context: CallContext, entry_id: str, competition_id: str, version: VersionView, artifact_id: str | None
    ) -> Entry:
        """The same `entry_id` again finds the entry it made."""
        competition = await self._competition(competition_id)
        artifact = _artifact(version, artifact_id)
        present = await self.repository.entries.get(context.project, entry_id)
        if present is not None:
            if (present.competition_id, present.artifact_id) != (competition_id, artifact):
                raise KeyReused
            return present
        now = self.clock()
        if not competition.open_at(now):
            raise DeadlinePassed(competition.deadline)
        entry = Entry(
            entry_id=entry_id,
            competition_id=competition_id,
            project=context.project,
            model_id=version.model_id,
            model_name=version.model_name,
            model_version=version.model_version,
            artifact_id=artifact,
            slot="",
            state="submitted",
            score=None,
            reason=None,
            submitted_at=now,
            submitted_by=context.actor,
        )
        return await self._take_slot(context, competition, entry)

    async def _take_slot(self, context: CallContext, competition: Competition, entry: Entry) -> Entry:
        submitted = EntrySubmitted(
            entry_id=entry.entry_id,
            competition_id=competition.competition_id,
            model_id=entry.model_id,
            artifact_id=entry.artifact_id,
            dataset_id=competition.dataset_id,
            metric=competition.metric,
            deadline=competition.deadline,
        )
        say = Say(ENTRY_SUBMITTED, submitted, entry.entry_id, context.correlationid)
        for number in range(competition.entries_per_day):
            placed = replace(entry, slot=slot(competition, entry.project, entry.submitted_at, number))
            try:
                await self.repository.entries.add(context.project, entry.entry_id, placed, [say])
            except Duplicate as taken:
                if taken.fields == ("id",):
                    return await self._entry(context.project, entry.entry_id)
                continue
            return placed
        raise TooManyEntries(competition.entries_per_day)

    async def score(self, project: str, entry_id: str, metrics: dict[str, float], correlationid: str | None) -> None:
        entry = await self._entry(project, entry_id)
        competition = await self._competition(entry.competition_id)
        value = metrics.get(competition.metric)
        if value is None:
            reason = f"the evaluation gave no {competition.metric}"
            await self.reject(project, entry_id, reason, correlationid)
            return

        def decide(entry: Entry) -> tuple[Entry, list[Say]]:
            after = entry.scored(value)
            scored = EntryScored(
                entry_id=entry_id,
                competition_id=entry.competition_id,
                model_id=entry.model_id,
                metric=competition.metric,
                score=value,
            )
            return after, [Say(ENTRY_SCORED, scored, entry_id, correlationid)] if after is not entry else []

        await self.repository.entries.change(project, entry_id, decide)

    async def reject(self, project: str, entry_id: str, reason: str, correlationid: str | None) -> None:
        def decide(entry: Entry) -> tuple[Entry, list[Say]]:
            after = entry.rejected(reason)
            rejected = EntryRejected(
                entry_id=entry_id, competition_id=entry.competition_id, model_id=entry.model_id, reason=reason
            )
            return after, [Say(ENTRY_REJECTED, rejected, entry_id, correlationid)] if after is not entry else []

        await self.repository.entries.change(project, entry_id, decide)

    async def entry(self, context: CallContext, request: publish.GetEntry) -> publish.EntryView:
        return entry_view(await self._entry(context.project, request.entry_id))

    async def leaderboard(self, _: CallContext, request: publish.GetCompetition) -> publish.Leaderboard:
        """Best score first; of equal scores the earlier submission. Equal scores share a rank."""
        competition = await self._competition(request.competition_id)
        entries = await self.repository.best_entries(competition.competition_id)
        ordered = sorted(entries, key=lambda entry: (-(entry.score or 0.0), entry.submitted_at))
        ranks: dict[float | None, int] = {}
        for position, entry in enumerate(ordered, start=1):
            ranks.setdefault(entry.score, position)
        return publish.Leaderboard(
            competition_id=competition.competition_id,
            title=competition.title,
            metric=competition.metric,
            rows=tuple(leaderboard_row(ranks[entry.score], entry) for entry in ordered),
        )

    async def _competition(self, competition_id: str) -> Competition:
        """Of any project: everybody may enter and look."""
        competition = await self.repository.competitions.get(None, competition_id)
        if competition is None:
            raise NotFound("competition", competition_id)
        return competition

    async def _entry(self, project: str, entry_id: str) -> Entry:
        entry = await self.repository.entries.get(project, entry_id)
        if entry is None:
            raise NotFound("entry", entry_id)
        return entry


def _requested_id(context: CallContext, kind: str) -> str:
    key = context.idempotency_key
    return derived_id(context.project, kind, key) if key else new_id()


def _artifact(version: VersionView, artifact_id: str | None) -> str:
    if version.model_status != "published":
        raise NotPublished(version.model_status)
    for artifact in version.artifacts:
        if artifact.artifact_id == artifact_id or (artifact_id is None and artifact.kind == "source"):
            return artifact.artifact_id
    raise NoSuchArtifact(artifact_id or "source")
