"""What evaluations do here: they give an entry its verdict, and a plan that waited for them goes on."""

from dataclasses import dataclass

from modelyard_bus.consume import Reject
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import EvaluationFailed, EvaluationSucceeded
from modelyard_contracts.outcome import Cause
from modelyard_publish.domain import entries
from modelyard_publish.domain.entries import Entry
from modelyard_publish.handlers.plans import VersionEvents
from modelyard_publish.repository import Repository
from modelyard_store.aggregates import Decide


@dataclass(frozen=True, slots=True)
class EvaluationEvents:
    repository: Repository
    versions: VersionEvents

    async def succeeded(self, envelope: Envelope, fact: EvaluationSucceeded) -> None:
        """Event evaluation.succeeded: scores an entry; and a plan with evaluation publishes once the source has its
        first result."""
        if fact.entry_id is not None:
            await self._score(envelope, fact.entry_id, fact.metrics)
        elif fact.target == "source":
            await self.versions.measured(envelope, fact.model_id, fact.dataset_id)

    async def failed(self, envelope: Envelope, fact: EvaluationFailed) -> None:
        """Event evaluation.failed: rejects the entry that it should have scored."""
        if fact.entry_id is None:
            return
        await self._judge(envelope, fact.entry_id, lambda entry: entries.rejected(entry, fact.reason, fact.code))

    async def _score(self, envelope: Envelope, entry_id: str, metrics: dict[str, float]) -> None:
        entry = await self.repository.entries.get(envelope.project, entry_id)
        if entry is None:
            raise _nobodys(envelope, entry_id)
        competition = await self.repository.competition(entry.competition_id)
        await self._judge(envelope, entry_id, lambda found: entries.scored(found, competition, metrics))

    async def _judge(self, envelope: Envelope, entry_id: str, decide: Decide[Entry]) -> None:
        """Raises Reject for an entry that nobody submitted."""
        judged = await self.repository.entries.change(envelope.project, entry_id, decide, Cause.of(envelope))
        if judged is None:
            raise _nobodys(envelope, entry_id)


def _nobodys(envelope: Envelope, entry_id: str) -> Reject:
    return Reject(f"no entry {entry_id!r} in project {envelope.project!r}")
