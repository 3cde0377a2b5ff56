"""The calls about competitions: opened on a hidden dataset, and visible to everybody with their leaderboard."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Page
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.outcome import Cause
from modelyard_publish.domain.competitions import Competition, opened
from modelyard_publish.domain.entries import ranked
from modelyard_publish.errors import DatasetNotHidden, DeadlineInThePast
from modelyard_publish.register import Register
from modelyard_publish.repository import Repository
from modelyard_publish.views import competition_view, leaderboard_row
from modelyard_store.documents import Duplicate


@dataclass(frozen=True, slots=True)
class CompetitionCalls:
    repository: Repository
    register: Register
    now: Callable[[], int]

    async def create(self, context: CallContext, request: publish.CreateCompetition) -> publish.CompetitionView:
        identifier, digest = created_id(context, publish.CREATE_COMPETITION), request_digest(request)
        competition = await self.repository.competitions.get(context.project, identifier)
        if competition is None:
            competition = await self._open(context, request, identifier, digest)
        if competition.request_digest != digest:
            raise KeyReused
        return await self._view(competition)

    async def _open(
        self, context: CallContext, request: publish.CreateCompetition, identifier: str, digest: str
    ) -> Competition:
        now = self.now()
        if request.deadline <= now:
            raise DeadlineInThePast(request.deadline)
        dataset = await self.register.dataset(context, request.dataset_id)
        if not dataset.hidden:
            raise DatasetNotHidden(dataset.name)
        competition = Competition(
            competition_id=identifier,
            project=context.project,
            created_at=now,
            created_by=context.actor,
            request_digest=digest,
            **request.model_dump(),
        )
        try:
            await self.repository.competitions.add(
                context.project, identifier, opened(competition), Cause.asked(context)
            )
        except Duplicate:
            return await self.repository.competition(identifier)
        return competition

    async def get(self, _: CallContext, request: publish.GetCompetition) -> publish.CompetitionView:
        return await self._view(await self.repository.competition(request.competition_id))

    async def page(self, _: CallContext, request: Page) -> publish.CompetitionPage:
        total, page = await self.repository.newest_competitions(request.offset, request.limit)
        views = await asyncio.gather(*(self._view(competition) for competition in page))
        return publish.CompetitionPage(total_count=total, count=len(views), competitions=tuple(views))

    async def open_on(self, context: CallContext, request: publish.OpenCompetitionsOn) -> publish.OpenCompetitions:
        """Of the caller's project, as its datasets are."""
        found = await self.repository.open_on(context.project, request.dataset_id, self.now())
        return publish.OpenCompetitions(titles=tuple(competition.title for competition in found))

    async def leaderboard(self, _: CallContext, request: publish.GetCompetition) -> publish.Leaderboard:
        """The thousand best entries."""
        competition = await self.repository.competition(request.competition_id)
        entries = await self.repository.best_entries(competition.competition_id)
        return publish.Leaderboard(
            competition_id=competition.competition_id,
            title=competition.title,
            metric=competition.metric,
            rows=tuple(leaderboard_row(rank, entry) for rank, entry in ranked(entries)),
        )

    async def _view(self, competition: Competition) -> publish.CompetitionView:
        entries = await self.repository.entries_in(competition.competition_id)
        return competition_view(competition, entries, self.now())
