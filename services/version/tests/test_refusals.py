"""Publications that came to nothing: a version shows them with their reasons, and they hold nothing."""

from typing import Any

import pytest

from modelyard_contracts import events
from modelyard_contracts.calls.version import GetHistory, GetVersion, RefusedPublication
from modelyard_contracts.failures import Failure
from modelyard_version.repository.versions import VERSIONS

CLOSED = {"code": "ModelArts.3073", "reason": "the competition closed at 2026-11-28T10:00:00+00:00"}
LISTED = {"code": "ModelArts.3071", "reason": "this version is in the gallery already, as l-0"}


def rejected(model_id: str, **fields: Any) -> events.EntryRejected:
    return events.EntryRejected(**{"entry_id": "en-1", "competition_id": "co-1", "model_id": model_id} | fields)


def refused(model_id: str) -> events.PublicationRefused:
    return events.PublicationRefused(listing_id="l-1", model_id=model_id, title="Night run", **LISTED)


async def history(register: Any, model_id: str) -> list[Any]:
    return list((await register.histories.history(register.context(), GetHistory(model_id=model_id))).records)


async def test_an_entry_that_was_never_submitted_tells_why_and_holds_nothing(register: Any) -> None:
    model_id = await register.published()
    for _ in range(2):
        await register.tell(register.reports.entry_rejected, rejected(model_id, **CLOSED))
    view = await register.view(model_id)
    assert view.in_use == ()
    assert view.refused == (
        RefusedPublication(channel="competition", publication_id="en-1", competition_id="co-1", **CLOSED),
    )
    [*_, record] = await history(register, model_id)
    assert (record.seq, record.action) == (3, "entry-rejected")
    told = {name: value for name, value in record.changes["entry en-1"].after.items() if value is not None}
    assert told == {"competition_id": "co-1", "state": "rejected", **CLOSED}
    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=model_id))
    [node] = [node for node in graph.nodes if node.kind == "entry"]
    assert (node.label, node.facts["state"], node.facts["reason"]) == (
        "entry in co-1, rejected",
        "rejected",
        CLOSED["reason"],
    )
    assert (await register.delete(model_id)).delete_success_list == (model_id,)


async def test_an_entry_that_its_evaluation_rejected_tells_why(register: Any, facts: Any) -> None:
    """Whichever of the two is heard first."""
    for late in (False, True):
        model_id = await register.published()
        submitted = register.reports.entry_submitted, facts.submitted(model_id, register.now + 5)
        judged = register.reports.entry_rejected, rejected(model_id, code="ModelArts.3081", reason="it crashed")
        for handler, fact in (judged, submitted) if late else (submitted, judged):
            await register.tell(handler, fact)
        view = await register.view(model_id)
        assert view.in_use == ()
        assert [(each.code, each.reason) for each in view.refused] == [("ModelArts.3081", "it crashed")]


async def test_a_listing_that_the_plan_asked_for_in_vain_is_told_once(register: Any) -> None:
    model_id = await register.published()
    await register.said()
    for _ in range(2):
        await register.tell(register.reports.refused, refused(model_id))
    view = await register.view(model_id)
    assert view.refused == (RefusedPublication(channel="gallery", publication_id="l-1", title="Night run", **LISTED),)
    assert view.in_use == ()
    assert await register.said() == []
    [*_, record] = await history(register, model_id)
    assert (record.seq, record.action) == (3, "refused")
    assert record.changes["refusal l-1"].after == {"title": "Night run", **LISTED}
    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=model_id))
    assert "listing" not in {node.kind for node in graph.nodes}


async def test_of_a_deleted_version_nothing_is_refused(register: Any) -> None:
    model_id = await register.published()
    await register.tell(register.reports.refused, refused(model_id))
    await register.delete(model_id)
    await register.tell(register.reports.refused, refused(model_id))
    with pytest.raises(Failure, match="no model"):
        await register.view(model_id)


async def test_documents_from_before_refusals_were_kept_are_read(either: Any) -> None:
    model_id = await either.published()
    old = rejected(model_id, reason="it crashed")
    await either.tell(either.reports.entry_rejected, old)
    await either.said()
    found = await either.documents.get(VERSIONS, model_id)
    del found.body["refusals"]
    for name in ("code", "reason"):
        del found.body["entries"][0][name]
    await either.documents.save(VERSIONS, found)
    view = await either.view(model_id)
    assert [(each.publication_id, each.code, each.reason) for each in view.refused] == [("en-1", None, "")]
    await either.tell(either.reports.refused, refused(model_id))
    assert len((await either.view(model_id)).refused) == 2
    assert (await either.histories.verify(either.context(), GetVersion(model_id=model_id))).intact
