"""Bodies and queries of the register: what a version shall be called, and which of the six places it comes from."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, ModelWrapValidatorHandler, field_validator, model_validator
from pydantic_core import InitErrorDetails

from modelyard_contracts.calls import version
from modelyard_contracts.package import IMAGE
from modelyard_contracts.shapes import ImageSource, Plan, PromotionSource, Source
from modelyard_gateway.doors.v1.schemas.administration import PROJECT
from modelyard_gateway.doors.v1.schemas.declared import FIELDS, TEMPLATE, DeclaredFields, said_in
from modelyard_gateway.doors.v1.schemas.places import Place, is_place
from modelyard_gateway.doors.v1.schemas.rules import ConfigFile, HttpModel, all_at_once, broken, location_of, one_of

LATEST = 2**53  # instants and sequence numbers stay within what every client's numbers hold
Id = Annotated[str, Field(min_length=1, max_length=64)]
TEXTS: Final = ("initial_config", "model_metrics", "execution_code", "source_job_id", "source_job_version")
"""Kept as they are said."""


class TemplateInputRequest(HttpModel):
    input_id: Id
    input: Place


class TemplateRequest(HttpModel):
    """`infer_format` replaces the template's input/output mode where the template allows it; empty: it does not."""

    template_id: Id
    infer_format: str | None = Field(default=None, max_length=64)
    template_inputs: list[TemplateInputRequest] = Field(min_length=1, max_length=20)


def _of_pairs(given: Any) -> Any:
    """`[{key, value}]` is how clients of ModelArts say it. What is none of that is left to the rules of `tags`."""
    if not isinstance(given, list) or not all(isinstance(each, dict) and "key" in each for each in given):
        return given
    return {each["key"]: each.get("value", "") for each in given if isinstance(each["key"], str)}


Tags = Annotated[version.Tags, BeforeValidator(_of_pairs)]


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

    def source(self, declared: dict[str, Any]) -> ImageSource:
        """`declared` besides goes before what is inline."""
        fields = {"reference": self.reference, "platform": self.platform}
        if self.config_location is None:
            return ImageSource(**fields, config=declared)
        folder, _, file = self.config_location.rpartition("/")
        return ImageSource(**fields, config_location=location_of(folder), config_file=file)


TAKEN = ("description", "labels", "tags", "model_docs", "install_type", "specification")


class PromotionRequest(HttpModel):
    """A version of this project, or of another one, for which `X-Source-Token` has a token."""

    project: str = Field(pattern=PROJECT)
    model_id: Id

    def source(self, given: set[str]) -> PromotionSource:
        """`given`: fields that the body says itself; the others are taken from the original."""
        takes = [name for name in TAKEN if name not in given]
        return PromotionSource.model_validate({**self.model_dump(), "takes": takes})


SOURCES = ("source_location", "upload_id", "training_job_id", "template", "image", "promotion")
_SPOKEN = ("source_location", "source_copy", "model_type", *TEXTS)


