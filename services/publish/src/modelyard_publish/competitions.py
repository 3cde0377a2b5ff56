"""Competitions: opened on a hidden dataset, and visible to everybody with their leaderboard. Called by the bus."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Page
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.catalogue import COMPETITION_OPENED
from modelyard_contracts.events import CompetitionOpened
from modelyard_publish.domain import Competition, ranked
from modelyard_publish.errors import DatasetNotHidden, DeadlineInThePast, NotFound
from modelyard_publish.register import Register
from modelyard_publish.repository import Repository
from modelyard_publish.views import competition_view, leaderboard_row
from modelyard_store.aggregates import Say
from modelyard_store.documents import Duplicate


@dataclass(frozen=True)
class Competitions:
    repository: Repository
    register: Register
    clock: Callable[[], int]

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
        now = self.clock()
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
                context.project, identifier, competition, [_opened(competition, context.correlationid)]
            )
        except Duplicate:
            return await self.competition(identifier)
        return competition

    async def get(self, _: CallContext, request: publish.GetCompetition) -> publish.CompetitionView:
        return await self._view(await self.competition(request.competition_id))

    async def page(self, _: CallContext, request: Page) -> publish.CompetitionPage:
        total, page = await self.repository.newest_competitions(request.offset, request.limit)
        views = await asyncio.gather(*(self._view(competition) for competition in page))
        return publish.CompetitionPage(total_count=total, count=len(views), competitions=tuple(views))

    async def leaderboard(self, _: CallContext, request: publish.GetCompetition) -> publish.Leaderboard:
        """The thousand best entries."""
        competition = await self.competition(request.competition_id)
        entries = await self.repository.best_entries(competition.competition_id)
        return publish.Leaderboard(
            competition_id=competition.competition_id,
            title=competition.title,
            metric=competition.metric,
            rows=tuple(leaderboard_row(rank, entry) for rank, entry in ranked(entries)),
        )

    async def competition(self, competition_id: str) -> Competition:
        """Of any project. Raises NotFound."""
        competition = await self.repository.competitions.get(None, competition_id)
        if competition is None:
            raise NotFound("competition", competition_id)
        return competition

    async def _view(self, competition: Competition) -> publish.CompetitionView:
        entries = await self.repository.entries_in(competition.competition_id)
        return competition_view(competition, entries, self.clock())


def _opened(competition: Competition, correlationid: str) -> Say:
    data = CompetitionOpened(
        competition_id=competition.competition_id,
        title=competition.title,
        metric=competition.metric,
        deadline=competition.deadline,
    )
    return Say(COMPETITION_OPENED, data, competition.competition_id, correlationid)
