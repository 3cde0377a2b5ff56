"""What a row of a toolchain's table is. The API role reads rows too, so the native libraries are not imported here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard_contracts.catalogue import Job
from modelyard_contracts.jobs import ConversionJob
from modelyard_contracts.shapes import Tolerance

if TYPE_CHECKING:
    from modelyard_convert.calibration import Feed


@dataclass(frozen=True, slots=True)
class Work:
    """One conversion as a toolchain sees it. `source` and `result` are package roots; the model lies in `model/`.

    `samples` are calibration inputs, one run each, batch axis first; empty unless the target needs calibration.
    """

    source: Path
    result: Path
    scratch: Path
    options: dict[str, Any]
    samples: "Sequence[Feed]"
    log: Callable[[str], None]

    def source_file(self, suffix: str) -> Path:
        return next(iter(sorted((self.source / "model").glob(f"*{suffix}"))))

    def result_file(self, name: str) -> Path:
        folder = self.result / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


@dataclass(frozen=True, slots=True)
class Changes:
    """How much a conversion did. Zero means that it did nothing, which counts as failed."""

    count: int
    what: str


@dataclass(frozen=True, slots=True)
class Target:
    """`convert` raises Failure. `float_sources_only`: a model that is quantised already is refused."""

    target: str
    source_formats: tuple[str, ...]
    result_format: str
    description: str
    tolerance: Tolerance
    convert: Callable[[Work], Changes]
    options: dict[str, Any] = field(default_factory=dict)
    needs_calibration: bool = False
    float_sources_only: bool = False

    @property
    def options_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": self.options, "additionalProperties": False}

    def option_values(self, given: dict[str, Any]) -> dict[str, Any]:
        """`given` over the defaults that the schema states."""
        return {name: given.get(name, schema["default"]) for name, schema in self.options.items()}


@dataclass(frozen=True, slots=True)
class Toolchain:
    """`modules` are imported, once, by a worker's probe: what cannot be imported is not offered."""

    name: str
    job: Job[ConversionJob]
    modules: tuple[str, ...]
    targets: tuple[Target, ...]
