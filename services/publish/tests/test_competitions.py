"""Competitions and their entries."""

import asyncio
from typing import Any

import pytest

from modelyard_bus.consume import Reject
from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Page
from modelyard_contracts.calls.repeats import KeyReused
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_publish.domain.entries import DAY_MS
from modelyard_publish.errors import (
    DatasetNotHidden,
    DeadlineInThePast,
    DeadlinePassed,
    NoSuchArtifact,
    NotFound,
    NotPublished,
    TooManyEntries,
)


async def test_a_competition_is_seen_by_every_project_but_its_dataset_is_not(yard: Any) -> None:
    competition_id = await yard.open(metric="f1", description="who reads best")
    request = publish.GetCompetition(competition_id=competition_id)
    view = await yard.competitions.get(yard.context("p2"), request)
    assert (view.project, view.metric, view.open, view.entries) == ("p1", "f1", True, 0)
    assert "hidden" not in view.model_dump_json()
    said = await yard.said()
    assert [each.type for each in said] == ["modelyard.evt.publication.competition-opened.v1"]
    with pytest.raises(NotFound):
        await yard.competitions.get(yard.context(), publish.GetCompetition(competition_id="missing"))


async def test_the_dataset_must_be_hidden_and_the_projects_own(yard: Any, facts: Any) -> None:
    yard.others.datasets["seen"] = ("p1", facts.dataset_view("seen", hidden=False))
    yard.others.datasets["theirs"] = ("p2", facts.dataset_view("theirs", hidden=True))
    with pytest.raises(DatasetNotHidden, match="seen-name"):
        await yard.open(dataset_id="seen")
    with pytest.raises(Failure, match="no dataset 'theirs'"):
        await yard.open(dataset_id="theirs")
    assert await yard.said() == []


async def test_a_dataset_is_asked_which_open_competitions_use_it(yard: Any) -> None:
    await yard.open(title="Unseen", deadline=yard.now + 10)
    asked = publish.OpenCompetitionsOn(dataset_id="p1-hidden")
    assert (await yard.competitions.open_on(yard.context(), asked)).titles == ("Unseen",)
    assert (await yard.competitions.open_on(yard.context("p2"), asked)).titles == ()
    other = publish.OpenCompetitionsOn(dataset_id="other")
    assert (await yard.competitions.open_on(yard.context(), other)).titles == ()
    yard.now += 10
    assert (await yard.competitions.open_on(yard.context(), asked)).titles == ()


async def test_the_deadline_must_lie_ahead(yard: Any) -> None:
    with pytest.raises(DeadlineInThePast, match="2023-11-14T22:13:20"):
        await yard.open(deadline=yard.now)


async def test_one_key_opens_one_competition_also_after_its_deadline(yard: Any) -> None:
    made = await asyncio.gather(*(yard.open(key="k") for _ in range(5)))
    assert len(set(made)) == 1
    assert len(await yard.said()) == 1
    with pytest.raises(KeyReused):
        await yard.open(key="k", title="Another")
    yard.now += DAY_MS
    assert await yard.open(key="k") == made[0]
    assert await yard.open(project="p2", key="k", deadline=yard.now + 1) != made[0]


async def test_pages_count_the_entries_of_each(yard: Any) -> None:
    yard.has_version()
    first = await yard.open()
    yard.now += 1
    second = await yard.open(title="Second")
    await yard.enter(first)
    await yard.enter(first)
    page = await yard.competitions.page(yard.context("p3"), Page())
    assert [(each.competition_id, each.entries) for each in page.competitions] == [(second, 0), (first, 2)]
    page = await yard.competitions.page(yard.context("p3"), Page(offset=1, limit=1))
    assert (page.total_count, page.count, page.competitions[0].competition_id) == (2, 1, first)


