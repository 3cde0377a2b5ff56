"""Listings, competitions and entries: what they are and what may happen to them. No I/O; the clock is handed in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from modelyard_contracts.calls.publish import Metric

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One version in the gallery. A withdrawn listing stays as a record; listing the version again makes another.

    `live` is the model id while it is listed: unique, so that no version is in the gallery twice. `request_digest` is
    empty when a plan made it.
    """

    listing_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    title: str
    description: str
    state: Literal["listed", "withdrawn"]
    live: str | None
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

    def scored(self, score: float) -> "Entry":
        """The first verdict stands: a repeated evaluation event changes nothing."""
        return replace(self, state="scored", score=score) if self.state == "submitted" else self

    def rejected(self, reason: str) -> "Entry":
        return replace(self, state="rejected", reason=reason) if self.state == "submitted" else self


def day_of(competition_id: str, project: str, now: int) -> str:
    """What all slots of one project in one competition on one UTC day begin with."""
    return f"{competition_id}:{project}:{now // DAY_MS}:"


def in_slot(entry: Entry, number: int) -> Entry:
    """`number` counts the project's entries of that day from 0. Entries are never deleted, so there are no gaps."""
    return replace(entry, slot=f"{day_of(entry.competition_id, entry.project, entry.submitted_at)}{number}")


def same_entry(one: Entry, other: Entry) -> bool:
    """Whether both ask for the same thing, whenever they came."""
    return (one.competition_id, one.model_id, one.artifact_id) == (
        other.competition_id,
        other.model_id,
        other.artifact_id,
    )


def withdrawn(listing: Listing) -> Listing:
    return replace(listing, state="withdrawn", live=None)


def ranked(entries: Iterable[Entry]) -> list[tuple[int, Entry]]:
    """Best score first, of equal scores the earlier submission. Equal scores share a rank; the next one skips."""
    ordered = sorted(entries, key=lambda entry: (-(entry.score or 0.0), entry.submitted_at, entry.entry_id))
    ranks: dict[float | None, int] = {}
    for place, entry in enumerate(ordered, start=1):
        ranks.setdefault(entry.score, place)
    return [(ranks[entry.score], entry) for entry in ordered]
