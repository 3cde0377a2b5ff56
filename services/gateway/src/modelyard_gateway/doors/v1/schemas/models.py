"""Bodies and queries of the register: what a version shall be called, and which of the six places it comes from."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, field_validator, model_validator

from modelyard_contracts.calls import version
from modelyard_contracts.shapes import (
    ImageSource,
    Plan,
    PromotionSource,
    Source,
    StorageSource,
    TemplateInput,
    TemplateSource,
    TrainingSource,
    UploadSource,
)
from modelyard_gateway.doors.v1.schemas.administration import PROJECT
from modelyard_gateway.doors.v1.schemas.rules import (
    ConfigFile,
    Folder,
    HttpModel,
    all_at_once,
    broken,
    location_of,
    one_of,
)

LATEST = 2**53  # instants and sequence numbers stay within what every client's numbers hold
Id = Annotated[str, Field(min_length=1, max_length=64)]


class TemplateInputRequest(HttpModel):
    input_id: Id
    input: Folder


class TemplateRequest(HttpModel):
    """`infer_format` replaces the template's input/output mode where the template allows it."""

    template_id: Id
    infer_format: str | None = Field(default=None, min_length=1, max_length=64)
    template_inputs: list[TemplateInputRequest] = Field(min_length=1, max_length=20)

    def source(self) -> TemplateSource:
        inputs = (
            TemplateInput(input_id=each.input_id, location=location_of(each.input)) for each in self.template_inputs
        )
        return TemplateSource(
            template_id=self.template_id, infer_format=self.infer_format, template_inputs=tuple(inputs)
        )


