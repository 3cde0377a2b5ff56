"""The history of a version: every change leaves a record, and whoever touches one is found out."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from modelyard_bus.consume import Reject
from modelyard_contracts import catalogue, events
from modelyard_contracts.calls.version import (
    GetHistory,
    GetVersion,
    HistoryRecord,
    HistoryVerdict,
    ModelDoc,
    UpdateVersion,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import PurgeJob, RecordJob
from modelyard_contracts.shapes import Location
from modelyard_store.documents import Body
from modelyard_version.domain.history import LONGEST, hash_of, sealed
from modelyard_version.domain.versions import GENESIS
from modelyard_version.handlers.history import ON_THE_WAY
from modelyard_version.repository.history import HISTORY
from modelyard_version.repository.versions import VERSIONS

from .conftest import Facts, Register


async def records(register: Register, model_id: str, *, project: str = "p1", **wanted: int) -> list[HistoryRecord]:
    request = GetHistory(model_id=model_id, **wanted)
    return list((await register.histories.history(register.context(project=project), request)).records)


async def verify(register: Register, model_id: str, *, project: str = "p1") -> HistoryVerdict:
    context = register.context(project=project)
    verdict: HistoryVerdict = await register.histories.verify(context, GetVersion(model_id=model_id))
    return verdict


async def update(register: Register, model_id: str, *, actor: str = "alice", **fields: Any) -> Any:
    return await register.updating.update(register.context(actor=actor), UpdateVersion(model_id=model_id, **fields))


async def lived(register: Register, facts: Facts) -> str:
    """A version with five records, all of them kept long ago."""
    model_id = await register.published(description="first", labels=("demo",))
    await update(register, model_id, actor="bob", description="second")
    await register.tell(register.reports.evaluation_succeeded, facts.evaluated(model_id))
    await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    await register.said()
    register.now += ON_THE_WAY + 1
    return model_id


async def tamper(register: Register, model_id: str, seq: int, change: Callable[[Body], object]) -> None:
    found = await register.stored(HISTORY, f"{model_id}:{seq}")
    change(found.body)
    await register.documents.save(HISTORY, found)


async def remove(register: Register, model_id: str, seq: int) -> None:
    await register.documents.remove(HISTORY, await register.stored(HISTORY, f"{model_id}:{seq}"))


async def test_every_change_says_who_what_before_after_and_why(register: Register, facts: Facts) -> None:
    model_id = await lived(register, facts)
    told = await records(register, model_id)
    assert [(record.seq, record.action, record.by, record.correlationid) for record in told] == [
        (1, "created", "alice", "c-1"),
        (2, "published", "service:test", "c-2"),
        (3, "updated", "bob", "c-1"),
        (4, "evaluated", "service:test", "c-2"),
        (5, "artifact-added", "service:test", "c-2"),
    ]
    assert told[0].previous == GENESIS
    assert told[0].changes["labels"].after == ["demo"]
    assert (told[1].changes["model_status"].before, told[1].changes["model_status"].after) == (
        "publishing",
        "published",
    )
    assert told[1].changes["artifact a-source"].after["digest"] == "sha256:" + "cd" * 32
    assert told[1].changes["config"].after.startswith("sha256:")
    assert {name: change.model_dump() for name, change in told[2].changes.items()} == {
        "description": {"before": "first", "after": "second"}
    }
    assert told[3].changes["evaluation r-1"].after["metrics"] == {"accuracy": 0.96}
    assert list(told[4].changes) == ["artifact a-k-1"]
    for former, record in pairwise(told):
        assert record.previous == former.hash == hash_of(former)
    assert await verify(register, model_id) == HistoryVerdict(
        model_id=model_id, intact=True, records=5, broken_at=None, reason=None
    )


async def test_aliases_listings_entries_and_work_are_told(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    await register.alias("prod", "0.0.1")
    await register.alias("prod", None)
    conversion = events.ConversionCreated(conversion_id="k", model_id=model_id, target="t", origin="request")
    await register.tell(register.reports.conversion_created, conversion)
    failed = events.ConversionFailed(conversion_id="k", model_id=model_id, target="t", code="x", reason="no")
    await register.tell(register.reports.conversion_failed, failed)
    await register.tell(register.reports.entry_submitted, facts.submitted(model_id, register.now + 5))
    listing = events.PublicationListed(listing_id="l", model_id=model_id, title="Digits")
    await register.tell(register.reports.listed, listing)
    told = (await records(register, model_id))[2:]
    assert [(record.action, *record.changes) for record in told] == [
        ("aliased", "alias prod"), ("released", "alias prod"), ("work-began", "work k"), ("work-ended", "work k"),
        ("entry-submitted", "entry en-1"), ("listed", "listing l"),
    ]  # fmt: skip
    assert told[0].by == told[1].by == "alice"


async def test_what_changes_nothing_leaves_no_record(register: Register, facts: Facts) -> None:
    model_id = await lived(register, facts)
    await update(register, model_id, description="second", labels=("demo",))
    await update(register, model_id)
    await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    await register.tell(register.reports.import_failed, facts.refused(model_id))
    assert len(await records(register, model_id)) == 5
    assert await register.said() == []


async def test_two_updates_at_once_lose_nothing(either: Register) -> None:
    model_id = await either.create()
    doc = ModelDoc(doc_name="card", doc_url="https://example.org/card")
    await asyncio.gather(
        *(
            update(either, model_id, **fields)
            for fields in ({"description": "new"}, {"labels": ("a", "标签")}, {"model_docs": (doc,)})
        )
    )
    view = await either.view(model_id)
    assert (view.description, view.labels, view.model_docs) == ("new", ("a", "标签"), (doc,))
    assert len(await records(either, model_id)) == 4
    await either.said()
    assert (await verify(either, model_id)).intact


async def test_an_update_is_for_living_versions_of_the_project(register: Register) -> None:
    model_id = await register.create()
    with pytest.raises(Failure, match="no model"):
        await register.updating.update(register.context(project="p2"), UpdateVersion(model_id=model_id, labels=()))
    await register.delete(model_id)
    with pytest.raises(Failure, match="no model"):
        await update(register, model_id, description="late")


FIELDS = sorted(HistoryRecord.model_fields)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("seq", [1, 3, 5])
async def test_any_changed_field_is_found(either: Register, facts: Facts, field: str, seq: int) -> None:
    model_id = await lived(either, facts)
    other: dict[str, Any] = {"changes": {}, "at": 1, "seq": 99}

    def change(body: Body) -> None:
        assert body[field] != other.get(field, "x")
        body[field] = other.get(field, "x")

    await tamper(either, model_id, seq, change)
    found = await verify(either, model_id)
    assert not found.intact
    assert found.broken_at == seq
    assert f"record {seq} " in str(found.reason)


def _another_before(body: Body) -> None:
    body["changes"]["description"]["before"] = "never was"


def _another_hash(body: Body) -> None:
    record = HistoryRecord.model_validate({name: value for name, value in body.items() if name != "project"})
    body.update(sealed(record.model_copy(update={"by": "mallory"})).model_dump(mode="json"))


def _more(body: Body) -> None:
    body["note"] = "added"


def _another_project(body: Body) -> None:
    body["project"] = "p2"


@pytest.mark.parametrize(
    ("change", "broken_at"), [(_another_before, 3), (_another_hash, 4), (_more, 3), (_another_project, 3)]
)
async def test_what_is_inside_counts_too(
    register: Register, facts: Facts, change: Callable[[Body], None], broken_at: int
) -> None:
    """A record that was sealed anew is betrayed by the one after it."""
    model_id = await lived(register, facts)
    await tamper(register, model_id, 3, change)
    assert (await verify(register, model_id)).broken_at == broken_at


@pytest.mark.parametrize("seq", [1, 2, 4])
async def test_a_removed_record_is_missed(either: Register, facts: Facts, seq: int) -> None:
    model_id = await lived(either, facts)
    await remove(either, model_id, seq)
    found = await verify(either, model_id)
    assert (found.intact, found.broken_at, found.reason) == (False, seq, f"record {seq} is missing")


@pytest.mark.parametrize("kept", [0, 3, 4])
async def test_a_cut_off_end_is_missed(register: Register, facts: Facts, kept: int) -> None:
    model_id = await lived(register, facts)
    for seq in range(kept + 1, 6):
        await remove(register, model_id, seq)
    found = await verify(register, model_id)
    assert (found.intact, found.records, found.broken_at) == (False, kept, kept + 1)


async def test_an_end_that_was_sealed_anew_does_not_fit_the_version(register: Register, facts: Facts) -> None:
    model_id = await lived(register, facts)
    await tamper(register, model_id, 5, _another_hash)
    found = await verify(register, model_id)
    assert found.broken_at == 5
    assert "the version itself names another hash" in str(found.reason)


async def test_a_forged_addition_was_never_committed(register: Register, facts: Facts) -> None:
    model_id = await lived(register, facts)
    last = (await records(register, model_id))[-1]
    forged = sealed(last.model_copy(update={"seq": 6, "previous": last.hash, "by": "mallory"}))
    await register.histories.records.keep("p1", forged)
    found = await verify(register, model_id)
    assert found.broken_at == 6
    assert "never committed" in str(found.reason)


async def test_two_swapped_records_are_found(register: Register, facts: Facts) -> None:
    model_id = await lived(register, facts)
    two, three = [await register.stored(HISTORY, f"{model_id}:{seq}") for seq in (2, 3)]
    await register.documents.save(HISTORY, replace(two, body=three.body | {"seq": 2}))
    await register.documents.save(HISTORY, replace(three, body=two.body | {"seq": 3}))
    assert (await verify(register, model_id)).broken_at == 2
    two, three = [await register.stored(HISTORY, f"{model_id}:{seq}") for seq in (2, 3)]
    await register.documents.save(HISTORY, replace(two, body=two.body | {"seq": 3}))
    await register.documents.save(HISTORY, replace(three, body=three.body | {"seq": 2}))
    assert (await verify(register, model_id)).broken_at == 2


async def test_records_on_their_way_are_shown_and_not_missed(register: Register) -> None:
    """Committed and still in the outbox; then sent and not kept yet; then, much later, missing indeed."""
    model_id = await register.published()
    assert [record.seq for record in await records(register, model_id)] == [1, 2]
    found = await verify(register, model_id)
    assert (found.intact, found.records) == (True, 2)
    await register.said()
    document = await register.stored(HISTORY, f"{model_id}:2")
    await register.documents.remove(HISTORY, document)
    assert (await verify(register, model_id)).intact
    await register.documents.add(HISTORY, document.id, document.body)
    await remove(register, model_id, 1)
    assert (await verify(register, model_id)).intact
    register.now += ON_THE_WAY + 1
    assert (await verify(register, model_id)).broken_at == 1


async def test_a_record_told_twice_is_kept_once_and_another_one_is_refused(register: Register) -> None:
    model_id = await register.create()
    [record] = await records(register, model_id)
    envelope = Envelope(source="modelyard/version", type="t", subject=model_id, project="p1", data={})
    for _ in range(2):
        await register.histories.record(envelope, RecordJob(record=record))
    with pytest.raises(Reject, match="another record"):
        await register.histories.record(envelope, RecordJob(record=record.model_copy(update={"by": "mallory"})))
    assert await records(register, model_id) == [record]


async def test_a_history_survives_its_version(register: Register, facts: Facts) -> None:
    model_id = await lived(register, facts)
    await register.delete(model_id)
    assert (await records(register, model_id))[-1].action == "deleted"
    assert (await verify(register, model_id)).intact
    await register.said()
    job = PurgeJob(model_id=model_id, location=Location(bucket="artifacts", prefix=f"p1/models/{model_id}/"))
    await register.tell(register.deletion.purge, job)
    told = await records(register, model_id)
    assert [record.seq for record in told] == [1, 2, 3, 4, 5, 6]
    assert (told[-1].changes["model_status"].before, told[-1].changes["model_status"].after) == (
        "published",
        "deleted",
    )
    assert told[-1].changes["artifact a-source"].after is None
    register.now += ON_THE_WAY + 1
    assert (await verify(register, model_id)).intact
    await remove(register, model_id, 6)
    found = await verify(register, model_id)
    assert (found.broken_at, found.intact) == (6, False)
    assert "record 6 is missing" in str(found.reason)


@pytest.mark.parametrize("gone", [False, True])
async def test_another_project_hears_nothing(register: Register, gone: bool) -> None:
    model_id = await register.create()
    if gone:
        await register.delete(model_id)
        await register.said()
    for identifier in (model_id, "never-was"):
        for ask in (records, verify):
            with pytest.raises(Failure, match="no model"):
                await ask(register, identifier, project="p2")


async def test_pages_go_on_after_a_number(register: Register) -> None:
    model_id = await register.create()
    for number in range(6):
        await update(register, model_id, description=f"text {number}")
    await register.said()
    await update(register, model_id, description="waits in the outbox")
    seen: list[int] = []
    while page := await records(register, model_id, after=seen[-1] if seen else 0, limit=3):
        assert len(page) <= 3
        seen += [record.seq for record in page]
    assert seen == list(range(1, 9))


async def test_a_record_stays_a_small_message(register: Register) -> None:
    """However long what a user gave: it stands there as its digest."""
    model_id = await register.create(plan={"convert": [{"target": "t", "options": {"x": "y" * LONGEST}}]})
    [record] = await records(register, model_id)
    assert set(record.changes["plan"].after) == {"sha256", "bytes"}
    assert len(record.model_dump_json()) < LONGEST


async def test_the_documented_hash_is_the_one(register: Register, facts: Facts) -> None:
    """As docs/history.md has it, so that others can follow a chain with nothing of ours."""
    model_id = await lived(register, facts)
    for record in await records(register, model_id):
        rest = {name: value for name, value in json.loads(record.model_dump_json()).items() if name != "hash"}
        text = json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == record.hash


async def test_the_record_is_committed_with_the_change(register: Register) -> None:
    model_id = await register.create()
    document = await register.stored(VERSIONS, model_id)
    types = [message["envelope"]["type"] for message in document.body["events"]]
    assert types == [catalogue.VERSION_REQUESTED.subject, catalogue.VERSION_RECORD.subject]
    record = RecordJob.model_validate(document.body["events"][1]["envelope"]["data"]).record
    assert (document.body["history_seq"], document.body["history_hash"]) == (1, record.hash)
