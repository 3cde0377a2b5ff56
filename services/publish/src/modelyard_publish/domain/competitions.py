"""Competitions: until when they are open, and what is said when one opens."""

from dataclasses import dataclass

from modelyard_contracts.calls.publish import Metric
from modelyard_contracts.catalogue import COMPETITION_OPENED
from modelyard_contracts.events import CompetitionOpened
from modelyard_contracts.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Competition:
    """`deadline` in ms since 1970 UTC; an entry submitted in that very millisecond is too late."""

    competition_id: str
    project: str
    title: str
    description: str
    dataset_id: str
    metric: Metric
    deadline: int
    entries_per_day: int
    created_at: int
    created_by: str
    request_digest: str = ""

    def open_at(self, now: int) -> bool:
        return now < self.deadline


def opened(competition: Competition) -> Outcome[Competition]:
    fact = CompetitionOpened(
        competition_id=competition.competition_id,
        title=competition.title,
        metric=competition.metric,
        deadline=competition.deadline,
    )
    return Outcome(competition, ((COMPETITION_OPENED, fact),))