class ImageRequest(HttpModel):
    """The image and its `config.json`: inline, or where it lies."""

    reference: str = Field(min_length=1, max_length=500, description="`registry.example/team/app:1.0` or `…@sha256:…`")
    platform: str = Field(default="linux/amd64", pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$")
    config: dict[str, Any] | None = None
    config_location: ConfigFile | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _one_config(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return all_at_once(cls, given, handler, one_of(given, ("config", "config_location")))

    def source(self) -> ImageSource:
        fields = {"reference": self.reference, "platform": self.platform}
        if self.config_location is None:
            return ImageSource(**fields, config=self.config)
        folder, _, file = self.config_location.rpartition("/")
        return ImageSource(**fields, config_location=location_of(folder), config_file=file)


TAKEN = ("description", "labels", "tags", "model_docs", "install_type", "specification")


class PromotionRequest(HttpModel):
    """A version of this project, or of another one, for which `X-Source-Token` has a token."""

    project: str = Field(pattern=PROJECT)
    model_id: Id


SOURCES = ("source_location", "upload_id", "training_job_id", "template", "image", "promotion")


class ModelRequest(HttpModel):
    """One import: what it shall be called, and exactly one of the six places it comes from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model_name": "digits", "source_location": "s3://training/digits/V001/", "labels": ["demo"]},
                {
                    "model_name": "手写数字",
                    "model_version": "1.0.0",
                    "upload_id": "0197…",
                    "description": "从笔记本上传",
                },
                {"model_name": "digits", "training_job_id": "0197…"},
                {
                    "model_name": "digits",
                    "template": {
                        "template_id": "onnx-general",
                        "template_inputs": [{"input_id": "model_folder", "input": "s3://training/digits/onnx/"}],
                    },
                },
                {
                    "model_name": "translator",
                    "image": {
                        "reference": "ghcr.io/team/translator:1.4",
                        "config": {"model_algorithm": "translation", "model_type": "Image"},
                    },
                },
                {"model_name": "digits-eu", "promotion": {"project": "default", "model_id": "0197…"}},
            ]
        }
    )

    model_name: version.ModelName
    model_version: version.ModelVersionNumber | None = None
    source_location: Folder | None = None
    source_copy: bool = Field(default=True, description="false: keep the objects of source_location where they lie")
    upload_id: Id | None = None
    training_job_id: Id | None = None
    template: TemplateRequest | None = None
    image: ImageRequest | None = None
    promotion: PromotionRequest | None = None
    description: version.Description = ""
    labels: version.Labels = ()
    tags: version.Tags = {}
    model_docs: version.ModelDocs = ()
    install_type: list[Literal["real-time", "batch", "edge"]] | None = Field(
        default=None, max_length=3, description="where it may be deployed; default: all that its mode allows"
    )
    specification: version.Specification = version.Specification()
    source_type: Literal["auto"] | None = None
    workspace_id: str | None = Field(default=None, max_length=64)
    plan: Plan = Field(default=Plan(), description="what shall follow by itself: convert, evaluate, publish")

    @model_validator(mode="wrap")
    @classmethod
    def _one_source(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        problems = one_of(given, SOURCES)
        if isinstance(given, dict) and "source_copy" in given and given.get("source_location") is None:
            message = "source_copy says how source_location is kept; give it only there"
            problems.append(broken("only with source_location", "source_copy", message, given))
        return all_at_once(cls, given, handler, problems)

    def source(self) -> Source:
        if self.source_location is not None:
            return StorageSource(location=location_of(self.source_location), source_copy=self.source_copy)
        if self.upload_id is not None:
            return UploadSource(upload_id=self.upload_id)
        if self.training_job_id is not None:
            return TrainingSource(training_job_id=self.training_job_id)
        if self.template is not None:
            return self.template.source()
        if self.image is not None:
            return self.image.source()
        if self.promotion is not None:
            given = {name for name in self.model_fields_set if getattr(self, name) is not None}
            fields = {**self.promotion.model_dump(), "takes": [name for name in TAKEN if name not in given]}
            return PromotionSource.model_validate(fields)
        raise AssertionError("the rule above lets nobody come here")

    def public_field(self, field: str) -> str:
        """What the services call `source.…`, as this body says it."""
        part = field.removeprefix("source.")
        if part == field:
            return field
        for name in ("template", "image", "promotion"):
            if getattr(self, name) is not None:
                return f"{name}.{part}"
        return "source_location" if part == "location" else part

    def call_fields(self) -> dict[str, object]:
        fields = self.model_dump(exclude={*SOURCES, "source_copy"})
        return {**fields, "source": self.source()}


CHANGEABLE = ("description", "labels", "tags", "model_docs")


class ModelChange(HttpModel):
    """Only what is given changes; a list, and `tags`, replace the whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "检查过", "labels": ["checked"]}]})

    description: version.Description | None = None
    labels: version.Labels | None = None
    tags: version.Tags | None = None
    model_docs: version.ModelDocs | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _something(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        problems = []
        if isinstance(given, dict) and all(given.get(name) is None for name in CHANGEABLE):
            message = f"give at least one of {', '.join(CHANGEABLE)}"
            problems.append(broken("missing", ", ".join(CHANGEABLE), message, given))
        return all_at_once(cls, given, handler, problems)


class AliasRequest(HttpModel):
    model_version: version.ModelVersionNumber


class AliasQuery(HttpModel):
    at: int | None = Field(default=None, ge=0, le=LATEST, description="ms since 1970 UTC; omitted: now")


class HistoryQuery(HttpModel):
    after: int = Field(default=0, ge=0, le=LATEST, description="`seq` of the last record already seen")
    limit: int = Field(default=1000, ge=1, le=1000)


class ComparisonQuery(HttpModel):
    """The first is the baseline."""

    model_id: list[Id] = Field(min_length=2, max_length=20, description="2–20 versions, each once")

    @field_validator("model_id")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        if twice := sorted({each for each in value if value.count(each) > 1}):
            raise ValueError(f"give each version once; {', '.join(twice)} is there more often")
        return value


TRACED = ("training_job", "dataset", "code", "model_name")
Traced = Annotated[str, Field(min_length=1, max_length=1200)]


class TraceQuery(HttpModel):
    """Everything that was made from one thing."""

    training_job: Traced | None = Field(default=None, description="job_id, or job_id/V001 for one run")
    dataset: Traced | None = Field(default=None, description="digest or URI of a training dataset, or a dataset_id")
    code: Traced | None = Field(default=None, description="commit, or repository@commit")
    model_name: version.ModelName | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _one_start(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return all_at_once(cls, given, handler, one_of(given, TRACED))
