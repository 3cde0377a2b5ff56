"""A version: made, read, listed, changed. Field rules are those of docs/api.md, checked here once for every caller."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter

from modelyard_contracts.calls.call import Call, Page
from modelyard_contracts.package import MODEL_TYPES, PackageConfig
from modelyard_contracts.shapes import Artifact, Asked, Declared, Plan, ScanReport, Shape, Source, TrainingRef

NAME = r"^[A-Za-z0-9\u4e00-\u9fff_-]{1,64}$"
VERSION = r"^(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)$"
TEXT = r"^[^&!'\"<>=]*$"

ModelName = Annotated[str, Field(pattern=NAME)]
ModelVersionNumber = Annotated[str, Field(pattern=VERSION)]
Status = Literal["publishing", "published", "failed"]
InstallType = Literal["real-time", "batch", "edge"]


_url = TypeAdapter(HttpUrl)


def _checked(url: str) -> str:
    """Kept as it was given: whoever gave it compares."""
    _url.validate_python(url)
    return url


class ModelDoc(Shape):
    doc_name: str = Field(pattern=r"^[A-Za-z\u4e00-\u9fff].{0,47}$")
    doc_url: Annotated[str, AfterValidator(_checked), Field(max_length=2083, json_schema_extra={"format": "uri"})]


Label = Annotated[str, Field(min_length=1, max_length=32)]
Labels = Annotated[tuple[Label, ...], Field(max_length=5)]
Description = Annotated[str, Field(max_length=100, pattern=TEXT)]
ModelDocs = Annotated[tuple[ModelDoc, ...], Field(max_length=3)]


class Specification(Shape):
    """Least hardware: cores, MiB, cards."""

    min_cpu: float | None = Field(default=None, ge=0)
    min_memory: int | None = Field(default=None, ge=0)
    min_gpu: int | None = Field(default=None, ge=0)
    min_ascend: int | None = Field(default=None, ge=0)


class CreateVersion(Shape):
    """`model_version` None: 0.0.1 for a new name, else the next free patch number.

    `install_type` None: everything that the input/output mode allows.
    """

    model_name: ModelName
    model_version: ModelVersionNumber | None = None
    source: Source
    description: Description = ""
    labels: Labels = ()
    model_docs: ModelDocs = ()
    install_type: tuple[InstallType, ...] | None = None
    specification: Specification = Specification()
    source_type: Literal["auto"] | None = None
    workspace_id: str | None = Field(default=None, max_length=64)
    plan: Plan = Plan()
    declared: Declared = Declared()
    asked: Asked = Asked()


class VersionCreated(Shape):
    model_id: str
    model_name: str
    model_version: str


class GetVersion(Shape):
    model_id: str


class UpdateVersion(Shape):
    """Only what is given changes; a list replaces the whole list."""

    model_id: str
    description: Description | None = None
    labels: Labels | None = None
    model_docs: ModelDocs | None = None


class VersionSummary(Shape):
    """A row of the list."""

    model_id: str
    model_name: str
    model_version: str
    model_status: Status
    model_type: str | None
    model_size: int
    description: str
    labels: tuple[str, ...]
    source_type: str | None
    workspace_id: str | None
    aliases: tuple[str, ...]
    create_at: int
    created_by: str
    project: str = ""
    install_type: tuple[InstallType, ...] = ()
    specification: Specification = Specification()


class EvaluationSummary(Shape):
    evaluation_id: str
    version: str
    run_id: str
    artifact_id: str
    target: str
    dataset_id: str
    samples: int
    metrics: dict[str, float]


class RefusedPublication(Shape):
    """A listing or an entry that came to nothing; `publication_id` is its id."""

    channel: Literal["gallery", "competition"]
    publication_id: str
    competition_id: str | None = None
    code: str | None = None
    reason: str


class VersionView(VersionSummary):
    """One version with everything that is known of it. `failure` is set exactly when it failed."""

    source: Source
    model_docs: tuple[ModelDoc, ...]
    config: PackageConfig | None
    artifacts: tuple[Artifact, ...]
    evaluations: tuple[EvaluationSummary, ...]
    training: TrainingRef | None
    plan: Plan
    scan: ScanReport | None
    failure: dict[str, Any] | None
    in_use: tuple[str, ...] = Field(description="what holds this version against deletion, in words")
    updated_at: int
    refused: tuple[RefusedPublication, ...] = Field(
        default=(), description="listings that its plan asked for in vain, and rejected entries"
    )
    asked: Asked = Asked()


class ListVersions(Page):
    model_name: str | None = None
    exact_match: bool = False
    model_version: str | None = None
    model_status: Status | None = None
    model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # one list serves schema and code
    not_model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # as above
    description: str | None = None
    workspace_id: str | None = None
    label: str | None = Field(default=None, max_length=32, description="versions that carry this very label")
    sort_by: Literal["create_at", "model_version", "model_size"] = "create_at"
    order: Literal["asc", "desc"] = "desc"
    cursor: str | None = Field(
        default=None,
        max_length=2000,
        description="`next_cursor` of the page before, instead of offset; every page then costs the same",
    )


class VersionPage(Shape):
    """`next_cursor` is None on the last page. With a cursor nothing is counted and `total_count` is None."""

    total_count: int | None
    count: int
    models: tuple[VersionSummary, ...]
    next_cursor: str | None = None


CREATE = Call("version", "create", CreateVersion, VersionCreated)
GET = Call("version", "get", GetVersion, VersionView)
LIST = Call("version", "list", ListVersions, VersionPage)
UPDATE = Call("version", "update", UpdateVersion, VersionView)
