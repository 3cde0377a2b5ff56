"""The tasks' table: what its rows promise, and that a second task needs nothing but a row."""

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import modelyard_evaluate
from modelyard_contracts import catalogue
from modelyard_contracts.calls import evaluate
from modelyard_contracts.catalogue import Job
from modelyard_contracts.events import EntrySubmitted
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.shapes import Location, Role, StorageSource
from modelyard_evaluate.errors import NotEvaluable
from modelyard_evaluate.tasks.table import TASKS, kind_of, task_for
from modelyard_evaluate.tasks.task import Task

from .evaluate_yard import Yard, context
from .test_job import wrote

FOLDERS = {path.parent for path in Path(modelyard_evaluate.__file__).parent.glob("tasks/*/row.py")}


def test_each_kind_of_dataset_belongs_to_one_task() -> None:
    names = [kind.name for task in TASKS.values() for kind in task.kinds]
    assert sorted(names) == sorted(get_args(evaluate.DatasetKind))
    for task in TASKS.values():
        assert [task_for(kind.name).name for kind in task.kinds] == [task.name] * len(task.kinds)


def test_each_folder_is_a_row_with_its_job_and_its_child() -> None:
    children = [find_spec(task.child) for task in TASKS.values()]
    assert {Path(child.origin or "").parent for child in children if child} == FOLDERS
    for task in TASKS.values():
        assert task.job in catalogue.ALL_JOBS
        assert task.job.subject == f"modelyard.job.evaluate.{task.name}"


def test_the_service_reads_the_table_without_what_measures() -> None:
    program = "import sys, modelyard_evaluate.bootstrap; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "modelyard_evaluate.tasks.table" in loaded
    assert {"matplotlib", "modelyard_formats", "numpy", "sklearn"} & set(loaded) == set()


def _check(_: object, config: Any) -> None:
    if not config.labels:
        raise NotEvaluable("boxes need names")


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch, yard: Yard) -> Task:
    """A second task, to which the `npz` files belong now."""
    first, npz = TASKS["image-classification"], kind_of("npz")
    task = Task(
        name="boxes",
        job=Job("modelyard.job.evaluate.boxes", EvaluationJob, "evaluate"),
        child="boxes.child",
        kinds=(npz,),
        check=_check,
        compare=lambda runs: tuple({"version": run.version, "found": run.counts["found"]} for run in runs),
        headline=lambda scores: {"task": "boxes", "found": scores.counts["found"]},
    )
    others = tuple(kind for kind in first.kinds if kind is not npz)
    monkeypatch.setitem(TASKS, first.name, replace(first, kinds=others))
    monkeypatch.setitem(TASKS, task.name, task)
    yard.others.tasks.add(task.name)
    return task


async def arrays(yard: Yard, *, hidden: bool = False) -> evaluate.DatasetView:
    file = BytesIO()
    np.savez(file, x=np.zeros((3, 2), np.float32), y=np.array([1, 0, 1]))
    place = Location(bucket="datasets", prefix=f"arrays-{hidden}/")
    yard.objects.content[place.bucket, f"{place.prefix}data.npz"] = file.getvalue()
    request = evaluate.CreateDataset(
        name=f"arrays-{hidden}", kind="npz", source=StorageSource(location=place), hidden=hidden
    )
    return await yard.datasets.create(context(Role.ADMIN), request)


async def child(module: str, request: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Of boxes."""
    assert (module, request["kind"]) == ("boxes.child", "npz")
    return wrote(request["out"], samples=3, counts={"found": 2}, metrics={"map": 0.5})


async def test_what_is_measured_follows_from_the_data(yard: Yard, boxes: Task) -> None:
    yard.version()
    view = await yard.create(await arrays(yard))
    assert [each["type"] for each in await yard.said("job")] == [boxes.job.subject]
    run = await yard.work(view, yard.worker(child))
    assert (run.state, run.samples, run.metrics) == ("succeeded", 3, {"map": 0.5})
    compared = await yard.results.compare(context(), evaluate.CompareRuns(evaluation_id=view.evaluation_id))
    assert compared.rows == ({"version": "V0001", "found": 2},)


async def test_a_task_refuses_and_is_offered_by_itself(yard: Yard, boxes: Task) -> None:
    yard.version()
    dataset = await arrays(yard)
    yard.others.tasks.remove("boxes")
    with pytest.raises(Failure, match="no worker offers `boxes`"):
        await yard.create(dataset)
    view = yard.others.versions["m1"]
    nameless = view.model_copy(update={"config": view.config and view.config.model_copy(update={"labels": ()})})
    yard.others.versions["m1"] = nameless
    with pytest.raises(Failure, match="boxes need names"):
        await yard.create(dataset)


async def test_of_hidden_data_a_task_says_what_may_be_told(yard: Yard, boxes: Task) -> None:
    yard.version()
    hidden = await arrays(yard, hidden=True)
    entry = EntrySubmitted(
        entry_id="e", competition_id="c", model_id="m1", artifact_id="a1", dataset_id=hidden.dataset_id, metric="map"
    )
    await yard.events.entry_submitted(yard.envelope(), entry)
    (view,) = (await yard.evaluations.list(context(), evaluate.ListEvaluations())).evaluations
    await yard.work(view, yard.worker(child))
    asked = evaluate.GetRun(evaluation_id=view.evaluation_id, version="V0001")
    assert (await yard.results.result(context(), asked)).result == {"task": "boxes", "found": 2}


async def test_runs_of_two_tasks_are_not_compared(yard: Yard, boxes: Task) -> None:
    yard.version()
    view = await yard.create(await arrays(yard))
    await yard.work(view, yard.worker(child))
    images = await yard.dataset({"0/1.png": b"1"})
    asked = evaluate.CreateEvaluationVersion(evaluation_id=view.evaluation_id, dataset_id=images.dataset_id)
    view = await yard.evaluations.create_version(context(), asked)

    async def other(module: str, request: dict[str, Any], **_: Any) -> dict[str, Any]:
        return wrote(request["out"])

    assert (await yard.work(view, yard.worker(other))).state == "succeeded"
    everything = evaluate.CompareRuns(evaluation_id=view.evaluation_id)
    with pytest.raises(Failure, match="V0001 is boxes and V0002 image-classification: choose versions of one task"):
        await yard.results.compare(context(), everything)
    chosen = everything.model_copy(update={"versions": ("V0002",)})
    assert [row["correct"] for row in (await yard.results.compare(context(), chosen)).rows] == [50]
