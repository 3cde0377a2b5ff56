"""Listings, competitions and entries: what they are and what may happen to them. No I/O; the clock is handed in."""

from dataclasses import dataclass, replace
from typing import Literal

from modelyard_contracts.calls.publish import Metric

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One version in the gallery. Withdrawn ones stay as a record and may be listed again."""

    listing_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    title: str
    description: str
    state: Literal["listed", "withdrawn"]
    created_at: int
    created_by: str
    request_digest: str = ""


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


@dataclass(frozen=True, slots=True)
class Entry:
    """`slot` is the entrant's n-th place on one UTC day: unique, so that two at once cannot both take the last."""

    entry_id: str
    competition_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    artifact_id: str
    slot: str
    state: Literal["submitted", "scored", "rejected"]
    score: float | None
    reason: str | None
    submitted_at: int
    submitted_by: str
    request_digest: str = ""

    def scored(self, score: float) -> "Entry":
        """The first verdict stands: a repeated evaluation event changes nothing."""
        return replace(self, state="scored", score=score) if self.state == "submitted" else self

    def rejected(self, reason: str) -> "Entry":
        return replace(self, state="rejected", reason=reason) if self.state == "submitted" else self


def slot(competition: Competition, project: str, now: int, number: int) -> str:
    return f"{competition.competition_id}:{project}:{now // DAY_MS}:{number}"


def withdrawn(listing: Listing) -> Listing:
    return replace(listing, state="withdrawn")
