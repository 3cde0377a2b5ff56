"""The nouns that several messages share. Sizes are bytes, instants are milliseconds since 1970 UTC."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard_contracts.keeping import Shown


class Shape(BaseModel):
    """Contract base. Unknown fields are refused here and ignored by the bus and the stores (docs/adr/0004)."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(StrEnum):
    READER = "reader"
    WRITER = "writer"
    PUBLISHER = "publisher"
    ADMIN = "admin"


class Location(Shape):
    """A folder in object storage. `prefix` is relative and ends with `/`."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = Field(min_length=1, max_length=900)


class FileEntry(Shape):
    """One file of an artifact or dataset; `path` is relative to its folder, with `/` between segments."""

    path: str = Field(min_length=1, max_length=900)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    etag: str | None = Field(default=None, description="pins the object of an artifact that is kept by reference")


class TensorSpec(Shape):
    """`dtype` is numpy's name (`float32`); a dynamic axis in `shape` is its symbolic name or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


class Signature(Shape):
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class ContainerImage(Shape):
    """An image in an OCI registry, pinned; read from its manifest and config, no layer is pulled.

    `reference` is `registry/repository@sha256:…`, `size` the compressed bytes of all layers and the config.
    """

    reference: str
    requested: str = Field(description="as it was asked for, with its tag")
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    platform: str = Field(description="`linux/amd64`, `linux/arm64/v8`, …")
    size: int
    ports: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    created: str = ""


MadeIn = Annotated[
    str | None,
    Field(description="the project where it was made, if that is not this one; ids in it mean things of that project"),
]


class Finding(Shape):
    """Something a scan noticed. `dangerous` refuses the package, `suspicious` is kept and shown."""

    file: Shown
    severity: Literal["info", "suspicious", "dangerous"]
    rule: str
    message: Shown


class PartlyRead(Shape):
    """A file of which a scan saw its first and last 64 KiB only."""

    file: str
    size: int = Field(description="bytes")
    reason: str = Field(description="why all of it need not be read, or was not")


class ScanReport(Shape):
    """What admission looked at. `scanners` maps each scanner to its version.

    What is neither read nor sniffed was skipped: judged by name and size alone.
    """

    scanners: dict[str, str] = {}
    files: int = Field(default=0, description="files of the package")
    read: int = Field(default=0, description="files that were read whole")
    sniffed: int = Field(default=0, description="files of which only both ends were looked at")
    partly_read: tuple[PartlyRead, ...] = Field(default=(), description="the first 200 of those, and why")
    findings: tuple[Finding, ...] = ()
    made_in: MadeIn = None


class Inspection(Shape):
    """What a model file says of itself, read without running it."""

    format: str
    signature: Signature
    opsets: dict[str, int] = {}
    producer: Shown = ""
    parameter_count: int = 0
    operators: dict[str, int] = {}
    heads: dict[str, str] = Field(
        default={}, description="by output: the operator that makes it, behind those that only move values"
    )
    details: dict[str, str | int] = Field(
        default={}, description="what only this kind of model has: `estimator`, `objective`, `classes`, `trees`"
    )
    image: ContainerImage | None = None


class Measure(Shape):
    """One way in which an output was compared, at its worst."""

    name: str = Field(description="`top class`, `error`, `sample error`, `matched`, `cosine`, …")
    value: float
    limit: float
    at_least: bool = Field(default=False, description="`limit` is the least that passes; otherwise the most")
    control: float | None = Field(default=None, description="the same against another sample's reference")
    where: str = Field(default="", description="where it is worst: `channel 4`, `sample 17`, `class 3`")

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class OutputParity(Shape):
    """One output against the reference, over all samples. The control pairs each sample with another's reference."""

    name: str
    role: str = "numbers"
    role_from: str = Field(default="", description="`config.json`, or what in the graph or the values shows the role")
    exact: bool = Field(default=False, description="bit for bit the same on every sample")
    worst_sample: int | None = None
    measures: tuple[Measure, ...] = ()
    max_abs_error: float
    mean_abs_error: float
    max_rel_error: float = Field(description="largest error / reach of its channel in the reference")
    cosine: float
    control_cosine: float
    top1_agree: int | None = Field(default=None, description="samples whose top class agrees; score vectors only")
    control_top1_agree: int | None = None


