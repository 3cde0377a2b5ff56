"""Calls that the import service answers."""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.calls.version import ModelName
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Location, Plan, ScanReport, Shape, Source, TrainingRef

ImportState = Literal["waiting", "running", "succeeded", "failed", "cancelled"]


class GetImport(Shape):
    model_id: str


class CheckSource(Shape):
    """Whether a version could come from there, as far as that is known before anything is read."""

    source: Source


class ImportView(Shape):
    """How a version came in. `copied_bytes` of `total_bytes` while it runs."""

    import_id: str
    model_id: str
    state: ImportState
    attempt: int
    total_bytes: int | None
    copied_bytes: int
    code: str | None
    reason: str | None
    problems: tuple[Problem, ...]
    scan: ScanReport | None
    log: tuple[str, ...]
    created_at: int
    finished_at: int | None
    waits_for: str | None = Field(
        default=None, description="why the last attempt ended without a result; another one follows"
    )


class UploadFile(Shape):
    path: str = Field(min_length=1, max_length=500)
    size: int = Field(ge=0)


class BeginUpload(Shape):
    files: tuple[UploadFile, ...] = Field(min_length=1, max_length=10_000)


class UploadTarget(Shape):
    """PUT the whole file to `urls[0]`, or slice `part_size` bytes to each of several URLs and report their ETags."""

    path: str
    urls: tuple[str, ...]
    part_size: int | None


class UploadTicket(Shape):
    upload_id: str
    files: tuple[UploadTarget, ...]
    expires_at: int


class CompletedFile(Shape):
    """`etags` in part order; empty for a file sent whole."""

    path: str
    etags: tuple[str, ...] = ()


class CompleteUpload(Shape):
    upload_id: str
    files: tuple[CompletedFile, ...]


class GetUpload(Shape):
    upload_id: str


class UploadProgress(Shape):
    """What the store has of one file. `parts`: number (from 1) → ETag of every part that arrived whole; `missing`:
    number → fresh URL of every other. A file sent whole has one part, number 1; `done` when nothing is to be sent.
    """

    path: str
    size: int
    part_size: int
    done: bool
    parts: dict[int, str]
    missing: dict[int, str]


class ResumedUpload(Shape):
    upload_id: str
    state: Literal["open", "complete", "expired"]
    files: tuple[UploadProgress, ...]
    expires_at: int


class KeepUpload(Shape):
    """While anybody (`holder`: an id) keeps it, an upload does not expire. `keep` False lets go."""

    upload_id: str
    holder: str
    keep: bool = True


class UploadView(Shape):
    """An expired upload has no objects any more."""

    upload_id: str
    state: Literal["open", "complete", "expired"]
    location: Location
    files: tuple[UploadFile, ...]
    expires_at: int


class CompleteTraining(Shape):
    """The training event, said over HTTP; `event_id` makes a repeat harmless."""

    event_id: str
    completed: TrainingCompleted


class TrainingJobView(Shape):
    """One run of one training job, and the versions that came from it."""

    training_job_id: str
    status: Literal["completed", "failed", "stopped"]
    training: TrainingRef
    output: Location
    imports: tuple[dict[str, str], ...] = Field(description="{rule_id, model_id} for each rule that took it")
    refusals: tuple[dict[str, Any], ...] = Field(default=(), description="rules that matched but were refused, and why")
    received_at: int


class GetTrainingJob(Shape):
    training_job_id: str


class ListTrainingJobs(Page):
    """`job_name` is exact, or a glob when it holds `*` or `?`."""

    job_name: str | None = None
    job_version: str | None = None
    status: Literal["completed", "failed", "stopped"] | None = None


class TrainingJobPage(Shape):
    total_count: int
    count: int
    training_jobs: tuple[TrainingJobView, ...]


class CreateRule(Shape):
    """A completed run whose job name matches the glob and whose metrics reach the minimum becomes a version."""

    name: str = Field(min_length=1, max_length=64)
    job_name: str = Field(min_length=1, max_length=100, description="glob: `digits-*`")
    min_metrics: dict[str, float] = {}
    model_name: ModelName
    labels: tuple[Annotated[str, Field(min_length=1, max_length=32)], ...] = Field(default=(), max_length=5)
    plan: Plan = Plan()


class RuleView(CreateRule):
    rule_id: str
    created_at: int
    created_by: str


class GetRule(Shape):
    rule_id: str


class RuleList(Shape):
    rules: tuple[RuleView, ...]


class DryRunRule(CreateRule):
    """Applied to the newest `runs` training runs that are kept; nothing is imported."""

    runs: int = Field(default=1000, ge=1, le=10_000)


class RuleVerdict(Shape):
    """`taken`: the run would have become a version; otherwise `reason` says what was missing."""

    training_job_id: str
    job_name: str
    job_version: str
    metrics: dict[str, float]
    received_at: int
    taken: bool
    reason: str | None


class RuleDryRun(Shape):
    """`verdicts` on the runs whose job name matches, newest first; `looked_at` counts all that were looked at."""

    looked_at: int
    taken: int
    verdicts: tuple[RuleVerdict, ...]
    left_out: int = Field(default=0, description="verdicts that did not fit one answer, the oldest")


GET = Call("import", "get", GetImport, ImportView)
CHECK_SOURCE = Call("import", "check-source", CheckSource, Nothing)
BEGIN_UPLOAD = Call("import", "begin-upload", BeginUpload, UploadTicket)
COMPLETE_UPLOAD = Call("import", "complete-upload", CompleteUpload, UploadView)
GET_UPLOAD = Call("import", "get-upload", GetUpload, UploadView)
COMPLETE_TRAINING = Call("import", "complete-training", CompleteTraining, TrainingJobView)
GET_TRAINING_JOB = Call("import", "get-training-job", GetTrainingJob, TrainingJobView)
LIST_TRAINING_JOBS = Call("import", "list-training-jobs", ListTrainingJobs, TrainingJobPage)
RESUME_UPLOAD = Call("import", "resume-upload", GetUpload, ResumedUpload)
KEEP_UPLOAD = Call("import", "keep-upload", KeepUpload, UploadView)
DRY_RUN_RULE = Call("import", "dry-run-rule", DryRunRule, RuleDryRun)
CREATE_RULE = Call("import", "create-rule", CreateRule, RuleView)
LIST_RULES = Call("import", "list-rules", Nothing, RuleList)
DELETE_RULE = Call("import", "delete-rule", GetRule, Nothing)
