"""Decisions without any store."""

from dataclasses import replace

import pytest

from modelyard_publish.domain.competitions import Competition
from modelyard_publish.domain.entries import (
    DAY_MS,
    Entry,
    day_of,
    in_slot,
    ranked,
    refused,
    rejected,
    same_entry,
    scored,
)
from modelyard_publish.errors import NotFound

ENTRY = Entry(
    entry_id="e",
    competition_id="co",
    project="p",
    model_id="m",
    model_name="digits",
    model_version="0.0.1",
    artifact_id="a",
    slot="",
    state="submitted",
    score=None,
    reason=None,
    submitted_at=0,
    submitted_by="alice",
)
COMPETITION = Competition("co", "p", "t", "", "d", "accuracy", 100, 5, 0, "alice")


def test_the_first_verdict_stands() -> None:
    verdict = scored(ENTRY, COMPETITION, {"accuracy": 0.9})
    assert verdict is not None
    assert (verdict.value.state, verdict.value.score) == ("scored", 0.9)
    assert scored(verdict.value, COMPETITION, {"accuracy": 0.1}) is None
    assert rejected(verdict.value, "late") is None
    refusal = rejected(ENTRY, "crashed")
    assert refusal is not None
    assert (refusal.value.state, refusal.value.reason, refusal.value.score) == ("rejected", "crashed", None)
    assert scored(refusal.value, COMPETITION, {"accuracy": 0.9}) is None


def test_a_refused_entry_has_no_slot_and_a_bearable_reason() -> None:
    """It may quote an id of any length, which the event names besides."""
    kept = refused(in_slot(ENTRY, 0), NotFound("competition", "x" * 600_000))
    assert (kept.value.slot, kept.value.state, kept.value.code) == (None, "rejected", "ModelArts.3001")
    assert kept.value.reason is not None
    assert kept.value.reason.startswith("no competition 'xxx")
    assert len(kept.value.reason) < 2000


@pytest.mark.parametrize(("now", "is_open"), [(99, True), (100, False), (101, False)])
def test_the_deadline_itself_is_too_late(now: int, is_open: bool) -> None:
    assert COMPETITION.open_at(now) is is_open


def test_slots_differ_by_competition_project_day_and_number() -> None:
    later = replace(ENTRY, submitted_at=DAY_MS)
    slots = {
        in_slot(entry, number).slot
        for entry in (ENTRY, later, replace(ENTRY, project="q"), replace(ENTRY, competition_id="other"))
        for number in (0, 1, 10)
    }
    assert len(slots) == 12
    assert in_slot(replace(ENTRY, submitted_at=DAY_MS - 1), 3).slot == f"{day_of('co', 'p', 0)}3"


def test_equal_scores_share_a_rank_and_the_earlier_comes_first() -> None:
    entries = [
        replace(ENTRY, entry_id=name, project=name, state="scored", score=score, submitted_at=at)
        for name, score, at in [("d", 0.5, 1), ("c", 0.9, 7), ("b", 0.9, 3), ("a", 1.0, 9), ("z", 0.0, 0)]
    ]
    assert [(rank, entry.entry_id) for rank, entry in ranked(entries)] == [
        (1, "a"),
        (2, "b"),
        (2, "c"),
        (4, "d"),
        (5, "z"),
    ]
    assert ranked([]) == []


def test_a_team_has_one_row_its_best() -> None:
    entries = [
        replace(ENTRY, entry_id=name, project=project, state="scored", score=score, submitted_at=at)
        for name, project, score, at in [("a", "p", 0.5, 1), ("b", "p", 0.9, 7), ("c", "p", 0.9, 3), ("d", "q", 0.7, 2)]
    ]
    assert [(rank, entry.entry_id) for rank, entry in ranked(entries)] == [(1, "c"), (2, "d")]


def test_the_same_entry_whenever_it_came() -> None:
    assert same_entry(ENTRY, replace(ENTRY, submitted_at=9, slot="x", state="scored"))
    assert not same_entry(ENTRY, replace(ENTRY, artifact_id="other"))