class Bounds(Shape):
    """What one output may cost; what is left out is taken from the tolerance around it."""

    max_rel_error: float | None = Field(default=None, gt=0)
    min_cosine: float | None = Field(default=None, ge=-1, le=1)
    min_top1_agreement: float | None = Field(default=None, ge=0, le=1)


class Tolerance(Shape):
    """What a conversion may cost before it counts as failed. An output's own bounds go before those of its role."""

    max_rel_error: float = Field(gt=0, description="of a channel's reach, or of its spread")
    min_cosine: float = Field(ge=-1, le=1, description="embeddings")
    min_top1_agreement: float = Field(ge=0, le=1, description="classes, indices, masks, matched detections")
    roles: dict[str, Bounds] = Field(default={}, max_length=20)
    outputs: dict[str, Bounds] = Field(default={}, max_length=2_000)

    def of(self, output: str, role: str) -> "Tolerance":
        """The three bounds that hold for this output."""
        found = {name: getattr(self, name) for name in Bounds.model_fields}
        for bounds in (self.roles.get(role), self.outputs.get(output)):
            found |= bounds.model_dump(exclude_none=True) if bounds else {}
        return Tolerance(**found)


class Parity(Shape):
    """`notes`: what the data could not show, and what would."""

    verdict: Literal["passed", "failed", "inconclusive"]
    reason: str
    inputs: Literal["calibration", "seeded"]
    samples: int
    tolerance: Tolerance
    outputs: tuple[OutputParity, ...]
    notes: tuple[str, ...] = ()


class Timing(Shape):
    """Per inference, milliseconds. `size` is the artifact's files in bytes."""

    runtime: str
    median_ms: float
    p95_ms: float
    cpu_ms: float
    size: int


class Benchmark(Shape):
    source: Timing
    result: Timing
    threads: int
    batch: int
    warmup: int
    runs: int
    precision_hint: str | None = Field(default=None, description="inference precision the timing ran with")
    load: float = Field(description="1-minute load average of the machine while it ran")
    noisy: bool = Field(description="wall and CPU time parted, so the medians are not to be trusted")


class Artifact(Shape):
    """Files that can be evaluated, published and downloaded: a version's source, or a conversion's result."""

    artifact_id: str
    kind: Literal["source", "conversion"]
    format: str
    target: str = Field(description="`source`, or the conversion target, e.g. `openvino-fp16`")
    location: Location
    files: tuple[FileEntry, ...]
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size: int
    by_reference: bool = Field(
        default=False, description="`location` is where the source lies; the objects are pinned by ETag, not copied"
    )
    inspection: Inspection
    conversion_id: str | None = None
    parity: Parity | None = None
    benchmark: Benchmark | None = None
    created_at: int
    made_in: MadeIn = None

    @property
    def model_size(self) -> int:
        """Bytes of the model alone: a conversion is compared with what it was made of, without calibration data."""
        beside = [file.size for file in self.files if not file.path.startswith("model/")]
        return self.size - sum(beside) if len(beside) < len(self.files) else self.size


class EvaluationSummary(Shape):
    evaluation_id: str
    version: str
    run_id: str
    artifact_id: str
    target: str
    dataset_id: str
    dataset_name: str | None = None
    samples: int
    metrics: dict[str, float]
    made_in: MadeIn = None


class DatasetRef(Shape):
    uri: str = Field(max_length=1000)
    digest: str | None = Field(default=None, max_length=200)


class CodeRef(Shape):
    repository: str = Field(max_length=1000)
    commit: str = Field(max_length=100)


class TrainingRef(Shape):
    """Where a version came from, kept with it for ever."""

    job_id: str
    job_name: str
    job_version: str
    framework: str | None = None
    metrics: dict[str, float] = {}
    parameters: dict[str, Any] = {}
    dataset: DatasetRef | None = None
    code: CodeRef | None = None
    started_at: int | None = None
    finished_at: int | None = None
    warnings: tuple[str, ...] = ()