async def test_an_entry_asks_for_its_score(yard: Any, facts: Any) -> None:
    converted = facts.artifact("a-fp16", kind="conversion", target="openvino-fp16")
    yard.has_version(project="p2", artifacts=(facts.artifact("a-source"), converted))
    competition_id = await yard.open()
    await yard.said()
    source = await yard.enter(competition_id, project="p2")
    assert (source.artifact_id, source.state, source.project) == ("a-source", "submitted", "p2")
    assert (await yard.enter(competition_id, project="p2", artifact_id="a-fp16")).artifact_id == "a-fp16"
    told = next(said for said in await yard.said() if said.subject == source.entry_id)
    assert told.project == "p2"
    assert told.data == {
        "entry_id": source.entry_id,
        "competition_id": competition_id,
        "model_id": "m1",
        "artifact_id": "a-source",
        "dataset_id": "p1-hidden",
        "metric": "accuracy",
        "deadline": yard.now + 10 * 3_600_000,
        "competition_title": "Digits",
    }


async def test_what_cannot_be_entered(yard: Any) -> None:
    competition_id = await yard.open()
    yard.has_version()
    yard.has_version("unfinished", model_status="publishing")
    yard.has_version("theirs", project="p2")
    with pytest.raises(NotPublished):
        await yard.enter(competition_id, "unfinished")
    with pytest.raises(NoSuchArtifact, match="'wrong'"):
        await yard.enter(competition_id, artifact_id="wrong")
    with pytest.raises(Failure, match="no model 'theirs'"):
        await yard.enter(competition_id, "theirs")
    with pytest.raises(NotFound, match="competition 'missing'"):
        await yard.enter("missing")
    assert await yard.said_types() == ["publication.competition-opened"]


async def test_too_late_is_refused_but_a_repeated_request_is_answered(yard: Any) -> None:
    yard.has_version()
    competition_id = await yard.open(deadline=yard.now + 1)
    entry = await yard.enter(competition_id, key="k")
    yard.now += 1
    with pytest.raises(DeadlinePassed, match="2023-11-14T22:13:20"):
        await yard.enter(competition_id)
    assert (await yard.enter(competition_id, key="k")).entry_id == entry.entry_id


async def test_one_key_makes_one_entry(yard: Any) -> None:
    yard.has_version()
    yard.has_version("m2")
    competition_id = await yard.open()
    made = await asyncio.gather(*(yard.enter(competition_id, key="k") for _ in range(10)))
    assert len({entry.entry_id for entry in made}) == 1
    with pytest.raises(KeyReused):
        await yard.enter(competition_id, "m2", key="k")
    assert await yard.said_types() == ["publication.competition-opened", "publication.entry-submitted"]


async def test_twenty_at_once_with_a_limit_of_five_make_five(yard: Any) -> None:
    yard.has_version()
    competition_id = await yard.open(entries_per_day=5)
    made = await asyncio.gather(*(yard.enter(competition_id) for _ in range(20)), return_exceptions=True)
    refused = [each for each in made if isinstance(each, Exception)]
    assert len(refused) == 15
    assert {type(each) for each in refused} == {TooManyEntries}
    assert (await yard.said_types()).count("publication.entry-submitted") == 5


