"""Versions side by side."""

from typing import Any, Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.shapes import Shape


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


COMPARE = Call("version", "compare", CompareVersions, Comparison)
