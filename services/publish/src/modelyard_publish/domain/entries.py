"""Entries of competitions: submitted → scored or rejected, what is said of them, and how they are ranked."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.catalogue import ENTRY_REJECTED, ENTRY_SCORED, ENTRY_SUBMITTED
from modelyard_contracts.events import EntryRejected, EntryScored, EntrySubmitted
from modelyard_contracts.failures import Failure
from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Outcome
from modelyard_publish.domain.competitions import Competition

DAY_MS = 86_400_000
LONGEST_REASON = 1000  # characters: it may quote what a plan says, and the event that names it must stay small


@dataclass(frozen=True, slots=True)
class Entry:
    """`slot` is the entrant's n-th place on one UTC day: unique, so that two at once cannot both take the last. An
    entry that a plan asked for in vain has none: it is in no competition.
    """

    entry_id: str
    competition_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    artifact_id: str
    slot: str | None
    state: Literal["submitted", "scored", "rejected"]
    score: float | None
    reason: str | None
    submitted_at: int
    submitted_by: str
    code: str | None = None


def planned_id(model_id: str, competition_id: str) -> str:
    """The same for every delivery, so that a plan enters its version once."""
    return derived_id("planned-entry", model_id, competition_id)


def entry_of(version: VersionView, entry_id: str, competition_id: str, artifact_id: str, *, by: str, now: int) -> Entry:
    """Not in its slot yet."""
    return Entry(
        entry_id=entry_id,
        competition_id=competition_id,
        project=version.project,
        model_id=version.model_id,
        model_name=version.model_name,
        model_version=version.model_version,
        artifact_id=artifact_id,
        slot=None,
        state="submitted",
        score=None,
        reason=None,
        submitted_at=now,
        submitted_by=by,
    )


def submitted(entry: Entry, competition: Competition) -> Outcome[Entry]:
    fact = EntrySubmitted(
        **_names(entry),
        artifact_id=entry.artifact_id,
        dataset_id=competition.dataset_id,
        metric=competition.metric,
        deadline=competition.deadline,
        competition_title=competition.title,
    )
    return Outcome(entry, ((ENTRY_SUBMITTED, fact),))


def scored(entry: Entry, competition: Competition, metrics: dict[str, float]) -> Outcome[Entry] | None:
    """The first verdict stands: a repeated evaluation event changes nothing."""
    score = metrics.get(competition.metric)
    if score is None:
        return rejected(entry, f"the evaluation gave no {competition.metric}")
    if entry.state != "submitted":
        return None
    fact = EntryScored(**_names(entry), metric=competition.metric, score=score)
    return Outcome(replace(entry, state="scored", score=score), ((ENTRY_SCORED, fact),))


def rejected(entry: Entry, reason: str, code: str | None = None) -> Outcome[Entry] | None:
    """The first verdict stands."""
    return _rejected(entry, reason, code) if entry.state == "submitted" else None


def refused(entry: Entry, failure: Failure) -> Outcome[Entry]:
    """What a plan asked for and cannot be: kept without a slot, so that people see why."""
    return _rejected(replace(entry, slot=None), failure.message[:LONGEST_REASON], failure.code)


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


def ranked(entries: Iterable[Entry]) -> list[tuple[int, Entry]]:
    """The best of each team, which is a project. Best score first, of equal scores the earlier submission. Equal scores
    share a rank; the next one skips."""
    best: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: (-(entry.score or 0.0), entry.submitted_at, entry.entry_id)):
        best.setdefault(entry.project, entry)
    ordered = list(best.values())
    ranks: dict[float | None, int] = {}
    for place, entry in enumerate(ordered, start=1):
        ranks.setdefault(entry.score, place)
    return [(ranks[entry.score], entry) for entry in ordered]


def _rejected(entry: Entry, reason: str, code: str | None) -> Outcome[Entry]:
    fact = EntryRejected(**_names(entry), reason=reason, code=code)
    return Outcome(replace(entry, state="rejected", reason=reason, code=code), ((ENTRY_REJECTED, fact),))


def _names(entry: Entry) -> dict[str, str]:
    return {"entry_id": entry.entry_id, "competition_id": entry.competition_id, "model_id": entry.model_id}