async def test_the_limit_is_per_project_competition_and_day(yard: Any) -> None:
    yard.has_version()
    yard.has_version("m2", project="p2")
    first, second = await yard.open(entries_per_day=1), await yard.open(entries_per_day=1, title="Second")
    await yard.enter(first)
    with pytest.raises(TooManyEntries):
        await yard.enter(first)
    await yard.enter(second)
    await yard.enter(first, "m2", project="p2")
    yard.now = (yard.now // DAY_MS + 1) * DAY_MS - 1  # the last millisecond of the UTC day
    with pytest.raises(TooManyEntries):
        await yard.enter(first)
    yard.now += 1
    await yard.enter(first)


async def test_more_than_ten_entries_a_day(yard: Any) -> None:
    yard.has_version()
    competition_id = await yard.open(entries_per_day=12)
    for _ in range(12):
        await yard.enter(competition_id)
    with pytest.raises(TooManyEntries):
        await yard.enter(competition_id)


async def test_an_entry_is_its_projects_own_affair(yard: Any) -> None:
    yard.has_version()
    entry = await yard.enter(await yard.open())
    with pytest.raises(NotFound):
        await yard.entry(entry.entry_id, project="p2")


async def test_scores_arrive_once_and_the_board_ranks_them(yard: Any, facts: Any) -> None:
    yard.has_version()
    yard.has_version("m2", project="p2")
    competition_id = await yard.open()
    entries = []
    for model_id, project in (("m1", "p1"), ("m2", "p2"), ("m1", "p1"), ("m1", "p1")):
        yard.now += 1
        entries.append(await yard.enter(competition_id, model_id, project=project))
    await yard.said()
    for entry, score in zip(entries, (0.5, 0.9, 0.9, 1.0), strict=True):
        await yard.tell(facts.scored(entry, score), project=entry.project)
    ids = [entry.entry_id for entry in entries]
    assert await yard.board(competition_id) == [(1, ids[3], 1.0), (2, ids[1], 0.9)], "the best of each team"
    assert await yard.said_types() == ["publication.entry-scored"] * 4
    await yard.tell(facts.scored(entries[0], 0.99))
    await yard.tell(facts.failed(ids[0]))
    assert (await yard.entry(ids[0])).score == 0.5


async def test_the_competitions_metric_is_what_counts(yard: Any, facts: Any) -> None:
    yard.has_version()
    competition_id = await yard.open(metric="f1")
    entry = await yard.enter(competition_id)
    await yard.tell(facts.scored(entry, 0.5, f1=0.7))
    assert await yard.board(competition_id) == [(1, entry.entry_id, 0.7)]
    without = await yard.enter(competition_id)
    await yard.tell(facts.scored(without, 0.5))
    assert (await yard.entry(without.entry_id)).reason == "the evaluation gave no f1"


async def test_a_failed_evaluation_rejects_once(yard: Any, facts: Any) -> None:
    yard.has_version()
    competition_id = await yard.open()
    entry = await yard.enter(competition_id)
    await yard.said()
    await yard.tell(facts.failed(entry.entry_id, "8 × 8 images expected"))
    seen = await yard.entry(entry.entry_id)
    assert (seen.state, seen.reason, seen.score) == ("rejected", "8 × 8 images expected", None)
    assert seen.code == "ModelArts.3081"
    assert await yard.board(competition_id) == []
    assert await yard.said_types() == ["publication.entry-rejected"]
    await yard.tell(facts.failed(None))  # an ordinary evaluation: nothing to do with us


async def test_a_verdict_on_nobodys_entry_is_a_dead_letter(yard: Any, facts: Any) -> None:
    """The evaluate service has the id from our own event, which went out after the entry was saved."""
    yard.has_version()
    entry = await yard.enter(await yard.open())
    for fact in (facts.evaluated(entry_id="missing"), facts.failed("missing")):
        with pytest.raises(Reject, match="no entry 'missing'"):
            await yard.tell(fact)
    with pytest.raises(Reject):
        await yard.tell(facts.scored(entry, 1.0), project="p2")


async def test_a_leaderboard_outlives_its_models(yard: Any, facts: Any) -> None:
    yard.has_version()
    competition_id = await yard.open()
    entry = await yard.enter(competition_id)
    await yard.tell(facts.scored(entry, 0.8))
    yard.others.versions.clear()
    await yard.tell(facts.deleted())
    assert len(await yard.board(competition_id)) == 1


async def test_refusals_say_what_the_caller_can_do(yard: Any) -> None:
    kinds = {
        DeadlinePassed(1): FailureKind.CONFLICT,
        TooManyEntries(5): FailureKind.TOO_MANY,
        DatasetNotHidden("d"): FailureKind.UNPROCESSABLE,
        KeyReused(): FailureKind.CONFLICT,
    }
    assert {failure: failure.kind for failure in kinds} == kinds
    assert "5 entries for today" in TooManyEntries(5).message
