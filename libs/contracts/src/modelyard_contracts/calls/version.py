"""Calls that the version service answers. Field rules are those of docs/api.md, checked here once for every caller."""

from typing import Annotated, Any, Literal

from pydantic import Field, HttpUrl

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.package import MODEL_TYPES, PackageConfig
from modelyard_contracts.shapes import Artifact, Plan, ScanReport, Shape, Source, TrainingRef

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
    scan: ScanReport | None
    failure: dict[str, Any] | None
    in_use: tuple[str, ...] = Field(description="what holds this version against deletion, in words")
    updated_at: int
    refused: tuple[RefusedPublication, ...] = Field(
        default=(), description="listings that its plan asked for in vain, and rejected entries"
    )


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


class GetAlias(Shape):
    """`at` in ms since 1970 UTC; None means now."""

    model_name: ModelName
    alias: str = Field(pattern=ALIAS)
    at: int | None = Field(default=None, ge=0, le=2**53)


class AliasMove(Shape):
    """`model_id` None: the alias was removed. `previous_*` is where it came from."""

    move: int
    at: int
    by: str
    model_id: str | None
    model_version: str | None
    previous_model_id: str | None
    previous_model_version: str | None


class AliasHistory(Shape):
    """Newest first."""

    model_name: str
    alias: str
    moves: tuple[AliasMove, ...]


class ListAliases(Shape):
    model_name: ModelName


class AliasList(Shape):
    aliases: tuple[AliasView, ...]


class TraceLineage(Shape):
    """Everything that was made from one thing: exactly one of the four is given."""

    training_job: str | None = Field(default=None, description="job_id, or job_id/V001 for one run")
    dataset: str | None = Field(default=None, description="digest or URI of a training dataset, or a dataset_id")
    code: str | None = Field(default=None, description="commit, or repository@commit")
    model_name: ModelName | None = None


class LineageNode(Shape):
    """`kind` is dataset, code, training-job, image, template, version, artifact, evaluation, listing or entry."""

    id: str
    kind: str
    label: str
    facts: dict[str, Any] = {}


class LineageEdge(Shape):
    source: str
    target: str
    relation: str


class Lineage(Shape):
    """`cut` says in words what was left out because there is too much of it."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    cut: str | None = None


class GetFiles(Shape):
    """`artifact_id` None means the source. `after`: the last path already seen, in the order of the answer."""

    model_id: str
    artifact_id: str | None = None
    after: str | None = Field(default=None, max_length=900)
    limit: int = Field(default=1000, ge=1, le=1000)


class FileLink(Shape):
    path: str
    size: int
    sha256: str
    url: str


class FileLinks(Shape):
    """One page of an artifact's files, by path. `next_after` is None on the last page."""

    model_id: str
    artifact_id: str
    digest: str
    files: tuple[FileLink, ...]
    expires_at: int
    total_count: int | None = None
    next_after: str | None = None


class Change(Shape):
    before: Any = None
    after: Any = None


class HistoryRecord(Shape):
    """One change of one version. `hash` is sha256 over `previous` and the rest of the record (docs/history.md)."""

    model_id: str
    seq: int = Field(ge=1)
    at: int
    by: str = Field(description="the caller, or the service that reported")
    action: str = Field(description="created, published, failed, updated, aliased, released, artifact-added, …")
    changes: dict[str, Change]
    correlationid: str
    previous: str
    hash: str


class GetHistory(Shape):
    """Also of a version that was deleted. Oldest first; `after` is the `seq` of the last record already seen."""

    model_id: str
    after: int = Field(default=0, ge=0, le=2**53)
    limit: int = Field(default=1000, ge=1, le=1000)


class History(Shape):
    model_id: str
    records: tuple[HistoryRecord, ...]


class HistoryVerdict(Shape):
    """`broken_at` is the first record that is missing or was changed; None when the chain holds."""

    model_id: str
    intact: bool
    records: int
    broken_at: int | None
    reason: str | None


class CompareVersions(Shape):
    """The first is the baseline; ids may repeat nowhere."""

    model_ids: tuple[str, ...] = Field(min_length=2, max_length=20)


