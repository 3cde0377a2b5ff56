"""Datasets, and what models score on them."""

from typing import Annotated

from fastapi import APIRouter, Query
from sse_starlette import EventSourceResponse

from modelyard_contracts.calls import evaluate
from modelyard_contracts.calls.call import Nothing
from modelyard_gateway.doors.v1 import examples
from modelyard_gateway.doors.v1.access import Reader, Writer
from modelyard_gateway.doors.v1.replies import validated
from modelyard_gateway.errors import NotFound
from modelyard_gateway.following import EVALUATION, followed

router = APIRouter(prefix="/v1/{project_id}")


@router.post("/datasets", tags=["datasets"])
async def create_dataset(caller: Writer, body: examples.Dataset) -> evaluate.DatasetView:
    fields = {"name": body.name, "kind": body.kind, "source": body.source(), "hidden": body.hidden}
    return await caller.ask(evaluate.CREATE_DATASET, validated(evaluate.CreateDataset, fields))


@router.get("/datasets", tags=["datasets"])
async def list_datasets(caller: Reader, query: Annotated[evaluate.ListDatasets, Query()]) -> evaluate.DatasetPage:
    return await caller.ask(evaluate.LIST_DATASETS, query)


@router.get("/datasets/{dataset_id}", tags=["datasets"])
async def show_dataset(caller: Reader, dataset_id: str) -> evaluate.DatasetView:
    return await caller.ask(evaluate.GET_DATASET, evaluate.GetDataset(dataset_id=dataset_id))


@router.delete("/datasets/{dataset_id}", tags=["datasets"])
async def delete_dataset(caller: Writer, dataset_id: str) -> Nothing:
    """Forget the dataset. Its files stay where they are: the yard never owned them."""
    return await caller.ask(evaluate.DELETE_DATASET, evaluate.GetDataset(dataset_id=dataset_id))


@router.post("/evaluations", tags=["evaluations"])
async def create_evaluation(caller: Writer, body: examples.Evaluation) -> evaluate.EvaluationView:
    return await caller.ask(evaluate.CREATE, body)


@router.get("/evaluations", tags=["evaluations"])
async def list_evaluations(
    caller: Reader, query: Annotated[evaluate.ListEvaluations, Query()]
) -> evaluate.EvaluationPage:
    return await caller.ask(evaluate.LIST, query)


@router.get("/evaluations/{evaluation_id}", tags=["evaluations"])
async def show_evaluation(caller: Reader, evaluation_id: str) -> evaluate.EvaluationView:
    return await caller.ask(evaluate.GET, evaluate.GetEvaluation(evaluation_id=evaluation_id))


@router.post("/evaluations/{evaluation_id}/versions", tags=["evaluations"])
async def create_evaluation_version(
    caller: Writer, evaluation_id: str, body: examples.NextVersion
) -> evaluate.EvaluationView:
    """Run the evaluation again with another artifact or dataset, as its next numbered version."""
    request = evaluate.CreateEvaluationVersion(evaluation_id=evaluation_id, **body.model_dump())
    return await caller.ask(evaluate.CREATE_VERSION, request)


@router.get("/evaluations/{evaluation_id}/versions/{version}/result", tags=["evaluations"])
async def evaluation_result(caller: Reader, evaluation_id: str, version: str) -> evaluate.ResultView:
    return await caller.ask(evaluate.RESULT, _run(evaluation_id, version))


@router.post("/evaluations/{evaluation_id}/versions/{version}/stop", tags=["evaluations"])
async def stop_evaluation(caller: Writer, evaluation_id: str, version: str) -> evaluate.EvaluationView:
    return await caller.ask(evaluate.STOP, _run(evaluation_id, version))


@router.get("/evaluations/{evaluation_id}/comparison", tags=["evaluations"])
async def compare_evaluations(
    caller: Reader, evaluation_id: str, version: Annotated[tuple[str, ...], Query()] = ()
) -> evaluate.Comparison:
    """What each artifact scored beside the first one, in counts as well as in percentage points."""
    request = evaluate.CompareRuns(evaluation_id=evaluation_id, versions=version)
    return await caller.ask(evaluate.COMPARE, request)


@router.get(
    "/evaluations/{evaluation_id}/versions/{version}/progress",
    tags=["evaluations"],
    response_class=EventSourceResponse,
)
async def evaluation_progress(caller: Reader, evaluation_id: str, version: str) -> EventSourceResponse:
    """Server-sent events until the run has ended."""

    async def read() -> evaluate.RunView:
        view = await caller.ask(evaluate.GET, evaluate.GetEvaluation(evaluation_id=evaluation_id))
        for run in view.versions:
            if run.version == version:
                return run
        raise NotFound("evaluation version", version)

    return await followed(caller, EVALUATION, read)


@router.delete("/evaluations/{evaluation_id}", tags=["evaluations"])
async def delete_evaluation(caller: Writer, evaluation_id: str) -> Nothing:
    return await caller.ask(evaluate.DELETE, evaluate.DeleteEvaluation(evaluation_id=evaluation_id))


def _run(evaluation_id: str, version: str) -> evaluate.GetRun:
    return validated(evaluate.GetRun, {"evaluation_id": evaluation_id, "version": version})
