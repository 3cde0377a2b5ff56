"""What events ask of the publish service: carry out plans, take scores, forget deleted versions."""

from dataclasses import dataclass

import structlog

from modelyard_bus.consume import Retry
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import EvaluationFailed, EvaluationSucceeded, VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import GalleryOrder, PublicationOrder
from modelyard_publish.entries import Entries
from modelyard_publish.gallery import Gallery
from modelyard_publish.register import Register, own_context

log = structlog.get_logger()

_TRY_AGAIN = frozenset({FailureKind.UNAVAILABLE, FailureKind.INTERNAL})


@dataclass(frozen=True)
class Plans:
    gallery: Gallery
    entries: Entries
    register: Register

    async def version_published(self, envelope: Envelope, data: VersionPublished) -> None:
        """A plan without evaluation publishes at once."""
        if data.plan.publish and not data.plan.evaluate:
            await self._carry_out(envelope, data.model_id)

    async def evaluation_succeeded(self, envelope: Envelope, data: EvaluationSucceeded) -> None:
        """Scores an entry; and a plan with evaluation publishes once the source has its first result."""
        if data.entry_id is not None:
            await self.entries.score(envelope.project, data.entry_id, data.metrics, envelope.correlationid)
        elif data.target == "source":
            await self._carry_out(envelope, data.model_id, data.dataset_id)

    async def evaluation_failed(self, envelope: Envelope, data: EvaluationFailed) -> None:
        if data.entry_id is not None:
            await self.entries.reject(envelope.project, data.entry_id, data.reason, envelope.correlationid)

    async def version_deleted(self, envelope: Envelope, data: VersionDeleted) -> None:
        """Its listing goes. Entries stay: a leaderboard tells what was scored, also of models that are gone."""
        await self.gallery.version_gone(envelope.project, data.model_id, envelope.correlationid)

    async def _carry_out(self, envelope: Envelope, model_id: str, measured_on: str | None = None) -> None:
        """With `measured_on` only if the plan asked for an evaluation on that dataset."""
        context = own_context(envelope.project, envelope.correlationid or envelope.id)
        version = await self._version(context, model_id)
        if version is None:
            return
        if measured_on is not None and all(order.dataset_id != measured_on for order in version.plan.evaluate):
            return
        for order in version.plan.publish:
            try:
                await self._publish(context, version, order)
            except Failure as failure:
                if failure.kind in _TRY_AGAIN:
                    raise Retry(failure.message) from failure
                # Nobody waits for an answer here; the version's lineage simply lacks this publication.
                log.warning("plan_refused", model_id=model_id, channel=order.channel, reason=failure.message)

    async def _publish(self, context: CallContext, version: VersionView, order: PublicationOrder) -> None:
        if isinstance(order, GalleryOrder):
            await self.gallery.carry_out(context, version, order.title)
        else:
            await self.entries.carry_out(context, version, order.competition_id)

    async def _version(self, context: CallContext, model_id: str) -> VersionView | None:
        """None when it was deleted meanwhile; then a listing that an earlier try made goes too."""
        try:
            return await self.register.version(context, model_id)
        except Failure as failure:
            if failure.kind is not FailureKind.NOT_FOUND:
                raise Retry(failure.message) from failure
            await self.gallery.version_gone(context.project, model_id, context.correlationid)
            return None