class ComparedVersion(Shape):
    """`metrics`: of training, evaluation and config, by `source.name`."""

    model_id: str
    model_name: str
    model_version: str
    model_type: str | None
    model_size: int
    format: str | None
    parameter_count: int | None
    metrics: dict[str, float]
    parameters: dict[str, Any]
    operators: dict[str, int]


class SignatureChange(Shape):
    """`breaking`: a caller of the baseline would fail with this version."""

    model_id: str
    part: Literal["input", "output"]
    name: str
    breaking: bool
    message: str


class Difference(Shape):
    """One thing that is not alike: `values` has one entry for each version, in the order asked for."""

    subject: str = Field(description="`metric accuracy.eval`, `parameter lr`, `operator Conv`, `dataset`, `code`, …")
    values: tuple[Any, ...]


class Comparison(Shape):
    versions: tuple[ComparedVersion, ...]
    signature_changes: tuple[SignatureChange, ...]
    differences: tuple[Difference, ...]


class DeletionPreview(Shape):
    """What a delete would do now. `bytes` and `objects` are what it would free."""

    versions: tuple[VersionCreated, ...]
    kept: tuple[DeleteFailure, ...]
    objects: int
    bytes: int
    by_reference: tuple[str, ...] = Field(description="versions whose objects lie elsewhere and stay")
    more: bool = Field(default=False, description="a cascade takes 20 versions a call; the name has more")


class DamagedFile(Shape):
    artifact_id: str
    path: str
    reason: Literal["missing", "size", "digest", "changed"]
    message: str


class GetVerification(Shape):
    verification_id: str


class VerificationView(Shape):
    """Reading all files of a version again and comparing them with their manifests."""

    verification_id: str
    model_id: str
    state: Literal["waiting", "running", "succeeded", "failed"]
    checked_bytes: int
    total_bytes: int
    intact: bool | None = Field(description="None until it has succeeded")
    damaged: tuple[DamagedFile, ...]
    reason: str | None
    created_at: int
    finished_at: int | None


class StartAudit(Shape):
    repair: bool = False


class GetAudit(Shape):
    audit_id: str


class AuditView(Shape):
    """`strays`: objects that nothing refers to. `incomplete`: artifacts whose objects are missing or of another size.

    With `repair` strays are removed, an incomplete conversion is taken off its version, and a version whose source is
    incomplete becomes `failed`. The first 1,000 of each are named.
    """

    audit_id: str
    state: Literal["waiting", "running", "succeeded", "failed"]
    repair: bool
    objects: int
    versions: int
    stray_objects: int
    stray_bytes: int
    strays: tuple[str, ...]
    incomplete: tuple[DamagedFile, ...]
    repaired: bool
    reason: str | None
    created_at: int
    finished_at: int | None


CREATE = Call("version", "create", CreateVersion, VersionCreated)
GET = Call("version", "get", GetVersion, VersionView)
LIST = Call("version", "list", ListVersions, VersionPage)
DELETE = Call("version", "delete", DeleteVersions, DeleteReport)
SET_ALIAS = Call("version", "set-alias", SetAlias, Nothing)
LIST_ALIASES = Call("version", "list-aliases", ListAliases, AliasList)
LINEAGE = Call("version", "lineage", GetVersion, Lineage)
FILES = Call("version", "files", GetFiles, FileLinks)
UPDATE = Call("version", "update", UpdateVersion, VersionView)
HISTORY = Call("version", "history", GetHistory, History)
VERIFY_HISTORY = Call("version", "verify-history", GetVersion, HistoryVerdict)
COMPARE = Call("version", "compare", CompareVersions, Comparison)
GET_ALIAS = Call("version", "get-alias", GetAlias, AliasView)
ALIAS_HISTORY = Call("version", "alias-history", GetAlias, AliasHistory)
TRACE = Call("version", "trace", TraceLineage, Lineage)
PREVIEW_DELETION = Call("version", "preview-deletion", DeleteVersions, DeletionPreview)
VERIFY = Call("version", "verify", GetVersion, VerificationView)
GET_VERIFICATION = Call("version", "get-verification", GetVerification, VerificationView)
AUDIT = Call("version", "audit", StartAudit, AuditView)
GET_AUDIT = Call("version", "get-audit", GetAudit, AuditView)
