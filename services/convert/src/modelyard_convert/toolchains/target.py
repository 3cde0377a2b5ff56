"""What a row of a toolchain's table is. The API role reads rows too, so the native libraries are not imported here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard_contracts.catalogue import Job
from modelyard_contracts.jobs import ConversionJob
from modelyard_contracts.shapes import Tolerance


@dataclass(frozen=True, slots=True)
class Target:
    """`convert` and `check` name functions of the toolchain's program: one makes the result, the other raises when the
    result is not whole. `float_sources_only`: a model that is quantised already is refused. `watched`: so many samples
    are run to see what happens inside, where there are any."""

    target: str
    source_formats: tuple[str, ...]
    result_format: str
    description: str
    tolerance: Tolerance
    convert: str
    check: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    needs_calibration: bool = False
    float_sources_only: bool = False
    watched: int = 0

    @property
    def options_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": self.options, "additionalProperties": False}

    def option_values(self, given: dict[str, Any]) -> dict[str, Any]:
        """`given` over the defaults that the schema states."""
        return {name: given.get(name, schema["default"]) for name, schema in self.options.items()}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """`program` runs in the interpreter `python` of `environment` (None: this one), for `device`. `modules` are what it
    needs there: imported, once, by a worker's probe; what cannot be imported is not offered."""

    name: str
    job: Job[ConversionJob]
    modules: tuple[str, ...]
    targets: tuple[Target, ...]
    program: Path
    environment: str
    device: str = "cpu"
    python: Path | None = None
