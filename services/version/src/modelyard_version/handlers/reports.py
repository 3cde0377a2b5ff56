"""Hears what the other services did with a version and writes it down in its document.

Everything may be told twice, late, or about a version that was deleted meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts import events
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import NotStorable
from modelyard_contracts.outcome import Cause
from modelyard_version.domain import versions as domain
from modelyard_version.domain.versions import Entry, Listing, Refusal, Version, VersionOutcome, Work
from modelyard_version.handlers.deletion import DeletionHandlers
from modelyard_version.repository.versions import VersionRepository

Transition = Callable[[Version, int], VersionOutcome | None]


@dataclass(frozen=True)
class ReportEvents:
    versions: VersionRepository
    deletion: DeletionHandlers
    now: Callable[[], int]

    async def import_succeeded(self, envelope: Envelope, fact: events.ImportSucceeded) -> None:
        def refused(error: NotStorable) -> Transition:
            problems = tuple(problem.model_dump() for problem in error.problems)
            why = {"code": error.code, "reason": error.message, "problems": problems}
            instead = events.ImportFailed(import_id=fact.import_id, model_id=fact.model_id, **why)
            return lambda v, now: domain.failed(v, instead, now)

        await self._brought(envelope, fact.model_id, lambda v, now: domain.published(v, fact, now), refused)

    async def import_failed(self, envelope: Envelope, fact: events.ImportFailed) -> None:
        await self._note(envelope, fact.model_id, lambda v, now: domain.failed(v, fact, now))

    async def conversion_created(self, envelope: Envelope, fact: events.ConversionCreated) -> None:
        work = Work(fact.conversion_id, f"a conversion to {fact.target} has not ended")
        await self._note(envelope, fact.model_id, lambda v, now: domain.work_began(v, work, now))

    async def conversion_succeeded(self, envelope: Envelope, fact: events.ConversionSucceeded) -> None:
        def refused(_: NotStorable) -> Transition:
            return lambda v, now: domain.work_ended(v, fact.conversion_id, now)

        await self._brought(envelope, fact.model_id, lambda v, now: domain.converted(v, fact, now), refused)

    async def conversion_failed(self, envelope: Envelope, fact: events.ConversionFailed) -> None:
        await self._note(envelope, fact.model_id, lambda v, now: domain.work_ended(v, fact.conversion_id, now))

    async def evaluation_created(self, envelope: Envelope, fact: events.EvaluationCreated) -> None:
        work = Work(fact.run_id, f"its evaluation {fact.version} has not ended")
        await self._note(envelope, fact.model_id, lambda v, now: domain.work_began(v, work, now))

    async def evaluation_succeeded(self, envelope: Envelope, fact: events.EvaluationSucceeded) -> None:
        try:
            await self._note(envelope, fact.model_id, lambda v, now: domain.evaluated(v, fact, now))
        except NotStorable:
            await self._note(envelope, fact.model_id, lambda v, now: domain.work_ended(v, fact.run_id, now))
            raise

    async def evaluation_ended(
        self, envelope: Envelope, fact: events.EvaluationFailed | events.EvaluationStopped
    ) -> None:
        await self._note(envelope, fact.model_id, lambda v, now: domain.work_ended(v, fact.run_id, now))

    async def listed(self, envelope: Envelope, fact: events.PublicationListed) -> None:
        listing = Listing(fact.listing_id, fact.title)
        await self._note(envelope, fact.model_id, lambda v, now: domain.listed(v, listing, now))

    async def withdrawn(self, envelope: Envelope, fact: events.PublicationWithdrawn) -> None:
        await self._note(envelope, fact.model_id, lambda v, now: domain.withdrawn(v, fact.listing_id, now))

    async def refused(self, envelope: Envelope, fact: events.PublicationRefused) -> None:
        refusal = Refusal(fact.listing_id, fact.title, fact.code, fact.reason)
        await self._note(envelope, fact.model_id, lambda v, now: domain.refused(v, refusal, now))

    async def entry_submitted(self, envelope: Envelope, fact: events.EntrySubmitted) -> None:
        entry = Entry(
            fact.entry_id,
            fact.competition_id,
            fact.artifact_id,
            fact.deadline,
            metric=fact.metric,
            title=fact.competition_title,
        )
        await self._note(envelope, fact.model_id, lambda v, now: domain.entered(v, entry, now))

    async def entry_scored(self, envelope: Envelope, fact: events.EntryScored) -> None:
        entry = Entry(fact.entry_id, fact.competition_id, state="scored", metric=fact.metric, score=fact.score)
        await self._note(envelope, fact.model_id, lambda v, now: domain.entered(v, entry, now))

    async def entry_rejected(self, envelope: Envelope, fact: events.EntryRejected) -> None:
        """Also the first and only word on one that a plan asked for in vain."""
        entry = Entry(fact.entry_id, fact.competition_id, state="rejected", code=fact.code, reason=fact.reason)
        await self._note(envelope, fact.model_id, lambda v, now: domain.entered(v, entry, now))

    async def _brought(
        self, envelope: Envelope, model_id: str, transition: Transition, refused: Callable[[NotStorable], Transition]
    ) -> None:
        """A report that left objects behind: when the version is gone, they go too. `refused`: what is written down
        instead of what cannot be; a version must not wait for it for ever."""
        try:
            noted = await self._note(envelope, model_id, transition)
        except NotStorable as error:
            await self._note(envelope, model_id, refused(error))
            raise
        if noted is None:
            await self.deletion.discard(envelope.project, model_id)

    async def _note(self, envelope: Envelope, model_id: str, transition: Transition) -> Version | None:
        """Also to one that was archived while the work went on."""
        now, cause = self.now(), Cause.of(envelope)
        for place in (envelope.project, domain.archive_of(envelope.project)):
            noted = await self.versions.change(place, model_id, lambda v: transition(v, now), cause)
            if noted is not None:
                return noted
        return None
