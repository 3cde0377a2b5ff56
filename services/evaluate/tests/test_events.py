"""Plans, competition entries and deleted versions: what events make, and that repeating them makes nothing twice."""

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.calls import evaluate
from modelyard_contracts.events import ArtifactAdded, EntrySubmitted, VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import EvaluationOrder, Plan, Role

from .evaluate_yard import Yard, context

DIGITS = {f"{digit}/1.png": b"image" for digit in range(10)}


def plan(*dataset_ids: str) -> Plan:
    return Plan(evaluate=tuple(EvaluationOrder(dataset_id=dataset_id) for dataset_id in dataset_ids))


def published(*dataset_ids: str) -> VersionPublished:
    return VersionPublished(
        model_id="m1",
        model_name="digits",
        model_version="0.0.1",
        artifact_id="a1",
        digest="sha256:" + "0" * 64,
        size=1,
        plan=plan(*dataset_ids),
    )


def added(artifact_id: str, *dataset_ids: str) -> ArtifactAdded:
    return ArtifactAdded(
        model_id="m1",
        model_name="digits",
        model_version="0.0.1",
        artifact_id=artifact_id,
        target="openvino-fp16",
        plan=plan(*dataset_ids),
    )


def submitted(dataset_id: str) -> EntrySubmitted:
    return EntrySubmitted(
        entry_id="entry-1",
        competition_id="c1",
        model_id="m1",
        artifact_id="a1",
        dataset_id=dataset_id,
        metric="accuracy",
    )


GONE = VersionDeleted(model_id="m1", model_name="digits", model_version="0.0.1")


async def evaluations(yard: Yard) -> list[evaluate.EvaluationView]:
    return list((await yard.evaluations.list(context(), evaluate.ListEvaluations())).evaluations)


async def test_a_plan_makes_one_evaluation_per_dataset_and_one_version_per_artifact(yard: Yard) -> None:
    yard.version()
    yard.add_artifact(yard.artifact(None, "m1", "a2", "openvino-fp16"))
    one, two = await yard.dataset(DIGITS, name="one"), await yard.dataset(DIGITS, name="two")
    ids = (one.dataset_id, two.dataset_id)
    for _ in range(3):  # every event comes more than once
        await yard.events.published(yard.envelope(), published(*ids, ids[0]))
        await yard.events.artifact_added(yard.envelope(), added("a2", *ids))
    found = await evaluations(yard)
    assert {view.versions[0].dataset_id for view in found} == set(ids)
    for view in found:
        assert [(run.version, run.target) for run in view.versions] == [
            ("V0001", "source"),
            ("V0002", "openvino-fp16"),
        ]
    assert len(await yard.said("image-classification")) == 4
    assert {each["origin"] for each in await yard.said("created")} == {"plan"}
    assert {asking.actor for asking in yard.others.asked} == {"service:evaluate"}


async def test_a_plan_without_evaluation_asks_nobody(yard: Yard) -> None:
    await yard.events.published(yard.envelope(), published())
    assert yard.others.asked == []


async def test_what_cannot_be_measured_is_kept_as_a_failed_run(yard: Yard) -> None:
    yard.version()
    unknown = await yard.dataset({"elf/1.png": b"1"}, name="unknown")
    hidden = await yard.dataset(DIGITS, name="hidden", hidden=True)
    ids = ("no-such-dataset", unknown.dataset_id, hidden.dataset_id)
    for _ in range(2):
        await yard.events.published(yard.envelope(), published(*ids))
    runs = {view.versions[0].dataset_id: view.versions[0] for view in await evaluations(yard)}
    assert {run.state for run in runs.values()} == {"failed"}
    assert "no dataset" in str(runs["no-such-dataset"].reason)
    assert "the model does not know the class 'elf'" in str(runs[unknown.dataset_id].reason)
    assert runs[hidden.dataset_id].code == "ModelArts.3086"
    assert len(await yard.said("failed")) == 3
    assert await yard.said("image-classification") == []


async def test_a_version_service_that_is_away_is_asked_again(yard: Yard) -> None:
    dataset = await yard.dataset(DIGITS)
    yard.others.away = True
    with pytest.raises(Retry):
        await yard.events.published(yard.envelope(), published(dataset.dataset_id))
    assert await evaluations(yard) == []


async def test_a_version_that_is_gone_makes_nothing(yard: Yard) -> None:
    dataset = await yard.dataset(DIGITS)
    await yard.events.published(yard.envelope(), published(dataset.dataset_id))
    assert await evaluations(yard) == []