class ConversionOrder(Shape):
    target: str = Field(min_length=1, max_length=64)
    options: dict[str, Any] = {}
    tolerance: Tolerance | None = None
    calibration_dataset_id: str | None = None


class EvaluationOrder(Shape):
    dataset_id: str


class GalleryOrder(Shape):
    channel: Literal["gallery"] = "gallery"
    title: str | None = Field(default=None, max_length=100)


class CompetitionOrder(Shape):
    channel: Literal["competition"] = "competition"
    competition_id: str


PublicationOrder = Annotated[GalleryOrder | CompetitionOrder, Field(discriminator="channel")]


class Plan(Shape):
    """What shall happen to a version once it is published, with nobody pressing a button (docs/adr/0003)."""

    convert: tuple[ConversionOrder, ...] = Field(default=(), max_length=100)
    evaluate: tuple[EvaluationOrder, ...] = Field(default=(), max_length=100)
    publish: tuple[PublicationOrder, ...] = Field(default=(), max_length=100)


class StorageSource(Shape):
    """`source_copy` False keeps the objects where they lie, pinned by ETag and digest; such a folder holds `model/`."""

    kind: Literal["object-storage"] = "object-storage"
    location: Location
    source_copy: bool = True


class UploadSource(Shape):
    kind: Literal["upload"] = "upload"
    upload_id: str


class TrainingSource(Shape):
    kind: Literal["training"] = "training"
    training_job_id: str = Field(description="id of the training job version as the import service keeps it")


class TemplateInput(Shape):
    input_id: str = Field(min_length=1, max_length=64)
    location: Location


class TemplateSource(Shape):
    """`infer_format` replaces the template's input/output mode where the template allows it."""

    kind: Literal["template"] = "template"
    template_id: str = Field(min_length=1, max_length=64)
    template_name: str | None = Field(default=None, description="of a project's own template, when it was used")
    infer_format: str | None = Field(default=None, max_length=64)
    template_inputs: tuple[TemplateInput, ...] = Field(min_length=1, max_length=20)


class ImageSource(Shape):
    """Exactly one of `config` (config.json inline) and `config_location` (its folder and `config_file`)."""

    kind: Literal["image"] = "image"
    reference: str = Field(min_length=1, max_length=500, description="`registry.example/team/app:1.0` or `…@sha256:…`")
    platform: str = Field(default="linux/amd64", pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$")
    config: dict[str, Any] | None = None
    config_location: Location | None = None
    config_file: str = Field(default="config.json", max_length=255)


class Declared(Shape):
    """What a request says of the package itself. An image and a template take it; a package may lack it, and must not
    say otherwise."""

    config: dict[str, Any] = Field(default={}, description="fields of a config.json")
    execution_code: bool = Field(default=False, description="model/customize_service.py has to be there")


class Asked(Shape):
    """What clients of ModelArts compare with what they are answered, so it is kept as they said it."""

    source_location: str | None = Field(default=None, max_length=1200)
    source_copy: str | None = Field(default=None, max_length=5)
    model_type: str | None = Field(default=None, max_length=36)
    initial_config: str | None = Field(default=None, max_length=200_000)
    model_metrics: str | None = Field(default=None, max_length=10_000)
    execution_code: str | None = Field(default=None, max_length=1200)
    source_job_id: str | None = Field(default=None, max_length=100)
    source_job_version: str | None = Field(default=None, max_length=100)


class PromotionSource(Shape):
    """A version of the register, of any project: that the caller may read it there is what the gateway has seen to.

    `takes` names what the request leaves to the original; name and number of that are filled in when it is found.
    """

    kind: Literal["promotion"] = "promotion"
    project: str = Field(min_length=1, max_length=63)
    model_id: str = Field(min_length=1, max_length=64)
    model_name: str | None = None
    model_version: str | None = None
    takes: tuple[Literal["description", "labels", "tags", "model_docs", "install_type", "specification"], ...] = ()


Source = Annotated[
    StorageSource | UploadSource | TrainingSource | TemplateSource | ImageSource | PromotionSource,
    Field(discriminator="kind"),
]
