"""Calls: making, listing, stopping, deleting and comparing evaluations."""

import asyncio

import pytest

from modelyard_contracts.calls import evaluate
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.outcome import Cause
from modelyard_contracts.shapes import Location
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.runs import OutputFile, Scores
from modelyard_work import bounds

from .evaluate_yard import Yard, context

DIGITS = {f"{digit}/1.png": b"image" for digit in range(10)}


async def ended(yard: Yard, view: evaluate.EvaluationView, correct: int, samples: int = 540) -> None:
    """The newest run succeeds, with an object to show for it."""
    runs, cause = yard.repository.runs, Cause("c-1")
    taken = await runs.take(view.versions[-1].run_id, lambda run, _: life.begun(run), cause, 1000)
    assert taken is not None
    run = taken.value
    place = Location(bucket="artifacts", prefix=f"mine/evaluations/{run.run_id}/1/")
    yard.objects.content["artifacts", f"{place.prefix}result.json"] = b'{"classes": [], "misclassified": ["secret"]}'
    files = (OutputFile("roc.svg", "roc", "image/svg+xml"),)
    metrics = {"accuracy": correct / samples, "f1": 0.5}
    scores = Scores(samples, metrics, {"correct": correct}, place, files)
    await runs.finish(taken, lambda found: life.succeeded(found, scores, now=yard.clock()), cause)


async def refused(awaitable: object) -> Failure:
    with pytest.raises(Failure) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value


async def test_an_evaluation_begins_with_version_one_and_its_job(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS))
    assert view.name == "digits 0.0.1 on held-out"
    assert [(run.version, run.state, run.samples) for run in view.versions] == [("V0001", "waiting", 10)]
    created, job = await yard.said()
    assert (created["origin"], created["version"]) == ("request", "V0001")
    assert job == {"run_id": view.versions[0].run_id, "type": "modelyard.job.evaluate.image-classification"}


async def test_of_one_version_so_many_are_under_way_at_most(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_UNFINISHED", 1)
    yard.version()
    dataset = await yard.dataset(DIGITS)
    first = await yard.create(dataset)
    failure = await refused(yard.create(dataset))
    assert (failure.kind, failure.code) == (FailureKind.TOO_MANY, "ModelArts.9430")
    await ended(yard, first, 1)
    await yard.create(dataset)


async def test_what_cannot_be_measured_is_refused_at_once(yard: Yard) -> None:
    dataset = await yard.dataset(DIGITS)
    assert (await refused(yard.create(dataset, "missing"))).kind is FailureKind.NOT_FOUND
    yard.version()
    failure = await refused(yard.create(dataset, artifact_id="none"))
    assert failure.message == "no artifact 'none' in this project"
    gone = dataset.model_copy(update={"dataset_id": "gone"})
    assert (await refused(yard.create(gone))).problems[0].field == "dataset_id"
    unknown = await yard.dataset({"elf/1.png": b"1"}, name="unknown")
    assert "the model does not know the class 'elf'" in (await refused(yard.create(unknown))).message
    hidden = await yard.dataset({"0/1.png": b"1"}, name="hidden", hidden=True)
    assert (await refused(yard.create(hidden))).code == "ModelArts.3086"
    yard.others.versions["m1"] = yard.others.versions["m1"].model_copy(update={"model_status": "publishing"})
    assert "is publishing" in (await refused(yard.create(dataset))).message
    assert await yard.said() == []


async def test_without_a_worker_it_says_so_and_leaves_nothing(yard: Yard) -> None:
    yard.version()
    dataset = await yard.dataset(DIGITS)
    yard.others.offered = False
    failure = await refused(yard.create(dataset))
    assert failure.message == "no worker offers `image-classification`"
    assert (await yard.evaluations.list(context(), evaluate.ListEvaluations())).total_count == 0


async def test_the_same_request_under_the_same_key_is_one_evaluation(yard: Yard) -> None:
    yard.version()
    dataset = await yard.dataset(DIGITS)
    first = await yard.create(dataset, key="k")
    yard.others.offered = False
    assert await yard.create(dataset, key="k") == first
    assert "another request" in (await refused(yard.create(dataset, key="k", name="other"))).message


async def test_versions_are_numbered_without_gaps_also_when_many_come_at_once(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS))
    asked = evaluate.CreateEvaluationVersion(evaluation_id=view.evaluation_id)
    await asyncio.gather(*(yard.evaluations.create_version(context(), asked) for _ in range(12)))
    found = await yard.evaluations.get(context(), evaluate.GetEvaluation(evaluation_id=view.evaluation_id))
    assert [run.version for run in found.versions] == [f"V{number:04d}" for number in range(1, 14)]
    assert len({run.run_id for run in found.versions}) == 13


async def test_a_new_version_keeps_what_is_not_named(yard: Yard) -> None:
    yard.version()
    yard.add_artifact(yard.artifact(None, "m1", "a2", "openvino-fp16"))
    view = await yard.create(await yard.dataset(DIGITS))
    other = await yard.dataset({"0/1.png": b"1"}, name="other")
    asked = evaluate.CreateEvaluationVersion(evaluation_id=view.evaluation_id, artifact_id="a2")
    second = (await yard.evaluations.create_version(context(), asked)).versions[-1]
    assert (second.target, second.dataset_id) == ("openvino-fp16", view.versions[0].dataset_id)
    asked = evaluate.CreateEvaluationVersion(evaluation_id=view.evaluation_id, dataset_id=other.dataset_id)
    third = (await yard.evaluations.create_version(context(), asked)).versions[-1]
    assert (third.target, third.dataset_id, third.samples) == ("openvino-fp16", other.dataset_id, 1)


