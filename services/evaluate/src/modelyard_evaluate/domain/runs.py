"""A run: one numbered version of an evaluation. Its life is in `life`; used wherever runs are made, shown and measured.

It holds all it needs, so that what happens to the model or the dataset meanwhile cannot change what is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator

from modelyard_contracts.calls.evaluate import DatasetKind, EvaluationView, RunState, RunView
from modelyard_contracts.shapes import Artifact, FileEntry, Location
from modelyard_evaluate.domain import former
from modelyard_evaluate.domain.datasets import Dataset

Origin = Literal["request", "plan", "competition"]
OPEN: tuple[RunState, ...] = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Model:
    """The files to measure, as they were when the run was made. `model_files` excludes calibration data."""

    format: str
    location: Location
    files: tuple[FileEntry, ...]

    @property
    def model_files(self) -> tuple[FileEntry, ...]:
        return tuple(file for file in self.files if file.path.startswith("model/"))


@dataclass(frozen=True, slots=True)
class Data:
    """The samples to measure with, as they were when the run was made."""

    name: str
    project: str
    kind: DatasetKind
    location: Location
    hidden: bool
    digest: str


@dataclass(frozen=True, slots=True)
class OutputFile:
    file: str
    name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Scores:
    """What a succeeded run keeps in its document; `result.json` and the files lie in `location`.

    `metrics` are shown and ranked by name, `counts` only the run's task can read.
    """

    samples: int
    metrics: dict[str, float]
    counts: dict[str, int]
    location: Location
    files: tuple[OutputFile, ...]


@dataclass(frozen=True)
class Run:
    """`task`, `model` and `data` are None only in runs that failed before anything could be measured."""

    run_id: str
    project: str
    evaluation_id: str
    number: int
    name: str
    origin: Origin
    model_id: str
    artifact_id: str
    target: str
    dataset_id: str
    model: Model | None
    data: Data | None
    samples: int
    created_at: int
    created_by: str
    request_digest: str
    task: str | None = former.TASK
    correlationid: str | None = None
    entry_id: str | None = None
    state: RunState = "waiting"
    attempt: int = 0
    samples_done: int = 0
    scores: Annotated[Scores | None, BeforeValidator(former.scores_as_now)] = None
    code: str | None = None
    reason: str | None = None
    finished_at: int | None = None
    deleted: bool = False

    @property
    def version(self) -> str:
        return f"V{self.number:04d}"

    @property
    def open(self) -> bool:
        return self.state in OPEN


def model_of(artifact: Artifact) -> Model:
    return Model(artifact.format, artifact.location, artifact.files)


def data_of(dataset: Dataset) -> Data:
    return Data(dataset.name, dataset.project, dataset.kind, dataset.location, dataset.hidden, dataset.digest)


def output_location(run: Run, attempt: int, bucket: str) -> Location:
    """Where one attempt writes; no other ever does."""
    return Location(bucket=bucket, prefix=f"{output_prefix(run)}{attempt}/")


def output_prefix(run: Run) -> str:
    return f"{run.project}/evaluations/{run.run_id}/"


def run_view(run: Run) -> RunView:
    return RunView(
        run_id=run.run_id,
        version=run.version,
        state=run.state,
        attempt=run.attempt,
        artifact_id=run.artifact_id,
        target=run.target,
        dataset_id=run.dataset_id,
        samples_done=run.samples_done,
        samples=run.samples,
        metrics=run.scores.metrics if run.scores else {},
        code=run.code,
        reason=run.reason,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )


def evaluation_view(runs: Sequence[Run]) -> EvaluationView:
    """Of all runs of one evaluation, at least one."""
    ordered = sorted(runs, key=lambda run: run.number)
    return EvaluationView(
        evaluation_id=ordered[0].evaluation_id,
        name=ordered[0].name,
        model_id=ordered[0].model_id,
        versions=tuple(run_view(run) for run in ordered),
    )
