"""Documents that were stored when image classification was the only task: they read, and show what they showed.

`former_documents.json` holds bodies as the service stored them then, and what its calls answered.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from modelyard_contracts.calls import evaluate
from modelyard_contracts.failures import Failure
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Role
from modelyard_evaluate.repository import COLLECTIONS, RUNS

from .evaluate_yard import Yard, context
from .test_job import Child, wrote

FORMER: dict[str, Any] = json.loads((Path(__file__).parent / "former_documents.json").read_text("utf-8"))


@pytest.fixture
async def former(yard: Yard) -> Yard:
    for collection in COLLECTIONS:
        for identifier, body in FORMER["documents"].get(collection.name, {}).items():
            await yard.documents.add(collection, identifier, body)
            if body.get("scores"):
                place, result = body["scores"]["location"], FORMER["shown"]["result"]["result"]
                yard.objects.content[place["bucket"], f"{place['prefix']}result.json"] = json.dumps(result).encode()
    for digit in range(10):
        yard.objects.content["datasets", f"held-out/{digit}/1.png"] = b"image"
    yard.version()
    return yard


def shown(view: BaseModel) -> str:
    """As it goes over the wire, with the order of its fields."""
    return json.dumps(view.model_dump(mode="json"))


async def test_they_show_what_they_showed(former: Yard) -> None:
    expected = {name: json.dumps(view) for name, view in FORMER["shown"].items()}
    first = evaluate.GetRun(evaluation_id=FORMER["evaluations"]["compared"], version="V0001")
    entry = evaluate.GetRun(evaluation_id=FORMER["evaluations"]["entry"], version="V0001")
    compared = evaluate.CompareRuns(evaluation_id=FORMER["evaluations"]["compared"])
    assert {
        "datasets": shown(await former.datasets.list(context(Role.ADMIN), evaluate.ListDatasets())),
        "evaluations": shown(await former.evaluations.list(context(), evaluate.ListEvaluations())),
        "comparison": shown(await former.results.compare(context(), compared)),
        "result": shown(await former.results.result(context(), first)),
        "headline": shown(await former.results.result(context(Role.WRITER), entry)),
    } == expected


async def test_a_waiting_one_is_measured(former: Yard) -> None:
    asked = evaluate.GetEvaluation(evaluation_id=FORMER["evaluations"]["waiting"])

    async def succeeds(request: dict[str, Any], on_line: Any) -> dict[str, Any]:
        return wrote(request["out"])

    run = await former.work(await former.evaluations.get(context(), asked), former.worker(Child(succeeds)))
    assert (run.state, run.attempt) == ("succeeded", 1)
    rows = (await former.results.compare(context(), evaluate.CompareRuns(evaluation_id=asked.evaluation_id))).rows
    assert [row["correct"] for row in rows] == [50]


async def test_a_new_version_stands_beside_them(former: Yard) -> None:
    evaluation_id = FORMER["evaluations"]["compared"]
    asked = evaluate.CreateEvaluationVersion(evaluation_id=evaluation_id, artifact_id="a1")
    view = await former.evaluations.create_version(context(), asked)

    async def succeeds(request: dict[str, Any], on_line: Any) -> dict[str, Any]:
        return wrote(request["out"], samples=10, counts={"correct": 8}, metrics={"accuracy": 0.8})

    await former.work(view, former.worker(Child(succeeds)))
    rows = (await former.results.compare(context(), evaluate.CompareRuns(evaluation_id=evaluation_id))).rows
    assert [(row["correct"], row["cost"]["samples"]) for row in rows] == [(9, 0), (5, 4), (8, 1)]


async def test_the_classes_of_a_former_dataset_are_checked(former: Yard) -> None:
    view = former.others.versions["m1"]
    assert view.config
    narrow = view.config.model_copy(update={"labels": ("0", "1")})
    former.others.versions["m1"] = view.model_copy(update={"config": narrow})
    asked = evaluate.CreateEvaluation(model_id="m1", dataset_id=FORMER["dataset"])
    with pytest.raises(Failure, match="the model does not know the classes '2', '3'"):
        await former.evaluations.create(context(), asked)


async def test_one_that_changes_keeps_its_scores(former: Yard) -> None:
    run_id, body = next(iter(FORMER["documents"][RUNS.name].items()))
    await former.repository.runs.change(None, run_id, lambda run: Outcome(replace(run, name="other")))
    stored = await former.documents.get(RUNS, run_id)
    assert stored is not None
    assert stored.body["scores"]["counts"] == {"correct": body["scores"]["correct"]}
    assert stored.body["scores"]["metrics"] == body["scores"]["metrics"]
    assert stored.body["task"] == "image-classification"
    assert await former.repository.runs.get(None, run_id) is not None
