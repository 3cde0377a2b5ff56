"""What versions ask of the publish service: a published one brings its plan, a deleted one leaves the gallery."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from modelyard_bus.consume import Retry
from modelyard_contracts.calls.context import own_context
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionArchived, VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.outcome import Cause
from modelyard_contracts.shapes import CompetitionOrder, GalleryOrder
from modelyard_publish.domain import entries, listings
from modelyard_publish.register import Register, require_published
from modelyard_publish.repository import Repository
from modelyard_store.documents import Duplicate

_BY = "service:publish"


@dataclass(frozen=True, slots=True)
class VersionEvents:
    repository: Repository
    register: Register
    now: Callable[[], int]

    async def published(self, envelope: Envelope, fact: VersionPublished) -> None:
        """Event version.published: a plan without evaluation publishes at once."""
        if fact.plan.publish and not fact.plan.evaluate:
            await self._carry_out(envelope, fact.model_id)

    async def measured(self, envelope: Envelope, model_id: str, dataset_id: str) -> None:
        """The source has a result: a plan that asked for it publishes now."""
        await self._carry_out(envelope, model_id, dataset_id)

    async def deleted(self, envelope: Envelope, fact: VersionDeleted | VersionArchived) -> None:
        """Events version.deleted and version.archived: its listing goes. Entries stay: a leaderboard tells what was
        scored, also of models that are gone."""
        await self.repository.withdraw_version(envelope.project, fact.model_id, Cause.of(envelope))

    async def _carry_out(self, envelope: Envelope, model_id: str, measured_on: str | None = None) -> None:
        """With `measured_on` only if the plan asked for an evaluation on that dataset."""
        version = await self._version(envelope, model_id)
        if version is None:
            return
        if measured_on is not None and all(order.dataset_id != measured_on for order in version.plan.evaluate):
            return
        for order in version.plan.publish:
            if isinstance(order, GalleryOrder):
                await self._list(envelope, version, order)
            else:
                await self._enter(envelope, version, order)

    async def _list(self, envelope: Envelope, version: VersionView, order: GalleryOrder) -> None:
        """Once, so that a listing which somebody withdrew does not come back; what cannot be is kept as refused."""
        listing_id, cause = listings.planned_id(version.model_id), Cause.of(envelope)
        if await self.repository.listings.get(envelope.project, listing_id):
            return
        wanted = listings.listing_of(version, listing_id, order.title, by=_BY, now=self.now())
        try:
            require_published(version)
            await self.repository.add_listing(wanted, cause)
        except Failure as failure:
            with suppress(Duplicate):
                await self.repository.listings.add(
                    envelope.project, listing_id, listings.refused(wanted, failure), cause
                )
            return
        await self._version(envelope, version.model_id)  # deleted meanwhile, it takes its listing with it

    async def _enter(self, envelope: Envelope, version: VersionView, order: CompetitionOrder) -> None:
        """Its source, once; what cannot be is kept as rejected."""
        entry_id, cause = entries.planned_id(version.model_id, order.competition_id), Cause.of(envelope)
        if await self.repository.entries.get(envelope.project, entry_id):
            return
        source = next((each.artifact_id for each in version.artifacts if each.kind == "source"), "")
        wanted = entries.entry_of(version, entry_id, order.competition_id, source, by=_BY, now=self.now())
        try:
            require_published(version)
            competition = await self.repository.competition(order.competition_id)
            await self.repository.add_entry(wanted, competition, cause)
        except Failure as failure:
            with suppress(Duplicate):
                await self.repository.entries.add(envelope.project, entry_id, entries.refused(wanted, failure), cause)

    async def _version(self, envelope: Envelope, model_id: str) -> VersionView | None:
        """None when it was deleted meanwhile; then a listing that an earlier try made goes too. Raises Retry while the
        version service is away."""
        context = own_context("publish", envelope.project, envelope.correlationid or envelope.id)
        try:
            return await self.register.version(context, model_id)
        except Failure as failure:
            if failure.kind is not FailureKind.NOT_FOUND:
                raise Retry(failure.message) from failure
            await self.repository.withdraw_version(envelope.project, model_id, Cause.of(envelope))
            return None
