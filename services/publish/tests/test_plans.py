"""What a version's plan makes, with nobody pressing a button; every event comes twice."""

from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_publish.domain.entries import DAY_MS

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
