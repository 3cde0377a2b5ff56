"""What events ask of the publish service: carry out plans, take scores, forget deleted versions."""

from dataclasses import dataclass

import structlog

from modelyard_bus.calls import CallContext
from modelyard_bus.consume import Retry
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import EvaluationFailed, EvaluationSucceeded, VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import GalleryOrder, PublicationOrder
from modelyard_publish.competitions import Competitions
from modelyard_publish.gallery import Gallery
from modelyard_publish.register import Register, own_context

log = structlog.get_logger()


@dataclass(frozen=True)
class Plans:
    gallery: Gallery
    competitions: Competitions
    register: Register

    async def version_published(self, envelope: Envelope, data: VersionPublished) -> None:
        """A plan without evaluation publishes at once."""
        if data.plan.publish and not data.plan.evaluate:
            await self._carry_out(envelope, data.model_id, data.plan.publish)

    async def evaluation_succeeded(self, envelope: Envelope, data: EvaluationSucceeded) -> None:
        """Scores an entry; and a plan with evaluation publishes once the source has its first result."""
        if data.entry_id is not None:
            await self.competitions.score(envelope.project, data.entry_id, data.metrics, envelope.correlationid)
        elif data.target == "source":
            version = await self._version(envelope, data.model_id)
            if version and any(order.dataset_id == data.dataset_id for order in version.plan.evaluate):
                await self._carry_out(envelope, data.model_id, version.plan.publish)

    async def evaluation_failed(self, envelope: Envelope, data: EvaluationFailed) -> None:
        if data.entry_id is not None:
            await self.competitions.reject(envelope.project, data.entry_id, data.reason, envelope.correlationid)

    async def version_deleted(self, envelope: Envelope, data: VersionDeleted) -> None:
        """Its listing goes. Entries stay: a leaderboard tells what was scored, also of models that are gone."""
        await self.gallery.remove_version(envelope.project, data.model_id)

    async def _carry_out(self, envelope: Envelope, model_id: str, orders: tuple[PublicationOrder, ...]) -> None:
        version = await self._version(envelope, model_id)
        if version is None:
            return
        for order in orders:
            try:
                await self._publish(self._context(envelope), version, order)
            except Failure as failure:
                if failure.kind in (FailureKind.UNAVAILABLE, FailureKind.INTERNAL):
                    raise Retry from failure
                # Nobody waits for an answer here; the version's lineage simply lacks this publication.
                log.warning("plan.refused", model_id=model_id, order=order.channel, reason=failure.message)

    async def _publish(self, context: CallContext, version: VersionView, order: PublicationOrder) -> None:
        if isinstance(order, GalleryOrder):
            await self.gallery.list_version(context, version, order.title)
            return
        entry_id = derived_id("planned-entry", version.model_id, order.competition_id)
        await self.competitions.enter(context, entry_id, order.competition_id, version, None)

    async def _version(self, envelope: Envelope, model_id: str) -> VersionView | None:
        """None when it was deleted meanwhile."""
        try:
            return await self.register.version(self._context(envelope), model_id)
        except Failure as failure:
            if failure.kind is FailureKind.NOT_FOUND:
                return None
            raise Retry from failure

    def _context(self, envelope: Envelope) -> CallContext:
        return own_context(envelope.project, envelope.correlationid or envelope.id)
