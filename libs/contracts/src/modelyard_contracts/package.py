"""`config.json`: what a model package says of itself (docs/package.md). Users write it: unknown fields are refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from modelyard_contracts.runtimes import runtime_named, runtimes_of

MODEL_TYPES = (
    "TensorFlow", "PyTorch", "MXNet", "Caffe", "Spark_MLlib", "Scikit_Learn", "XGBoost", "MindSpore", "Image",
    "Template", "ONNX", "OpenVINO", "TFLite", "LightGBM", "Custom",
)  # fmt: skip
IMAGE = "Image"
PLAIN = r"^[^&!'\"<>=\u4e00-\u9fff]*$"
"""No Chinese and none of `& ! ' " < > =`."""


class ConfigModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preprocessing(ConfigModel):
    """How a decoded image becomes one input tensor.

    `value = (pixel * scale - mean[channel]) / std[channel]`, pixels being 0–255 in the named colour mode.
    """

    input: str | None = Field(default=None, description="input name; may be omitted when the model has one input")
    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] = Field(
        description="[height, width]"
    )
    resize: Literal["stretch", "center_crop", "letterbox"] = "stretch"
    color_mode: Literal["RGB", "BGR", "L"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "uint8", "int8"] = "float32"

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> "Preprocessing":
        channels = 1 if self.color_mode == "L" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise ValueError(f"{name} needs 1 or {channels} numbers for colour mode {self.color_mode}")
        if any(value == 0 for value in self.std):
            raise ValueError("std must not contain 0")
        return self


class HeadDecoding(ConfigModel):
    """Where a detector's one output keeps what: ranges `[from, to)` along `axis`, which counts the batch axis."""

    axis: int = Field(ge=1, le=31)
    boxes: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
    scores: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
    objectness: int | None = Field(default=None, ge=0, description="multiplied with the scores")
    class_id: int | None = Field(
        default=None, ge=0, description="holds the class; without it that of the highest score"
    )

    @model_validator(mode="after")
    def _ranges(self) -> "HeadDecoding":
        if self.boxes[1] - self.boxes[0] != 4:
            raise ValueError("boxes needs 4 places")
        if self.scores[1] <= self.scores[0]:
            raise ValueError("scores needs at least one place")
        return self


OUTPUT_ROLES = (
    "scores", "logits", "boxes", "classes", "mask", "detections", "indices", "embedding", "state", "numbers",
)  # fmt: skip


class OutputRole(ConfigModel):
    """What an output is. `detections` is a detector's one output, decoded as `decode` says."""

    name: str
    role: Literal[OUTPUT_ROLES]  # type: ignore[valid-type]  # one list serves the schema and the proof
    box_format: Literal["xyxy", "yxyx", "cxcywh", "xywh"] = Field(
        default="xyxy", description="of `boxes` and `detections`"
    )
    decode: HeadDecoding | None = Field(default=None, description="`detections` only")

    @model_validator(mode="after")
    def _decoded(self) -> "OutputRole":
        if (self.decode is None) == (self.role == "detections"):
            raise ValueError("decode is required exactly when role is detections")
        return self


class InputAxes(ConfigModel):
    """What the model file does not say of an input: for proving conversions."""

    name: str
    batch_axis: int | None = Field(
        default=None, ge=0, le=31, description="counts the items of a run; found out when it is not said"
    )
    batched: bool = Field(default=True, description="false: no axis counts items")
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None, description="of one run, where there are no samples"
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> "InputAxes":
        if self.batch_axis is not None and not self.batched:
            raise ValueError("batch_axis is only for inputs that are batched")
        return self


class Metrics(ConfigModel):
    f1: float | None = Field(default=None, ge=0, le=1)
    recall: float | None = Field(default=None, ge=0, le=1)
    precision: float | None = Field(default=None, ge=0, le=1)
    accuracy: float | None = Field(default=None, ge=0, le=1)


class Dependency(ConfigModel):
    package_name: str = Field(min_length=1, max_length=100, pattern=PLAIN)
    package_version: str | None = Field(default=None, min_length=1, max_length=50, pattern=PLAIN)
    restraint: Literal["EXACT", "ATLEAST", "ATMOST"] | None = None

    @model_validator(mode="after")
    def _restraint_with_version(self) -> "Dependency":
        if (self.restraint is None) != (self.package_version is None):
            raise ValueError("restraint is required exactly when package_version is given")
        return self


class DependencyGroup(ConfigModel):
    installer: Literal["pip"] = "pip"
    packages: tuple[Dependency, ...] = Field(max_length=200)


class Health(ConfigModel):
    """How a container says that it lives; seconds."""

    url: str = Field(pattern=r"^/", max_length=200)
    protocol: Literal["http", "https"] = "http"
    initial_delay_seconds: int = Field(default=0, ge=0, le=3600)
    timeout_seconds: int = Field(default=10, ge=1, le=600)


class ApiMessage(ConfigModel):
    """A request or an answer: `data` is its JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True)

    content_type: str = Field(default="application/json", alias="Content-type", min_length=1, max_length=100)
    data: dict[str, Any] = {}


class Api(ConfigModel):
    """One path that the model answers at."""

    protocol: Literal["http", "https"] = "http"
    url: str = Field(default="/", pattern=r"^/[^\s?#]*$", max_length=200)
    method: Annotated[
        Literal["get", "post", "put", "patch", "delete"],
        BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    ] = "post"
    request: ApiMessage = ApiMessage()
    response: ApiMessage = ApiMessage()


class PackageConfig(ConfigModel):
    model_algorithm: str = Field(min_length=1, max_length=36, pattern=r"^[A-Za-z]" + PLAIN[1:])
    model_type: Literal[MODEL_TYPES]  # type: ignore[valid-type]  # one list serves the schema and the code
    runtime: str | None = Field(default=None, max_length=100, description="a row of /models/ai-engine-runtimes")
    swr_location: str | None = Field(default=None, min_length=1, max_length=500, description="Image only")
    metrics: Metrics = Metrics()
    apis: tuple[Api, ...] = Field(default=(), max_length=50, description="only `/`, unless model_type is Image")
    dependencies: tuple[DependencyGroup, ...] = Field(default=(), max_length=20)
    health: Health | None = Field(default=None, description="Image only")
    preprocessing: tuple[Preprocessing, ...] = ()
    labels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    inputs: tuple[InputAxes, ...] = ()
    outputs: tuple[OutputRole, ...] = ()

    @field_validator("runtime")
    @classmethod
    def _in_the_table(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Nothing is said while `model_type` itself is wrong; the same below."""
        model_type = info.data.get("model_type")
        if value is None or model_type is None or runtime_named(model_type, value):
            return value
        known = ", ".join(row.runtime for row in runtimes_of(model_type)) or "none at all"
        raise ValueError(f"runtime {value!r} is unknown for {model_type}; known are {known}")

    @field_validator("swr_location", "health")
    @classmethod
    def _of_an_image(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("model_type", IMAGE) != IMAGE:
            raise ValueError("only for model_type Image")
        return value

    @field_validator("apis")
    @classmethod
    def _paths(cls, value: tuple[Api, ...], info: ValidationInfo) -> tuple[Api, ...]:
        for api in value:
            if api.url != "/" and info.data.get("model_type", IMAGE) != IMAGE:
                raise ValueError(f"url must be '/' unless model_type is Image, not {api.url!r}")
        if len({(api.url, api.method) for api in value}) != len(value):
            raise ValueError("every url and method once")
        return value

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("every label must be different")
        return value
