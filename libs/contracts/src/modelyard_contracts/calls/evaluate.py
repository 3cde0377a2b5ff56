"""Calls that the evaluate service answers."""

from typing import Any, Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.shapes import Location, Shape, StorageSource, UploadSource

DatasetKind = Literal["image-folder", "npz"]
RunState = Literal["waiting", "running", "succeeded", "failed", "stopped"]


class CreateDataset(Shape):
    """`image-folder`: one folder per class. `npz`: one file with arrays `x` (samples first, preprocessed) and `y`."""

    name: str = Field(pattern=r"^[A-Za-z0-9\u4e00-\u9fff_-]{1,64}$")
    kind: DatasetKind
    source: StorageSource | UploadSource = Field(discriminator="kind")
    hidden: bool = Field(default=False, description="only competitions may use it; its files are never shown")


class DatasetView(Shape):
    """`classes` maps class name to sample count; for npz the names are the label values as text."""

    dataset_id: str
    name: str
    kind: DatasetKind
    location: Location
    hidden: bool
    classes: dict[str, int]
    samples: int
    size: int
    digest: str
    created_at: int
    created_by: str


class GetDataset(Shape):
    dataset_id: str


class ListDatasets(Page):
    name: str | None = None


class DatasetPage(Shape):
    total_count: int
    count: int
    datasets: tuple[DatasetView, ...]


class CreateEvaluation(Shape):
    """`artifact_id` None means the version's source."""

    model_id: str
    dataset_id: str
    artifact_id: str | None = None
    name: str | None = Field(default=None, max_length=64)


class CreateEvaluationVersion(Shape):
    """Another run of the same evaluation; what is None stays as in its newest version."""

    evaluation_id: str
    artifact_id: str | None = None
    dataset_id: str | None = None


class RunView(Shape):
    """One numbered version of an evaluation."""

    run_id: str
    version: str
    state: RunState
    attempt: int
    artifact_id: str
    target: str
    dataset_id: str
    samples_done: int
    samples: int
    metrics: dict[str, float]
    code: str | None
    reason: str | None
    created_at: int
    finished_at: int | None


class EvaluationView(Shape):
    evaluation_id: str
    name: str
    model_id: str
    versions: tuple[RunView, ...]


class GetEvaluation(Shape):
    evaluation_id: str


class ListEvaluations(Page):
    model_id: str | None = None


class EvaluationPage(Shape):
    total_count: int
    count: int
    evaluations: tuple[EvaluationView, ...]


class GetRun(Shape):
    evaluation_id: str
    version: str = Field(pattern=r"^V\d{4,6}$")


class Plot(Shape):
    name: str
    media_type: str
    url: str


class ResultView(Shape):
    """`result` is the JSON that docs/evaluation.md describes."""

    run: RunView
    result: dict[str, Any]
    plots: tuple[Plot, ...]


class CompareRuns(Shape):
    evaluation_id: str
    versions: tuple[str, ...] = Field(default=(), description="empty: all that succeeded")


class Comparison(Shape):
    """Rows in version order; `cost` is the first row's accuracy minus this one's, with the sample counts behind it."""

    rows: tuple[dict[str, Any], ...]


class DeleteEvaluation(Shape):
    evaluation_id: str


CREATE_DATASET = Call("evaluate", "create-dataset", CreateDataset, DatasetView)
GET_DATASET = Call("evaluate", "get-dataset", GetDataset, DatasetView)
LIST_DATASETS = Call("evaluate", "list-datasets", ListDatasets, DatasetPage)
DELETE_DATASET = Call("evaluate", "delete-dataset", GetDataset, Nothing)
CREATE = Call("evaluate", "create", CreateEvaluation, EvaluationView)
CREATE_VERSION = Call("evaluate", "create-version", CreateEvaluationVersion, EvaluationView)
GET = Call("evaluate", "get", GetEvaluation, EvaluationView)
LIST = Call("evaluate", "list", ListEvaluations, EvaluationPage)
RESULT = Call("evaluate", "result", GetRun, ResultView)
COMPARE = Call("evaluate", "compare", CompareRuns, Comparison)
STOP = Call("evaluate", "stop", GetRun, EvaluationView)
DELETE = Call("evaluate", "delete", DeleteEvaluation, Nothing)


def offers(task: str) -> Call[Nothing, Nothing]:
    """Answered by the workers that can do `task`; nobody answering means nobody offers it."""
    return Call("evaluate", f"offers-{task}", Nothing, Nothing)
