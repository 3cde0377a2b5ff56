"""What a version's plan makes, with nobody pressing a button; every event comes twice."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.calls import publish
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_publish.domain import entries, listings
from modelyard_publish.domain.entries import DAY_MS
from modelyard_publish.errors import NotFound

ALL = ["publication.listed", "publication.competition-opened", "publication.entry-submitted"]


async def test_without_evaluation_it_publishes_at_once(yard: Any, facts: Any) -> None:
    competition_id = await yard.open()
    view = yard.has_version(plan=facts.plan(competitions=(competition_id,), title="Night run"))
    await yard.tell(facts.published(view))
    assert len(await yard.listings()) == 1
    said = await yard.said(trim=False)
    assert await yard.said_types() == ALL
    assert {each.correlationid for each in said} == {"c-1", "c-2"}
    assert {each.data.get("title") for each in said} == {"Night run", "Digits", None}


async def test_with_evaluation_it_waits_for_the_sources_first_result(yard: Any, facts: Any) -> None:
    competition_id = await yard.open()
    view = yard.has_version(plan=facts.plan(evaluate=("d-1", "d-2"), competitions=(competition_id,)))
    await yard.tell(facts.published(view))
    await yard.tell(facts.evaluated(target="openvino-fp16"))
    await yard.tell(facts.evaluated(dataset_id="elsewhere"))
    assert await yard.listings() == []
    await yard.tell(facts.evaluated())
    await yard.tell(facts.evaluated(dataset_id="d-2", run_id="r-2"))
    assert len(await yard.listings()) == 1
    assert await yard.said_types() == ALL


async def test_without_a_plan_nothing_follows(yard: Any, facts: Any) -> None:
    view = yard.has_version()
    await yard.tell(facts.published(view))
    await yard.tell(facts.evaluated())
    assert await yard.said() == []


async def test_what_was_withdrawn_does_not_come_back(yard: Any, facts: Any) -> None:
    view = yard.has_version(plan=facts.plan(evaluate=("d-1",)))
    await yard.tell(facts.evaluated())
    await yard.withdraw((await yard.listings())[0])
    await yard.tell(facts.evaluated(version="V0002", run_id="r-9"))
    await yard.tell(facts.published(view))
    assert await yard.listings() == []


async def test_a_refused_step_does_not_stop_the_others(yard: Any, facts: Any) -> None:
    closed = await yard.open(deadline=yard.now + 1)
    still_open = await yard.open(title="Second", deadline=yard.now + DAY_MS)
    yard.now += 1
    view = yard.has_version(plan=facts.plan(competitions=("missing", closed, still_open)))
    await yard.list_version(title="Listed by hand, under another title")
    await yard.tell(facts.published(view))
    said = await yard.said()
    entered = [each.data["competition_id"] for each in said if "submitted" in each.type]
    assert entered == [still_open]
    assert len(await yard.listings()) == 1


async def _closed(yard: Any) -> str:
    competition_id: str = await yard.open(deadline=yard.now + 1)
    yard.now += 1
    return competition_id


async def _full(yard: Any) -> str:
    competition_id: str = await yard.open(entries_per_day=1)
    yard.has_version("by-hand")
    await yard.enter(competition_id, "by-hand")
    return competition_id


async def _unknown(_: Any) -> str:
    return "missing"


@pytest.mark.parametrize(
    ("arrange", "code", "reason"),
    [
        (_closed, "ModelArts.3073", "the competition closed at 2023-11-14T22:13:20+00:00"),
        (_full, "ModelArts.3074", "this project has used its 1 entries for today (UTC); try again tomorrow"),
        (_unknown, "ModelArts.3001", "no competition 'missing'"),
    ],
)
async def test_a_refused_entry_is_kept_with_its_reason(
    yard: Any, facts: Any, arrange: Callable[[Any], Awaitable[str]], code: str, reason: str
) -> None:
    competition_id = await arrange(yard)
    view = yard.has_version(plan=facts.plan(competitions=(competition_id,)))
    await yard.said()
    await yard.tell(facts.published(view))
    [_, rejected] = await yard.said()
    entry = await yard.entry(entries.planned_id("m1", competition_id))
    assert (entry.state, entry.code, entry.reason, entry.score) == ("rejected", code, reason, None)
    assert (entry.artifact_id, entry.submitted_by) == ("m1-source", "service:publish")
    assert rejected.type == "modelyard.evt.publication.entry-rejected.v1"
    assert (rejected.project, rejected.correlationid, rejected.causationid) == ("p1", "c-2", "e-1")
    assert rejected.data == {
        "entry_id": entry.entry_id,
        "competition_id": competition_id,
        "model_id": "m1",
        "code": code,
        "reason": reason,
    }


async def test_a_refused_entry_is_in_no_competition(yard: Any, facts: Any) -> None:
    """It takes no slot, is not counted, and has no place on the board."""
    competition_id = await yard.open(entries_per_day=1)
    view = yard.has_version(plan=facts.plan(competitions=(competition_id,)), model_status="failed")
    await yard.tell(facts.published(view))
    assert (await yard.entry(entries.planned_id("m1", competition_id))).code == "ModelArts.3070"
    competition = publish.GetCompetition(competition_id=competition_id)
    assert (await yard.competitions.get(yard.context(), competition)).entries == 0
    yard.has_version("m2")
    entered = await yard.enter(competition_id, "m2")
    await yard.tell(facts.scored(entered, 0.9))
    assert await yard.board(competition_id) == [(1, entered.entry_id, 0.9)]
    assert (await yard.competitions.get(yard.context(), competition)).entries == 1


async def test_a_refused_entry_stays_refused(yard: Any, facts: Any) -> None:
    """Also when the plan is carried out again, on the next day."""
    competition_id = await _full(yard)
    yard.has_version(plan=facts.plan(evaluate=("d-1",), competitions=(competition_id,)))
    await yard.tell(facts.evaluated())
    yard.now += DAY_MS
    await yard.said()
    await yard.tell(facts.evaluated(version="V0002", run_id="r-2"))
    assert await yard.said() == []
    assert (await yard.entry(entries.planned_id("m1", competition_id))).state == "rejected"


async def test_a_refused_listing_is_kept_with_its_reason_and_not_shown(yard: Any, facts: Any) -> None:
    view = yard.has_version(plan=facts.plan(title="Night run"))
    by_hand = await yard.list_version(title="By hand")
    await yard.said()
    await yard.tell(facts.published(view))
    [refused] = await yard.said()
    listing_id = listings.planned_id("m1")
    assert refused.type == "modelyard.evt.publication.refused.v1"
    assert (refused.project, refused.correlationid, refused.causationid) == ("p1", "c-2", "e-1")
    assert refused.data == {
        "listing_id": listing_id,
        "model_id": "m1",
        "title": "Night run",
        "code": "ModelArts.3071",
        "reason": "this version is in the gallery already, as 'By hand'",
    }
    assert await yard.listings() == [by_hand]
    assert await yard.listings(text="Night") == []
    for read in (yard.gallery.get, yard.gallery.files):
        with pytest.raises(NotFound):
            await read(yard.context(), publish.GetListing(listing_id=listing_id))


async def test_a_refused_listing_stays_refused_and_is_in_nobodys_way(yard: Any, facts: Any) -> None:
    yard.has_version(plan=facts.plan(evaluate=("d-1",), title="Night run"), model_status="failed")
    await yard.tell(facts.evaluated())
    [refused] = await yard.said()
    assert refused.data["code"] == "ModelArts.3070"
    yard.has_version(plan=facts.plan(evaluate=("d-1",), title="Night run"))
    await yard.tell(facts.evaluated(version="V0002", run_id="r-2"))
    assert await yard.listings() == []
    await yard.withdraw(listings.planned_id("m1"))
    assert await yard.said() == []
    assert len(await yard.listings()) == 0
    by_hand = await yard.list_version(title="Night run")
    assert await yard.listings() == [by_hand]


async def test_a_plans_title_may_be_anything_its_contract_allows(yard: Any, facts: Any) -> None:
    view = yard.has_version(plan=facts.plan(title="a < b"))
    await yard.tell(facts.published(view))
    assert len(await yard.listings()) == 1


@pytest.mark.parametrize("kind", [FailureKind.UNAVAILABLE, FailureKind.INTERNAL])
async def test_it_is_tried_again_while_the_version_service_is_away(yard: Any, facts: Any, kind: FailureKind) -> None:
    view = yard.has_version(plan=facts.plan())
    yard.others.failure = Failure(kind, "ModelArts.9001", "no worker answers version.get")
    with pytest.raises(Retry, match=r"version\.get"):
        await yard.tell(facts.published(view))
    yard.others.failure = None
    await yard.tell(facts.published(view))
    assert await yard.said_types() == ["publication.listed"]


async def test_away_between_two_steps_it_takes_up_where_it_was(yard: Any, facts: Any) -> None:
    competition_id = await yard.open()
    view = yard.has_version(plan=facts.plan(competitions=(competition_id,)))

    async def go_away() -> None:
        yard.others.before_answer = fail

    async def fail() -> None:
        raise Failure(FailureKind.UNAVAILABLE, "ModelArts.9002", "too slow")

    yard.others.before_answer = go_away  # the first question is answered, the second one is not
    with pytest.raises(Retry, match="too slow"):
        await yard.tell(facts.published(view))
    assert await yard.said_types() == ALL[:2]
    await yard.tell(facts.published(view))
    assert await yard.said_types() == ALL[2:]


async def test_a_version_deleted_meanwhile_is_not_published(yard: Any, facts: Any) -> None:
    view = yard.has_version(plan=facts.plan(evaluate=("d-1",)))
    yard.others.versions.clear()
    await yard.tell(facts.published(view))
    await yard.tell(facts.evaluated())
    assert await yard.said() == []


async def test_deleted_between_listing_and_the_second_look(yard: Any, facts: Any) -> None:
    view = yard.has_version(plan=facts.plan())

    async def delete_after_the_first_answer() -> None:
        async def delete() -> None:
            yard.others.versions.clear()

        yard.others.before_answer = delete

    yard.others.before_answer = delete_after_the_first_answer
    await yard.tell(facts.published(view))
    assert await yard.listings() == []
    assert await yard.said_types() == ["publication.listed", "publication.withdrawn"]