async def test_list_groups_runs_newest_evaluation_first(yard: Yard) -> None:
    yard.version()
    yard.version(model_id="m2")
    dataset = await yard.dataset(DIGITS)
    first, second = await yard.create(dataset), await yard.create(dataset, "m2")
    await yard.evaluations.create_version(
        context(), evaluate.CreateEvaluationVersion(evaluation_id=first.evaluation_id)
    )
    page = await yard.evaluations.list(context(), evaluate.ListEvaluations())
    assert [(each.evaluation_id, len(each.versions)) for each in page.evaluations] == [
        (second.evaluation_id, 1),
        (first.evaluation_id, 2),
    ]
    assert (page.total_count, page.count) == (2, 2)
    only = await yard.evaluations.list(context(), evaluate.ListEvaluations(model_id="m2"))
    assert [each.evaluation_id for each in only.evaluations] == [second.evaluation_id]
    assert (await yard.evaluations.list(context(project="theirs"), evaluate.ListEvaluations())).total_count == 0


async def test_stopping_is_for_good(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS))
    asked = evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001")
    for _ in range(2):
        stopped = await yard.evaluations.stop(context(), asked)
        assert (stopped.versions[0].state, stopped.versions[0].reason) == ("stopped", "stopped by alice")
    assert len(await yard.said("stopped")) == 1
    assert (await yard.work(view)).state == "stopped"
    assert (await yard.run(view)).attempt == 0


async def test_what_has_ended_cannot_be_stopped(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS))
    await ended(yard, view, 500)
    asked = evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001")
    assert "V0001 has succeeded" in (await refused(yard.evaluations.stop(context(), asked))).message
    missing = asked.model_copy(update={"version": "V0009"})
    assert (await refused(yard.evaluations.stop(context(), missing))).kind is FailureKind.NOT_FOUND


async def test_deleting_removes_results_and_needs_an_end_first(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS), key="k")
    asked = evaluate.DeleteEvaluation(evaluation_id=view.evaluation_id)
    assert (await refused(yard.evaluations.delete(context(), asked))).message == "V0001 has not ended; stop it first"
    await ended(yard, view, 500)
    assert yard.outputs()
    assert (await refused(yard.evaluations.delete(context(project="theirs"), asked))).kind is FailureKind.NOT_FOUND
    await yard.evaluations.delete(context(), asked)
    assert yard.outputs() == []
    assert (await yard.evaluations.list(context(), evaluate.ListEvaluations())).total_count == 0
    for act in (yard.evaluations.delete(context(), asked), yard.run(view)):
        assert (await refused(act)).kind is FailureKind.NOT_FOUND


async def test_the_result_comes_with_links(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS))
    asked = evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001")
    assert "V0001 is waiting" in (await refused(yard.results.result(context(), asked))).message
    await ended(yard, view, 500)
    result = await yard.results.result(context(), asked)
    assert result.result["misclassified"] == ["secret"]
    assert result.run.metrics["accuracy"] == 500 / 540
    assert result.plots[0].url.startswith("http://objects/artifacts/mine/evaluations/")


async def test_compare_counts_and_calls_chance_by_its_name(yard: Yard) -> None:
    yard.version()
    view = await yard.create(await yard.dataset(DIGITS))
    for correct in (530, 529, 500):
        await ended(yard, view, correct)
        asked = evaluate.CreateEvaluationVersion(evaluation_id=view.evaluation_id)
        view = await yard.evaluations.create_version(context(), asked)
    everything = evaluate.CompareRuns(evaluation_id=view.evaluation_id)
    rows = (await yard.results.compare(context(), everything)).rows
    assert [(row["version"], row["cost"]["samples"], row["cost"]["within_noise"]) for row in rows] == [
        ("V0001", 0, True),
        ("V0002", 1, True),
        ("V0003", 30, False),
    ]
    chosen = everything.model_copy(update={"versions": ("V0003", "V0002")})
    rows = (await yard.results.compare(context(), chosen)).rows
    assert [(row["version"], row["cost"]["samples"]) for row in rows] == [("V0002", 0), ("V0003", 29)]
    unfinished = everything.model_copy(update={"versions": ("V0004",)})
    assert "V0004 is waiting" in (await refused(yard.results.compare(context(), unfinished))).message
    unknown = everything.model_copy(update={"versions": ("V0007",)})
    assert (await refused(yard.results.compare(context(), unknown))).kind is FailureKind.NOT_FOUND


async def test_every_query_uses_an_index(yard: Yard) -> None:
    """What the named queries ask, as the store explains it."""
    asked = []
    explain = yard.documents.explain

    async def find(collection: object, query: object) -> list[object]:
        asked.append(await explain(collection, query))  # type: ignore[arg-type]
        return []

    yard.documents.find = find  # type: ignore[method-assign,assignment]
    for name in (None, "name"):
        for with_hidden in (True, False):
            await yard.repository.list_datasets("p", name, with_hidden=with_hidden, offset=0, limit=10)
    await yard.repository.hidden_overlap(Location(bucket="datasets", prefix="x/"))
    await yard.repository.runs_of("p", ["e"])
    await yard.repository.runs_of_model("p", "m")
    for model_id in (None, "m"):
        await yard.repository.list_evaluations("p", model_id, 0, 10)
    assert asked == [
        "datasets (project,created_at)",
        "datasets (project,hidden,created_at)",
        "datasets (project,name)",
        "datasets (project,name)",
        "datasets (hidden,location.bucket)",
        "evaluation_runs (project,evaluation_id,number)",
        "evaluation_runs (project,model_id,deleted,number,created_at) + sort",  # of one model: few
        "evaluation_runs (project,deleted,number,created_at)",
        "evaluation_runs (project,model_id,deleted,number,created_at)",
    ]