async def test_a_planned_run_waits_for_a_worker_and_says_so(yard: Yard) -> None:
    yard.version()
    yard.others.offered = False
    dataset = await yard.dataset(DIGITS)
    await yard.events.published(yard.envelope(), published(dataset.dataset_id))
    run = (await evaluations(yard))[0].versions[0]
    assert (run.state, run.reason) == ("waiting", "no worker offers `image-classification` now; the run waits for one")


async def test_a_deleted_evaluation_is_not_brought_back_by_its_plan(yard: Yard) -> None:
    yard.version()
    yard.add_artifact(yard.artifact(None, "m1", "a2", "openvino-fp16"))
    dataset = await yard.dataset(DIGITS)
    await yard.events.published(yard.envelope(), published(dataset.dataset_id))
    view = (await evaluations(yard))[0]
    await yard.evaluations.stop(context(), evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001"))
    await yard.evaluations.delete(context(), evaluate.DeleteEvaluation(evaluation_id=view.evaluation_id))
    await yard.events.published(yard.envelope(), published(dataset.dataset_id))
    await yard.events.artifact_added(yard.envelope(), added("a2", dataset.dataset_id))
    assert await evaluations(yard) == []


async def test_an_entry_is_scored_on_the_hidden_dataset_of_another_project(yard: Yard) -> None:
    yard.version()
    hidden = await yard.dataset(DIGITS, hidden=True)
    envelope = yard.envelope(project="entrant")
    for _ in range(2):
        await yard.events.entry_submitted(envelope, submitted(hidden.dataset_id))
    page = await yard.evaluations.list(context(project="entrant"), evaluate.ListEvaluations())
    run = page.evaluations[0].versions[0]
    assert (page.total_count, run.state, run.samples) == (1, "waiting", 10)
    stop = evaluate.GetRun(evaluation_id=page.evaluations[0].evaluation_id, version="V0001")
    with pytest.raises(Failure, match="scores a competition entry"):
        await yard.evaluations.stop(context(project="entrant"), stop)


@pytest.mark.parametrize("missing", ["version", "dataset", "artifact"])
async def test_an_entry_that_cannot_be_scored_gets_a_verdict(yard: Yard, missing: str) -> None:
    hidden = await yard.dataset(DIGITS, hidden=True)
    if missing != "version":
        yard.version()
    entry = submitted("gone" if missing == "dataset" else hidden.dataset_id)
    if missing == "artifact":
        entry = entry.model_copy(update={"artifact_id": "a9"})
    for _ in range(2):
        await yard.events.entry_submitted(yard.envelope(), entry)
    (failed,) = await yard.said("failed")
    assert failed["entry_id"] == "entry-1"
    assert failed["reason"]


async def test_entrants_see_only_the_headline(yard: Yard) -> None:
    from .test_evaluations import ended

    yard.version()
    hidden = await yard.dataset(DIGITS, hidden=True)
    await yard.events.entry_submitted(yard.envelope(), submitted(hidden.dataset_id))
    view = (await evaluations(yard))[0]
    await ended(yard, view, 530)
    (fact,) = await yard.said("evaluation.succeeded")
    assert (fact["entry_id"], fact["metrics"]["accuracy"]) == ("entry-1", 530 / 540)
    asked = evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001")
    for_entrant = await yard.results.result(context(Role.WRITER), asked)
    assert for_entrant.result["metrics"]["accuracy"] == 530 / 540
    assert (for_entrant.result["misclassified"], for_entrant.plots) == ([], ())
    for_organiser = await yard.results.result(context(Role.PUBLISHER), asked)
    assert for_organiser.result["misclassified"] == ["secret"]


async def test_a_deleted_version_takes_its_evaluations_with_it(yard: Yard) -> None:
    from .test_evaluations import ended

    yard.version()
    dataset = await yard.dataset(DIGITS)
    hidden = await yard.dataset(DIGITS, name="hidden", hidden=True)
    await ended(yard, await yard.create(dataset), 500)
    await yard.create(dataset)
    await yard.events.entry_submitted(yard.envelope(), submitted(hidden.dataset_id))
    assert yard.outputs()
    for _ in range(2):
        await yard.events.deleted(yard.envelope(), GONE)
    assert yard.outputs() == []
    assert await evaluations(yard) == []
    assert len(await yard.said("stopped")) == 1
    (failed,) = await yard.said("failed")
    assert (failed["entry_id"], failed["reason"]) == ("entry-1", "the version was deleted")
