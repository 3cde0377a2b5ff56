"""What versions do to conversions: a published one brings its plan, a deleted one ends everything."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from modelyard_bus.consume import Retry
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure, FailureKind, is_away
from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_contracts.shapes import ConversionOrder
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.domain import Conversion
from modelyard_convert.errors import VersionGone
from modelyard_convert.outputs import Outputs
from modelyard_convert.repository import Repository
from modelyard_convert.toolchains import TARGETS, toolchain_of
from modelyard_store.documents import Duplicate


def planned_id(project: str, model_id: str, position: int) -> str:
    """The same for every delivery, so that a plan makes each conversion once."""
    return derived_id(project, "convert.plan", model_id, str(position))


@dataclass(frozen=True, slots=True)
class VersionEvents:
    repository: Repository
    admission: Admission
    outputs: Outputs
    now: Callable[[], int]

    async def published(self, envelope: Envelope, fact: VersionPublished) -> None:
        """Event version.published: one conversion per order of its plan; what cannot be done is kept as failed."""
        for position, order in enumerate(fact.plan.convert):
            conversion_id = planned_id(envelope.project, fact.model_id, position)
            if await self.repository.get(envelope.project, conversion_id) is None:
                await self._carry_out(envelope, fact, conversion_id, order)

    async def deleted(self, envelope: Envelope, fact: VersionDeleted) -> None:
        """Event version.deleted: running attempts notice within a second; what was written is removed."""

        def end(found: Conversion) -> Outcome[Conversion] | None:
            return None if found.finished else domain.failed(found, VersionGone(), now=self.now())

        for found in await self.repository.unfinished_of(envelope.project, fact.model_id):
            await self.repository.change(envelope.project, found.conversion_id, end, Cause.of(envelope))
        await self.outputs.forget_version(envelope.project, fact.model_id)

    async def _carry_out(
        self, envelope: Envelope, fact: VersionPublished, conversion_id: str, order: ConversionOrder
    ) -> None:
        cause = Cause.of(envelope)
        planned = _planned(envelope, fact, conversion_id, order, self.now())
        try:
            outcome = await self._admitted(planned)
        except Failure as failure:
            if failure.kind is FailureKind.NOT_FOUND and order.calibration_dataset_id is None:
                return  # the version was deleted meanwhile
            if is_away(failure):
                raise Retry(failure.message) from failure
            outcome = domain.refused(planned, failure, now=self.now())
        with suppress(Duplicate):
            await self.repository.add(outcome, cause)

    async def _admitted(self, planned: Conversion) -> Outcome[Conversion]:
        """Nobody waits for a planned conversion, so it may wait for a worker."""
        admitted = await self.admission.examine(planned.project, planned.correlationid, planned.model_id, planned.order)
        if not await self.admission.offered(admitted.toolchain.name):
            planned = domain.unoffered(planned)
        return domain.created(planned, admitted.toolchain.job)


def _planned(
    envelope: Envelope, fact: VersionPublished, conversion_id: str, order: ConversionOrder, now: int
) -> Conversion:
    return Conversion(
        conversion_id=conversion_id,
        project=envelope.project,
        model_id=fact.model_id,
        model_name=fact.model_name,
        model_version=fact.model_version,
        name=f"{fact.model_name}-{order.target}"[:64],
        description="",
        order=order,
        toolchain=toolchain_of(order.target).name if order.target in TARGETS else "none",
        origin="plan",
        created_at=now,
        correlationid=envelope.correlationid or envelope.id,
    )
