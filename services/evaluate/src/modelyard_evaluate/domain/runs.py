"""The life of one run: waiting → running → succeeded, failed or stopped. Used by calls, events and the job.

A run is one numbered version of an evaluation and holds all it needs, so that what happens to the model or the dataset
meanwhile cannot change what is measured. Transitions raise `Ended` when the run has ended: then nothing may be written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator

from modelyard_contracts.calls.evaluate import DatasetKind, EvaluationView, RunState, RunView
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Artifact, FileEntry, Location
from modelyard_evaluate.domain import former
from modelyard_evaluate.domain.datasets import Dataset
from modelyard_evaluate.errors import VersionGone

Origin = Literal["request", "plan", "competition"]
OPEN: frozenset[RunState] = frozenset({"waiting", "running"})


class Ended(Exception):  # noqa: N818 - a fact about the run, not a mistake
    """It was stopped, deleted, or finished by another attempt."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who works on it, as `modelyard_store.claims` keeps it."""

    attempt: int
    lease_until: int
    token: str
    finished: bool = False


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
    """`task`, `model` and `data` are None only in runs that failed before anything could be measured. `deaths` counts
    attempts that ended without a word: their worker was killed."""

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
    deaths: int = 0
    claim: Claim | None = None
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


def begin(run: Run) -> Run:
    """The claim was taken just now."""
    attempt = run.claim.attempt if run.claim else run.attempt + 1
    deaths = run.deaths + (run.state == "running")
    return replace(_open(run), state="running", attempt=attempt, deaths=deaths, samples_done=0, reason=None)


def report(run: Run, samples_done: int) -> Run:
    """Raises Ended."""
    return replace(_open(run), samples_done=samples_done)


def let_go(run: Run, reason: str) -> Run:
    """Another attempt will follow. Raises Ended."""
    return replace(_open(run), state="waiting", reason=reason)


def succeed(run: Run, scores: Scores, *, now: int) -> Run:
    """Raises Ended."""
    done = replace(_open(run), state="succeeded", scores=scores, finished_at=now, reason=None)
    return replace(done, samples=scores.samples, samples_done=scores.samples)


def fail(run: Run, failure: Failure, *, now: int) -> Run:
    """Raises Ended."""
    return replace(_open(run), state="failed", code=failure.code, reason=failure.message, finished_at=now)


def stop(run: Run, reason: str, *, now: int) -> Run:
    """For good. Without its claim, the attempt that works on it finds out and gives up. Raises Ended."""
    return replace(_open(run), state="stopped", reason=reason, finished_at=now, claim=None)


def bereave(run: Run, *, now: int) -> Run:
    """The version is gone. A competition waits for a verdict, so its run fails; any other is stopped. Raises Ended."""
    gone = VersionGone()
    if run.entry_id is not None:
        return replace(fail(run, gone, now=now), claim=None)
    return stop(run, gone.message, now=now)


def delete(run: Run) -> Run:
    """A mark stays, or a repeated event would make the run again."""
    return replace(run, deleted=True, model=None, data=None, scores=None)


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


def _open(run: Run) -> Run:
    if run.deleted or not run.open:
        raise Ended(f"run {run.run_id} is {'deleted' if run.deleted else run.state}")
    return run
