"""The life of a version in any order: what happens twice, late or never must leave it, and its history, consistent."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import HistoryRecord, Specification, UpdateVersion
from modelyard_contracts.jobs import RecordJob
from modelyard_contracts.shapes import Location, Plan, StorageSource
from modelyard_version.domain import versions as domain
from modelyard_version.domain.aliases import Alias, Move, fenced, marked, moved, released
from modelyard_version.domain.history import DELETED, Head, Occasion, recorded, verdict, visible
from modelyard_version.domain.holds import in_use
from modelyard_version.domain.versions import Entry, Listing, Refusal, Version, VersionOutcome, Work

from .conftest import Facts

START = 1_700_000_000_000
FEW = st.sampled_from(["1", "2"])


class Life(RuleBasedStateMachine):
    """One version, and beside it the plainest account of what must be true of it."""

    facts: Facts

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.records: list[HistoryRecord] = []
        self.aliases = {name: Alias("p1", "digits", name) for name in ("prod", "next")}
        self.began: set[str] = set()
        self.ended: set[str] = set()
        self.deadlines: dict[str, int] = {}
        self.judged: dict[str, str] = {}
        self.told: list[Any] = []
        self.version = Version(
            model_id="m", project="p1", model_name="digits", model_version="0.0.1", version_order=1,
            source=StorageSource(location=Location(bucket="training", prefix="a/")), specification=Specification(),
            plan=Plan(), created_by="alice", create_at=START, updated_at=START, request_digest="d",
        )  # fmt: skip
        self.save(recorded(None, domain.requested(self.version, "artifacts"), self.occasion()))

    def occasion(self) -> Occasion:
        return Occasion("alice", self.now, "c-1")

    def save(self, outcome: VersionOutcome) -> None:
        self.version = outcome.value
        for message, data in outcome.says:
            if message is catalogue.VERSION_RECORD:
                assert isinstance(data, RecordJob)
                self.records.append(HistoryRecord.model_validate_json(data.record.model_dump_json()))
            else:
                self.told.append(message)

    def apply(self, outcome: VersionOutcome | None) -> None:
        """As the repository does it: a transition is of living versions only."""
        if outcome and self.version.deleted_at is None:
            self.save(recorded(self.version, outcome, self.occasion()))

    @initialize(ends=st.sampled_from(["published", "published", "failed", None]))
    def mostly_begin_published(self, ends: str | None) -> None:
        if ends:
            (self.publish if ends == "published" else self.fail)()

    @rule()
    def time_passes(self) -> None:
        self.now += 10

    @rule()
    def publish(self) -> None:
        self.apply(domain.published(self.version, self.facts.imported("m"), self.now))

    @rule()
    def fail(self) -> None:
        self.apply(domain.failed(self.version, self.facts.refused("m"), self.now))

    @rule(text=st.sampled_from(["", "a", "b"]), labels=st.sampled_from([None, (), ("标签",)]))
    def update(self, text: str, labels: tuple[str, ...] | None) -> None:
        self.apply(domain.updated(self.version, UpdateVersion(model_id="m", description=text, labels=labels), self.now))

    @rule(id=FEW)
    def begin(self, id: str) -> None:
        self.began.add(f"k-{id}")
        self.apply(domain.work_began(self.version, Work(f"k-{id}", f"conversion {id}"), self.now))

    @rule(id=FEW)
    def convert(self, id: str) -> None:
        if self.version.model_status == "published":
            self.ended.add(f"k-{id}")
        self.apply(domain.converted(self.version, self.facts.converted("m", f"k-{id}"), self.now))

    @rule(id=FEW)
    def give_up(self, id: str) -> None:
        self.ended.add(f"k-{id}")
        self.apply(domain.work_ended(self.version, f"k-{id}", self.now))

    @rule(id=FEW, hidden=st.booleans())
    def evaluate(self, id: str, hidden: bool) -> None:
        self.apply(
            domain.evaluated(self.version, self.facts.evaluated("m", f"r-{id}", "en" if hidden else None), self.now)
        )

    @rule(id=FEW, withdrawn=st.booleans())
    def list_or_withdraw(self, id: str, withdrawn: bool) -> None:
        listing = Listing(f"l-{id}", "Digits")
        step = domain.withdrawn(self.version, f"l-{id}", self.now) if withdrawn else None
        self.apply(step if withdrawn else domain.listed(self.version, listing, self.now))

    @rule(id=FEW, state=st.sampled_from(["submitted", "scored", "rejected"]))
    def enter(self, id: str, state: Any) -> None:
        deadline = self.deadlines.setdefault(f"en-{id}", self.now + 15) if state == "submitted" else None
        if state != "submitted" and self.version.deleted_at is None:
            self.judged[f"en-{id}"] = state
        score = 0.9 if state == "scored" else None
        reason = "it crashed" if state == "rejected" else None
        entry = Entry(f"en-{id}", "co", "a" if deadline else None, deadline, state, "accuracy", score, reason, reason)
        self.apply(domain.entered(self.version, entry, self.now))

    @rule(id=FEW)
    def refuse(self, id: str) -> None:
        self.apply(domain.refused(self.version, Refusal(f"l-{id}", "Digits", "ModelArts.3071", "listed"), self.now))

    @precondition(lambda self: self.version.model_status == "published" and self.version.deleted_at is None)
    @rule(name=st.sampled_from(["prod", "next"]), reaches=st.sampled_from([1, 2, 3]))
    def point_here(self, name: str, reaches: int) -> None:
        """A move to this version: its mark, and unless it broke off, the move itself."""
        alias = self.aliases[name]
        if alias.model_id == "m":
            return
        self.apply(marked(self.version, alias))
        if reaches > 1:
            self.aliases[name] = moved(alias, Move("m", "0.0.1", self.now, "alice")).value

    @rule(name=st.sampled_from(["prod", "next"]), to=st.sampled_from([None, "other"]), released_too=st.booleans())
    def point_away(self, name: str, to: str | None, released_too: bool) -> None:
        alias = self.aliases[name]
        if to or alias.held:
            self.aliases[name] = moved(alias, Move(to, to and "0.0.2", self.now, "bob")).value
        if released_too:
            self.apply(released(self.version, self.aliases[name]))

    @rule(rarely=st.integers(0, 4))
    def delete(self, rarely: int) -> None:
        if rarely or self.version.deleted_at is not None:
            return
        for mark in self.version.marks:
            alias = self.aliases[mark.alias]
            if alias.model_id != "m" and mark.move > alias.move:
                alias = self.aliases[mark.alias] = fenced(alias).value
            self.apply(released(self.version, alias))
        if not in_use(self.version, self.now):
            self.apply(domain.deleted(self.version, "artifacts", self.now))

    @invariant()
    def what_points_here_or_works_holds(self) -> None:
        if self.version.deleted_at is not None:
            assert all(alias.model_id != "m" for alias in self.aliases.values())
            return
        reasons = in_use(self.version, self.now)
        for name, alias in self.aliases.items():
            if alias.model_id == "m":
                assert f"held by alias {name!r}" in reasons
        known = {work.id for work in self.version.work}
        assert known == self.began - self.ended
        assert {
            entry.entry_id: entry.state for entry in self.version.entries if entry.state != "submitted"
        } == self.judged
        for entry in self.version.entries:
            deadline = self.deadlines.get(entry.entry_id)
            if entry.state != "rejected" and deadline and self.now < deadline:
                assert any("open until" in reason for reason in reasons)
        assert bool(reasons) == bool(
            self.version.marks
            or known
            or any(
                entry.state != "rejected"
                and (self.now < entry.deadline if entry.deadline is not None else entry.state == "submitted")
                for entry in self.version.entries
            )
        )

    @invariant()
    def an_ending_is_final_and_told_once(self) -> None:
        for message in (catalogue.VERSION_REQUESTED, catalogue.VERSION_DELETED, catalogue.VERSION_PURGE):
            assert self.told.count(message) <= 1
        endings = self.told.count(catalogue.VERSION_PUBLISHED) + self.told.count(catalogue.VERSION_FAILED)
        assert len({artifact.artifact_id for artifact in self.version.artifacts}) == len(self.version.artifacts)
        assert endings <= 1
        if self.version.deleted_at is None:  # a tombstone is "failed", whatever it was
            assert endings == (self.version.model_status != "publishing")
            assert bool(self.version.failure) == (self.version.model_status == "failed")

    @invariant()
    def the_history_holds_and_tells_everything(self) -> None:
        version = self.version
        head = Head(version.history_seq, version.history_hash, version.history_at)
        known = {record.seq: record for record in self.records}
        assert verdict("m", head, known, self.now + 1).intact
        assert len(known) == len(self.records) == version.history_seq
        told: dict[str, Any] = {}
        for record in self.records:
            for name, change in record.changes.items():
                assert told.get(name) == change.before
                told[name] = change.after
        assert {name: value for name, value in told.items() if value is not None} == {
            name: value for name, value in visible(version).items() if value is not None
        }
        assert (self.records[-1].action == DELETED) == (version.deleted_at is not None)


def test_a_version_lives_through_anything(facts: Facts) -> None:
    Life.facts = facts
    run_state_machine_as_test(Life, settings=settings(max_examples=100, stateful_step_count=30, deadline=None))
