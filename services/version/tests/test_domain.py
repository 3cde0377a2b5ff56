"""The state machine of a version under every order of facts."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import Specification
from modelyard_contracts.events import VersionAliased, VersionRequested
from modelyard_contracts.jobs import PurgeJob
from modelyard_contracts.shapes import FileEntry, Location, Plan, StorageSource
from modelyard_version.domain import versions as domain
from modelyard_version.domain.aliases import Alias, Move, fenced, marked, moved, released
from modelyard_version.domain.holds import in_use
from modelyard_version.domain.versions import KEPT, Entry, Listing, Version, VersionOutcome, Work

from .conftest import Facts

NOW = 1_700_000_000_000


def new() -> Version:
    return Version(
        model_id="m",
        project="p1",
        model_name="digits",
        model_version="0.0.1",
        version_order=1,
        source=StorageSource(location=Location(bucket="training", prefix="a/")),
        specification=Specification(),
        plan=Plan(),
        created_by="alice",
        create_at=NOW,
        updated_at=NOW,
        request_digest="d",
    )


def after(outcome: VersionOutcome | None) -> Version:
    assert outcome is not None
    return outcome.value


def subjects(outcome: VersionOutcome | None) -> list[str]:
    assert outcome is not None
    return [message.subject for message, _ in outcome.says]


def test_a_request_names_where_the_files_belong() -> None:
    outcome = domain.requested(new(), "artifacts")
    [(message, fact)] = outcome.says
    assert message is catalogue.VERSION_REQUESTED
    assert isinstance(fact, VersionRequested)
    assert fact.destination == Location(bucket="artifacts", prefix="p1/models/m/source/")


def test_published_keeps_what_the_import_found(facts: Facts) -> None:
    outcome = domain.published(new(), facts.imported("m"), NOW + 5)
    version = after(outcome)
    assert subjects(outcome) == [catalogue.VERSION_PUBLISHED.subject]
    assert (version.model_status, version.model_type, version.model_size) == ("published", "ONNX", 5000)
    assert version.training is not None
    assert version.source_artifact is not None
    assert version.updated_at == NOW + 5


def test_the_size_of_a_version_is_that_of_its_model_alone(facts: Facts) -> None:
    calibration = FileEntry(path="calibration_data/x.npy", size=9_000_000, sha256="cd" * 32)
    imported = facts.imported("m")
    source = imported.artifact
    source = source.model_copy(update={"files": (*source.files, calibration), "size": source.size + calibration.size})
    version = after(domain.published(new(), imported.model_copy(update={"artifact": source}), NOW))
    assert version.model_size == 5000


def test_failed_keeps_a_reason(facts: Facts) -> None:
    version = after(domain.failed(new(), facts.refused("m"), NOW))
    assert version.failure == {
        "code": "ModelArts.3015",
        "reason": "no config",
        "problems": [{"file": "config.json", "message": "missing", "field": None, "rule": None}],
    }


@pytest.mark.parametrize("first", ["published", "failed"])
def test_an_ending_is_final(facts: Facts, first: str) -> None:
    imported, refused = facts.imported("m"), facts.refused("m")
    ended = domain.published(new(), imported, NOW) if first == "published" else domain.failed(new(), refused, NOW)
    version = after(ended)
    assert domain.published(version, imported, NOW) is None
    assert domain.failed(version, refused, NOW) is None


def test_a_conversion_adds_its_artifact_once(facts: Facts) -> None:
    version = after(domain.published(new(), facts.imported("m"), NOW))
    version = after(domain.work_began(version, Work("k-1", "converting"), NOW))
    assert in_use(version, NOW) == ("converting",)
    outcome = domain.converted(version, facts.converted("m"), NOW)
    version = after(outcome)
    assert subjects(outcome) == [catalogue.ARTIFACT_ADDED.subject]
    assert [a.artifact_id for a in version.artifacts] == ["a-source", "a-k-1"]
    assert not in_use(version, NOW)
    assert domain.converted(version, facts.converted("m"), NOW) is None


def test_a_conversion_of_an_unpublished_version_changes_nothing(facts: Facts) -> None:
    assert domain.converted(new(), facts.converted("m"), NOW) is None


def test_numbers_on_hidden_data_leave_no_evaluation(facts: Facts) -> None:
    version = after(domain.evaluated(new(), facts.evaluated("m", "r-1"), NOW))
    version = after(domain.evaluated(version, facts.evaluated("m", "r-2", entry_id="en-1"), NOW))
    assert [evaluation.run_id for evaluation in version.evaluations] == ["r-1"]
    assert domain.evaluated(version, facts.evaluated("m", "r-2", entry_id="en-1"), NOW) is None


def test_an_entry_holds_until_its_deadline_whether_scored_or_not() -> None:
    version = after(domain.entered(new(), Entry("en", "co", "a", NOW + 10, metric="accuracy"), NOW))
    assert "open until" in in_use(version, NOW + 9)[0]
    twice = after(domain.entered(version, replace(version.entries[0], entry_id="another"), NOW))
    assert len(in_use(twice, NOW + 9)) == 1, "said once"
    version = after(domain.entered(version, Entry("en", "co", state="scored", score=0.9), NOW))
    assert in_use(version, NOW + 9)
    assert not in_use(version, NOW + 10)


def test_a_rejected_entry_holds_nothing_and_one_without_deadline_until_it_is_scored() -> None:
    submitted = Entry("en", "co", "a")
    version = after(domain.entered(new(), submitted, NOW))
    assert in_use(version, NOW)
    assert not in_use(after(domain.entered(version, Entry("en", "co", state="scored", score=1), NOW)), NOW)
    assert not in_use(after(domain.entered(version, Entry("en", "co", state="rejected"), NOW)), NOW)


def test_a_gallery_listing_holds_nothing() -> None:
    version = after(domain.listed(new(), Listing("l", "Digits"), NOW))
    assert version.listings
    assert not in_use(version, NOW)
    assert domain.listed(version, Listing("l", "Digits"), NOW) is None


WORK = Work("w", "working")
ENTRY = Entry("en", "co", "a", NOW + 10, metric="accuracy")
SCORE = Entry("en", "co", state="scored", metric="accuracy", score=0.9)
STEPS: dict[str, Callable[[Version], VersionOutcome | None]] = {
    "began": lambda v: domain.work_began(v, WORK, NOW),
    "ended": lambda v: domain.work_ended(v, "w", NOW),
    "listed": lambda v: domain.listed(v, Listing("l", "Digits"), NOW),
    "withdrawn": lambda v: domain.withdrawn(v, "l", NOW),
    "submitted": lambda v: domain.entered(v, ENTRY, NOW),
    "scored": lambda v: domain.entered(v, SCORE, NOW),
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=12), st.permutations(sorted(STEPS)))
def test_facts_may_come_twice_and_in_any_order(before: list[str], rest: list[str]) -> None:
    """Whatever came when: once everything has been told, the same is known and nothing that ended holds."""
    version = new()
    for step in (*before, *rest):
        outcome = STEPS[step](version)
        version = outcome.value if outcome else version
    assert version.work == ()
    assert version.listings == ()
    assert version.entries == (Entry("en", "co", "a", NOW + 10, "scored", "accuracy", 0.9),)
    assert all(step(version) is None for step in STEPS.values())


def test_a_document_stays_bounded(facts: Facts) -> None:
    version = new()
    for number in range(KEPT + 20):
        version = after(domain.evaluated(version, facts.evaluated("m", f"r-{number}"), NOW))
    assert len(version.evaluations) == len(version.settled) == KEPT
    assert version.evaluations[-1].run_id == f"r-{KEPT + 19}"


def test_a_tombstone_keeps_its_number_and_only_what_it_needs(facts: Facts) -> None:
    version = after(domain.published(new(), facts.imported("m"), NOW))
    outcome = domain.deleted(version, "artifacts", NOW)
    assert subjects(outcome) == [catalogue.VERSION_DELETED.subject, catalogue.VERSION_PURGE.subject]
    assert (outcome.value.project, outcome.value.home) == ("deleted/m", "p1")
    assert not outcome.value.artifacts
    folder = Location(bucket="artifacts", prefix="p1/models/m/")
    assert outcome.says[1][1] == PurgeJob(model_id="m", location=folder)


def move_to(model_id: str | None) -> Move:
    return Move(model_id, "0.0.1", NOW, "alice")


def test_a_mark_is_released_only_by_a_move_that_came_after_it() -> None:
    at_other = moved(Alias("p1", "digits", "prod"), move_to("other")).value
    version = after(marked(new(), at_other))
    assert released(version, at_other) is None  # the move it belongs to is still under way
    assert marked(version, at_other) is None
    at_us = moved(at_other, move_to("m")).value
    assert released(version, at_us) is None
    gone = moved(at_us, move_to("other")).value
    again = after(marked(version, gone))
    assert released(again, gone) is None  # it comes back: the release of the former move must not take the new mark
    assert after(released(version, gone)).marks == ()


def test_a_fence_lets_a_mark_go_without_moving_the_alias() -> None:
    alias = moved(Alias("p1", "digits", "prod"), move_to("other")).value
    version = after(marked(new(), alias))
    behind = fenced(alias)
    assert behind.says == ()
    assert behind.value.model_id == "other"
    assert after(released(version, behind.value)).marks == ()


def test_a_removed_alias_points_nowhere_and_remembers() -> None:
    alias = moved(Alias("p1", "digits", "prod"), move_to("m")).value
    outcome = moved(alias, Move(None, None, NOW, "bob"))
    assert outcome.value.held is None
    fact = outcome.says[0][1]
    assert isinstance(fact, VersionAliased)
    assert fact.previous_model_id == "m"
    assert [step.by for step in outcome.value.history] == ["alice", "bob"]
