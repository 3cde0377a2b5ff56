"""What events carry. Past-tense facts: ids, digests, sizes, numbers, object keys; never model bytes or secrets."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from modelyard_contracts.odd_numbers import without_odd_numbers
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import (
    Artifact,
    CodeRef,
    DatasetRef,
    Declared,
    EvaluationSummary,
    Location,
    Plan,
    ScanReport,
    Shape,
    Source,
    TrainingRef,
)


class TrainingCompleted(Shape):
    """Said by a training job, in any language, when it ends (docs/training-events.md)."""

    job_id: str = Field(min_length=1, max_length=100)
    job_name: str = Field(min_length=1, max_length=100)
    job_version: str = Field(pattern=r"^V\d{3,6}$", description="one run of the job: V001, V002, …")
    status: Literal["completed", "failed", "stopped"]
    output: Location = Field(description="the run's folder; the model lies in `model/` below it")
    framework: str | None = Field(default=None, max_length=100)
    metrics: dict[str, float] = {}
    parameters: dict[str, Any] = {}
    dataset: DatasetRef | None = None
    code: CodeRef | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    warnings: tuple[str, ...] = Field(default=(), description="what of the report could not be kept as it was said")

    @model_validator(mode="before")
    @classmethod
    def _without_odd_numbers(cls, given: Any) -> Any:
        return without_odd_numbers(given) if isinstance(given, dict) else given


class PlacedFolder(Shape):
    """One input of a template: what lies at `location` belongs into `folder` of the artifact (`model/`, …)."""

    input_id: str
    location: Location
    folder: str = Field(pattern=r"^([A-Za-z0-9_-]+/)+$")


class Assembly(Shape):
    """What a template fixes: the package has no config.json of its own, `config` becomes it."""

    template_id: str
    infer_format: str
    config: PackageConfig
    folders: tuple[PlacedFolder, ...]


class Original(Shape):
    """What a promotion brings along, as it was when that was asked for. Ids of artifacts are already those of the copy,
    locations still where the files lie."""

    config: PackageConfig
    artifacts: tuple[Artifact, ...] = Field(description="the source first")
    evaluations: tuple[EvaluationSummary, ...] = ()
    training: TrainingRef | None = None
    scan: ScanReport | None = None


class VersionRequested(Shape):
    """A version document exists as `publishing`; the import service shall fetch what it names."""

    model_id: str
    model_name: str
    model_version: str
    source: Source
    destination: Location = Field(description="where the source artifact's files belong")
    assembly: Assembly | None = Field(default=None, description="set exactly for a template source")
    declared: Declared = Declared()
    original: Original | None = Field(default=None, description="set exactly for a promotion")


class ImportStarted(Shape):
    import_id: str
    model_id: str


class ImportSucceeded(Shape):
    """`artifacts` beside the source, and `evaluations`, are what a promotion has brought along."""

    import_id: str
    model_id: str
    artifact: Artifact
    config: PackageConfig
    config_sha256: str
    scan: ScanReport | None = None
    training: TrainingRef | None = None
    artifacts: tuple[Artifact, ...] = ()
    evaluations: tuple[EvaluationSummary, ...] = ()


class ImportFailed(Shape):
    import_id: str
    model_id: str
    code: str
    reason: str
    problems: tuple[dict[str, str | None], ...] = ()
    scan: ScanReport | None = None


class VersionPublished(Shape):
    model_id: str
    model_name: str
    model_version: str
    artifact_id: str
    digest: str
    size: int
    plan: Plan


class VersionFailed(Shape):
    model_id: str
    model_name: str
    model_version: str
    code: str
    reason: str


class VersionDeleted(Shape):
    model_id: str
    model_name: str
    model_version: str


class VersionChanged(Shape):
    """What a person wrote about a version is another now."""

    model_id: str
    model_name: str
    model_version: str
    changed: tuple[str, ...] = Field(description="names of the fields: description, labels, …")


class VersionArchived(Shape):
    """It is out of use and can be restored, until `expires_at` (ms) where that is set: then it is deleted."""

    model_id: str
    model_name: str
    model_version: str
    expires_at: int | None = None


class VersionRestored(Shape):
    model_id: str
    model_name: str
    model_version: str


class VersionAliased(Shape):
    """`move` counts the moves of this alias from 1; `at` (ms) and `by` say when and who moved it."""

    model_name: str
    alias: str
    model_id: str | None = Field(default=None, description="None when the alias was removed")
    previous_model_id: str | None = None
    model_version: str | None = None
    previous_model_version: str | None = None
    move: int = 0
    at: int = 0
    by: str = ""


class ArtifactAdded(Shape):
    """A version has one more artifact: a conversion of it succeeded."""

    model_id: str
    model_name: str
    model_version: str
    artifact_id: str
    target: str
    plan: Plan


class ConversionCreated(Shape):
    conversion_id: str
    model_id: str
    target: str
    origin: Literal["request", "plan"]


class ConversionStarted(Shape):
    conversion_id: str
    model_id: str
    target: str
    attempt: int


class ConversionSucceeded(Shape):
    conversion_id: str
    model_id: str
    target: str
    artifact: Artifact


class ConversionFailed(Shape):
    conversion_id: str
    model_id: str
    target: str
    code: str
    reason: str


class EvaluationCreated(Shape):
    run_id: str
    evaluation_id: str
    version: str
    model_id: str
    artifact_id: str
    dataset_id: str
    origin: Literal["request", "plan", "competition"]


class EvaluationStarted(Shape):
    run_id: str
    evaluation_id: str
    version: str
    model_id: str
    attempt: int


class EvaluationSucceeded(Shape):
    """Headline numbers only; the whole result is an object the evaluate service answers for."""

    run_id: str
    evaluation_id: str
    version: str
    model_id: str
    artifact_id: str
    target: str
    dataset_id: str
    dataset_name: str | None = Field(default=None, description="unless it is hidden")
    samples: int
    metrics: dict[str, float] = Field(description="accuracy, macro precision, recall, f1, auc where defined")
    entry_id: str | None = Field(default=None, description="set when this run scored a competition entry")


class EvaluationFailed(Shape):
    run_id: str
    evaluation_id: str
    version: str
    model_id: str
    code: str
    reason: str
    entry_id: str | None = None


class EvaluationStopped(Shape):
    run_id: str
    evaluation_id: str
    version: str
    model_id: str


class PublicationListed(Shape):
    listing_id: str
    model_id: str
    title: str


class PublicationWithdrawn(Shape):
    listing_id: str
    model_id: str


class PublicationRefused(Shape):
    """A plan asked for a listing that cannot be; one that somebody asks for is answered with the reason instead."""

    listing_id: str
    model_id: str
    title: str
    code: str
    reason: str


class CompetitionOpened(Shape):
    competition_id: str
    title: str
    metric: str
    deadline: int


class EntrySubmitted(Shape):
    """Asks the evaluate service to score an artifact on data the entrant never sees."""

    entry_id: str
    competition_id: str
    model_id: str
    artifact_id: str
    dataset_id: str
    metric: str
    deadline: int | None = Field(default=None, description="of the competition, ms; until then the version is in use")
    competition_title: str | None = None


class EntryScored(Shape):
    entry_id: str
    competition_id: str
    model_id: str
    metric: str
    score: float


class EntryRejected(Shape):
    """After it was submitted; or at once, when a plan asked for an entry that cannot be."""

    entry_id: str
    competition_id: str
    model_id: str
    reason: str
    code: str | None = None
