"""A version: made, read, listed, changed. Field rules are those of docs/api.md, checked here once for every caller."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, field_serializer, field_validator

from modelyard_contracts.calls.call import Call, Page
from modelyard_contracts.package import MODEL_TYPES, PackageConfig
from modelyard_contracts.shapes import (
    Artifact,
    Asked,
    Declared,
    EvaluationSummary,
    Plan,
    ScanReport,
    Shape,
    Source,
    TrainingRef,
)

NAME = r"^[A-Za-z0-9\u4e00-\u9fff_-]{1,64}$"
VERSION = r"^(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)$"
TEXT = r"^[^&!'\"<>=]*$"

ModelName = Annotated[str, Field(pattern=NAME)]
ModelVersionNumber = Annotated[str, Field(pattern=VERSION)]
SORTED_BY: Final = ("create_at", "model_version", "model_size")
Status = Literal["publishing", "published", "failed"]
InstallType = Literal["real-time", "batch", "edge"]


_URL: Final = TypeAdapter(HttpUrl)


def _http_url(text: str) -> str:
    """As it was given: pydantic's own type writes it anew."""
    _URL.validate_python(text)
    return text


def _once(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


class ModelDoc(Shape):
    doc_name: str = Field(pattern=r"^[A-Za-z\u4e00-\u9fff].{0,47}$")
    doc_url: Annotated[str, AfterValidator(_http_url), Field(max_length=2083, json_schema_extra={"format": "uri"})]


Label = Annotated[str, Field(min_length=1, max_length=32)]
Labels = Annotated[tuple[Label, ...], Field(max_length=5), AfterValidator(_once)]
TagKey = Annotated[str, Field(pattern=r"^[A-Za-z\u4e00-\u9fff_][A-Za-z0-9\u4e00-\u9fff_./-]{0,63}$")]
Tags = Annotated[dict[TagKey, Annotated[str, Field(max_length=256)]], Field(max_length=20)]
"""Labels with a value."""
Description = Annotated[str, Field(max_length=100, pattern=TEXT)]
ModelDocs = Annotated[tuple[ModelDoc, ...], Field(max_length=3)]


class Specification(Shape):
    """Least hardware: cores, MiB, cards."""

    min_cpu: float | None = Field(default=None, ge=0)
    min_memory: int | None = Field(default=None, ge=0)
    min_gpu: int | None = Field(default=None, ge=0)
    min_ascend: int | None = Field(default=None, ge=0)

    def texts(self) -> dict[str, str | None]:
        """Numbers as clients of ModelArts have them."""
        return {name: None if number is None else f"{number:.15g}" for name, number in self}


class CreateVersion(Shape):
    """`model_version` None: 0.0.1 for a new name, else the next free patch number.

    `install_type` None: everything that the input/output mode allows.
    """

    model_name: ModelName
    model_version: ModelVersionNumber | None = None
    source: Source
    description: Description = ""
    labels: Labels = ()
    tags: Tags = {}
    model_docs: ModelDocs = ()
    install_type: tuple[InstallType, ...] | None = None
    specification: Specification = Specification()
    source_type: Literal["auto"] | None = None
    workspace_id: str | None = Field(default=None, max_length=64)
    plan: Plan = Plan()
    declared: Declared = Declared()
    asked: Asked = Asked()


class CheckNew(Shape):
    """What a version shall be called, before its files are sent: nothing is made."""

    model_name: ModelName
    model_version: ModelVersionNumber | None = None
    description: Description = ""
    labels: Labels = ()
    tags: Tags = {}
    model_docs: ModelDocs = ()
    workspace_id: str | None = Field(default=None, max_length=64)


class NumberFree(Shape):
    """The number that it would get now; somebody else may be faster."""

    model_name: str
    model_version: str


class VersionCreated(Shape):
    model_id: str
    model_name: str
    model_version: str


class GetVersion(Shape):
    model_id: str


class UpdateVersion(Shape):
    """Only what is given changes; a list replaces the whole list. `revisions`: only at one
    of these."""

    model_id: str
    revisions: tuple[int, ...] | None = None
    description: Description | None = None
    labels: Labels | None = None
    tags: Tags | None = None
    model_docs: ModelDocs | None = None


class VersionSummary(Shape):
    """A row of the list."""

    model_id: str
    revision: int = Field(default=0, description="grows with every change that a user can see; its ETag")
    model_name: str
    model_version: str
    model_status: Status
    model_type: str | None
    model_size: int
    description: str
    labels: tuple[str, ...]
    tags: dict[str, str] = {}
    metrics: dict[str, float] = Field(
        default={}, description="by the newest evaluation of the source, else the training run, else config.json"
    )
    measured: tuple[str, ...] = Field(default=(), description="which of the metrics an evaluation here has measured")
    source_type: str | None
    workspace_id: str | None
    aliases: tuple[str, ...]
    create_at: int
    created_by: str
    install_type: tuple[InstallType, ...] = ()
    archived_at: int | None = None
    expires_at: int | None = Field(default=None, description="ms; an archived version is deleted then")


class VersionRow(VersionSummary):
    """With the flat fields that clients of ModelArts read, in the types that they read them in. Nothing is tuned here,
    and what a project lists was imported by it."""

    owner: str = Field(default="", description="as `created_by`")
    project: str = ""
    tenant: str = Field(default="", description="as `project`")
    specification: dict[str, str | None] = Field(default={}, description="numbers as text; see Specification")
    model_source: Literal["auto", "custom"] = "custom"
    publishable_flag: bool = Field(default=False, description="it is published, so the gallery takes it")
    tunable: Literal[False] = False
    market_flag: Literal[False] = False


class RefusedPublication(Shape):
    """A listing or an entry that came to nothing; `publication_id` is its id."""

    channel: Literal["gallery", "competition"]
    publication_id: str
    competition_id: str | None = None
    title: str | None = Field(default=None, description="of the listing, or of the competition")
    code: str | None = None
    reason: str


class VersionView(VersionSummary):
    """One version with everything that is known of it. `failure` is set exactly when it failed."""

    project: str
    specification: Specification
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


def _one_or_several(schema: dict[str, Any]) -> None:
    """One label is a plain text between services, as it was before there could be several."""
    several = {key: schema.pop(key) for key in ("type", "items", "maxItems") if key in schema}
    schema["anyOf"] = [several, {"type": "string"}, {"type": "null"}]


def _sortable(text: str) -> str:
    if text in SORTED_BY or re.fullmatch(r"metrics\.\S(.{0,98}\S)?", text, re.DOTALL):
        return text
    raise ValueError(f"sort by {', '.join(SORTED_BY)}, or metrics.NAME")


class ListVersions(Page):
    model_name: str | None = None
    exact_match: bool = False
    model_version: str | None = None
    model_status: Status | None = None
    model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # one list serves schema and code
    not_model_type: Literal[MODEL_TYPES] | None = None  # type: ignore[valid-type]  # as above
    description: str | None = None
    workspace_id: str | None = None
    archived: bool = Field(default=False, description="those that are archived, instead of those in use")
    label: tuple[Label, ...] = Field(
        default=(),
        max_length=5,
        description="versions that carry all of these very labels; repeat it",
        json_schema_extra=_one_or_several,
    )
    where: str | None = Field(
        default=None,
        max_length=2000,
        description="conditions joined by `and`: accuracy > 0.9 and label = nightly (docs/api.md)",
    )
    sort_by: Annotated[str, AfterValidator(_sortable)] = Field(
        default="create_at", description="create_at, model_version, model_size, or metrics.NAME"
    )
    order: Literal["asc", "desc"] = "desc"
    cursor: str | None = Field(
        default=None,
        max_length=2000,
        description="`next_cursor` of the page before, instead of offset; every page then costs the same",
    )

    @field_validator("label", mode="before")
    @classmethod
    def _labels(cls, given: Any) -> Any:
        return () if given is None else (given,) if isinstance(given, str) else given

    @field_serializer("label")
    def _one_label(self, label: tuple[str, ...]) -> str | tuple[str, ...] | None:
        """One is said as a plain text, as it was before there could be several."""
        return label[0] if len(label) == 1 else label or None


class VersionPage(Shape):
    """`next_cursor` is None on the last page. With a cursor nothing is counted and `total_count` is None, and with
    `where` unless this page has them all."""

    total_count: int | None
    count: int
    models: tuple[VersionRow, ...]
    next_cursor: str | None = None


CREATE = Call("version", "create", CreateVersion, VersionCreated)
CHECK_NEW = Call("version", "check-new", CheckNew, NumberFree)
GET = Call("version", "get", GetVersion, VersionView)
LIST = Call("version", "list", ListVersions, VersionPage)
UPDATE = Call("version", "update", UpdateVersion, VersionView)
