"""Calls that the version service answers. Field rules are those of docs/api.md, checked here once for every caller."""

from typing import Annotated, Any, Literal

from pydantic import Field, HttpUrl

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.package import MODEL_TYPES, PackageConfig
from modelyard_contracts.shapes import Artifact, Plan, Shape, Source, TrainingRef

NAME = r"^[A-Za-z0-9\u4e00-\u9fff_-]{1,64}$"
VERSION = r"^(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)$"
TEXT = r"^[^&!'\"<>=]*$"
ALIAS = r"^[A-Za-z\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff_-]{0,31}$"

ModelName = Annotated[str, Field(pattern=NAME)]
ModelVersionNumber = Annotated[str, Field(pattern=VERSION)]
Status = Literal["publishing", "published", "failed"]
InstallType = Literal["real-time", "batch", "edge"]


class ModelDoc(Shape):
    doc_name: str = Field(pattern=r"^[A-Za-z\u4e00-\u9fff].{0,47}$")
    doc_url: HttpUrl


class Specification(Shape):
    """Least hardware: cores, MiB, cards."""

    min_cpu: float | None = Field(default=None, ge=0)
    min_memory: int | None = Field(default=None, ge=0)
    min_gpu: int | None = Field(default=None, ge=0)
    min_ascend: int | None = Field(default=None, ge=0)


class CreateVersion(Shape):
    """`model_version` None: 0.0.1 for a new name, else the next free patch number."""

    model_name: ModelName
    model_version: ModelVersionNumber | None = None
    source: Source
    description: str = Field(default="", max_length=100, pattern=TEXT)
    labels: tuple[Annotated[str, Field(min_length=1, max_length=32)], ...] = Field(default=(), max_length=5)
    model_docs: tuple[ModelDoc, ...] = Field(default=(), max_length=3)
    install_type: tuple[InstallType, ...] = ("real-time", "batch", "edge")
    specification: Specification = Specification()
    source_type: Literal["auto"] | None = None
    workspace_id: str | None = Field(default=None, max_length=64)
    plan: Plan = Plan()


class VersionCreated(Shape):
    model_id: str
    model_name: str
    model_version: str


class GetVersion(Shape):
    model_id: str


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


class EvaluationSummary(Shape):
    evaluation_id: str
    version: str
    run_id: str
    artifact_id: str
    target: str
    dataset_id: str
    samples: int
    metrics: dict[str, float]


class VersionView(VersionSummary):
    """One version with everything that is known of it. `failure` is set exactly when it failed."""

    project: str
    source: Source
    model_docs: tuple[ModelDoc, ...]
    install_type: tuple[InstallType, ...]
    specification: Specification
    config: PackageConfig | None
    artifacts: tuple[Artifact, ...]
    evaluations: tuple[EvaluationSummary, ...]
    training: TrainingRef | None
    plan: Plan
    failure: dict[str, Any] | None
    in_use: tuple[str, ...] = Field(description="what holds this version against deletion, in words")
    updated_at: int


class ListVersions(Page):
    model_name: str | None = None
    exact_match: bool = False
    model_version: str | None = None
    model_status: Status | None = None
    model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # one list serves schema and code
    not_model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # as above
    description: str | None = None
    workspace_id: str | None = None
    sort_by: Literal["create_at", "model_version", "model_size"] = "create_at"
    order: Literal["asc", "desc"] = "desc"


class VersionPage(Shape):
    total_count: int
    count: int
    models: tuple[VersionSummary, ...]


class DeleteVersions(Shape):
    model_id: str
    cascade: bool = False


class DeleteFailure(Shape):
    model_id: str
    error_code: str
    error_msg: str
    error_message: str


class DeleteReport(Shape):
    delete_success_list: tuple[str, ...]
    delete_failed_list: tuple[DeleteFailure, ...]


class SetAlias(Shape):
    """Moves an alias of a name atomically; `model_version` None removes it."""

    model_name: ModelName
    alias: str = Field(pattern=ALIAS)
    model_version: ModelVersionNumber | None = None


class AliasView(Shape):
    model_name: str
    alias: str
    model_id: str
    model_version: str
    moved_at: int
    moved_by: str


class ListAliases(Shape):
    model_name: ModelName


class AliasList(Shape):
    aliases: tuple[AliasView, ...]


class LineageNode(Shape):
    """`kind` is dataset, code, training-job, version, artifact, evaluation, listing or entry."""

    id: str
    kind: str
    label: str
    facts: dict[str, Any] = {}


class LineageEdge(Shape):
    source: str
    target: str
    relation: str


class Lineage(Shape):
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]


class GetFiles(Shape):
    """`artifact_id` None means the source."""

    model_id: str
    artifact_id: str | None = None


class FileLink(Shape):
    path: str
    size: int
    sha256: str
    url: str


class FileLinks(Shape):
    model_id: str
    artifact_id: str
    digest: str
    files: tuple[FileLink, ...]
    expires_at: int


CREATE = Call("version", "create", CreateVersion, VersionCreated)
GET = Call("version", "get", GetVersion, VersionView)
LIST = Call("version", "list", ListVersions, VersionPage)
DELETE = Call("version", "delete", DeleteVersions, DeleteReport)
SET_ALIAS = Call("version", "set-alias", SetAlias, Nothing)
LIST_ALIASES = Call("version", "list-aliases", ListAliases, AliasList)
LINEAGE = Call("version", "lineage", GetVersion, Lineage)
FILES = Call("version", "files", GetFiles, FileLinks)
