"""`config.json`: what a model package says of itself (docs/package.md). Users write it: unknown fields are refused."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MODEL_TYPES = (
    "TensorFlow", "PyTorch", "MXNet", "Caffe", "Spark_MLlib", "Scikit_Learn", "XGBoost", "MindSpore", "Image",
    "Template", "ONNX", "OpenVINO", "TFLite", "LightGBM", "Custom",
)  # fmt: skip
_FORBIDDEN = re.compile(r"[&!'\"<>=]")


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


class OutputRole(ConfigModel):
    name: str
    role: Literal["scores", "logits", "boxes", "classes", "mask"]


class Metrics(ConfigModel):
    f1: float | None = Field(default=None, ge=0, le=1)
    recall: float | None = Field(default=None, ge=0, le=1)
    precision: float | None = Field(default=None, ge=0, le=1)
    accuracy: float | None = Field(default=None, ge=0, le=1)


class Dependency(ConfigModel):
    package_name: str = Field(min_length=1, max_length=100)
    package_version: str | None = Field(default=None, max_length=50)
    restraint: Literal["EXACT", "ATLEAST", "ATMOST"] | None = None

    @model_validator(mode="after")
    def _restraint_with_version(self) -> "Dependency":
        if (self.restraint is None) != (self.package_version is None):
            raise ValueError("restraint is required exactly when package_version is given")
        return self


class DependencyGroup(ConfigModel):
    installer: Literal["pip"] = "pip"
    packages: tuple[Dependency, ...]


class Health(ConfigModel):
    url: str
    protocol: Literal["http", "https"] = "http"
    initial_delay_seconds: int = Field(default=0, ge=0)
    timeout_seconds: int = Field(default=10, ge=1)


class PackageConfig(ConfigModel):
    model_algorithm: str = Field(min_length=1, max_length=36)
    model_type: Literal[MODEL_TYPES]  # type: ignore[valid-type]  # one list serves the schema and the code
    runtime: str | None = Field(default=None, max_length=100)
    swr_location: str | None = None
    metrics: Metrics = Metrics()
    apis: tuple[dict[str, Any], ...] = ()
    dependencies: tuple[DependencyGroup, ...] = ()
    health: Health | None = None
    preprocessing: tuple[Preprocessing, ...] = ()
    labels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    outputs: tuple[OutputRole, ...] = ()

    @field_validator("model_algorithm")
    @classmethod
    def _algorithm_name(cls, value: str) -> str:
        if not re.match(r"[A-Za-z]", value) or _FORBIDDEN.search(value) or re.search(r"[\u4e00-\u9fff]", value):
            raise ValueError("must begin with a letter and hold no Chinese and none of & ! ' \" < > =")
        return value

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("every label must be different")
        return value