class ModelRequest(DeclaredFields):
    """One import: what it shall be called, exactly one of the six places it comes from, and what is said of the
    package itself."""

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
                {
                    "model_name": "mnist",
                    "model_version": "1.0.0",
                    "source_location": "https://models.obs.region.example/mnist",
                    "model_type": "TensorFlow",
                    "runtime": "python3.6",
                    "initial_config": '{"model_algorithm": "image_classification"}',
                },
                {"model_name": "digits-eu", "promotion": {"project": "default", "model_id": "0197…"}},
            ]
        }
    )

    model_name: version.ModelName
    model_version: version.ModelVersionNumber | None = None
    source_location: str | None = Field(
        default=None,
        min_length=1,
        max_length=1200,
        description="`s3://bucket/folder/`, `obs://…`, `/bucket/folder/` or `https://bucket.host/folder/`; with "
        "model_type Image also an image in a registry",
    )
    source_copy: bool | Literal["true", "false"] = Field(
        default=True, description="false: keep the objects of source_location where they lie"
    )
    source_job_id: str | None = Field(default=None, max_length=100, description="name of a training job")
    source_job_version: str | None = Field(default=None, max_length=100, description="run of it: `V001`")
    upload_id: Id | None = None
    training_job_id: Id | None = None
    template: TemplateRequest | None = None
    image: ImageRequest | None = None
    promotion: PromotionRequest | None = None
    description: version.Description = ""
    labels: version.Labels = ()
    tags: Tags = Field(default={}, description="labels with a value: an object, or a list of `{key, value}`")
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
        return all_at_once(cls, given, handler, list(_problems(given)) if isinstance(given, Mapping) else [])

    @property
    def declared(self) -> dict[str, Any]:
        """Fields of a config.json that this body says."""
        given = self.model_dump(include={*FIELDS, "image"}, exclude_none=True)
        return said_in(given).config

    def public_field(self, field: str) -> str:
        """What the services call `source.…`, as this body says it."""
        part = field.removeprefix("source.")
        if part == field:
            return field
        for name in ("template", "image", "promotion"):
            if getattr(self, name) is not None:
                return f"{name}.{part}"
        return "source_location" if part.partition(".")[0] in {"location", "reference"} else part

    def call_fields(self, source: Source) -> dict[str, object]:
        """`source` is what `source_of` has made of it."""
        fields = self.model_dump(exclude={*SOURCES, *FIELDS, *TEXTS, "source_copy"})
        asked = {name: getattr(self, name) for name in _SPOKEN} | {"source_copy": self._copy_text()}
        declared = {} if isinstance(source, ImageSource) and source.config is not None else self.declared
        return {
            **fields,
            "source": source,
            "declared": {"config": declared, "execution_code": self.execution_code is not None},
            "asked": asked,
        }

    def _copy_text(self) -> str | None:
        return str(self.source_copy).lower() if "source_copy" in self.model_fields_set else None


def _problems(given: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    location, run = given.get("source_location"), given.get("source_job_id")
    as_template = given.get("model_type") == TEMPLATE
    present = [name for name in SOURCES if given.get(name) is not None]
    with_run = run is not None and set(present) <= {"source_location"}
    with_template = as_template and present == ["source_location", "template"]
    if not with_run and not with_template:
        yield from one_of(given, SOURCES)
    if run is not None and not with_run:
        yield broken("alone, or with source_location", "source_job_id", "it is a source of its own", given)
    if (run is None) != (given.get("source_job_version") is None):
        name = "source_job_id" if run is None else "source_job_version"
        yield broken("missing", name, "source_job_id and source_job_version name one run together", given)
    if as_template and given.get("template") is None:
        yield broken("missing", "template", "model_type Template says that there is one", given)
    yield from _location_problems(given, location)
    yield from said_in(given).problems


def _location_problems(given: Mapping[str, Any], location: Any) -> Iterator[InitErrorDetails]:
    image = isinstance(location, str) and given.get("model_type") == IMAGE and not is_place(location)
    if isinstance(location, str) and not image and not is_place(location):
        message = (
            "it reads s3://bucket/folder, obs://bucket/folder, /bucket/folder or https://bucket.host/folder, at most "
            "900 characters after the bucket; an image in a registry needs model_type Image"
        )
        yield broken("string_pattern_mismatch", "source_location", message, given)
    if "source_copy" not in given:
        return
    if location is None or given.get("template") is not None or given.get("source_job_id") is not None:
        message = "source_copy says how source_location is kept; give it only there"
        yield broken("only with source_location", "source_copy", message, given)
    elif image and given["source_copy"] in (True, "true"):
        message = "an image stays in its registry, pinned to its digest, and is not copied; send false, or leave it out"
        yield broken("false for an image", "source_copy", message, given)


CHANGEABLE = ("description", "labels", "tags", "model_docs")


class ModelChange(HttpModel):
    """Only what is given changes; a list, and `tags`, replace the whole."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "检查过", "labels": ["checked"]}]})

    description: version.Description | None = None
    labels: version.Labels | None = None
    tags: Tags | None = None
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
