"""What a conversion is asked for and what it reports: local paths and numbers, nothing of the network."""

from pathlib import Path
from typing import Any, Literal

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Benchmark, Inspection, Parity, Shape, Tolerance

STEP = "==> "  # lines of the log that begin so name the step that runs now


class CalibrationFolder(Shape):
    """`arrays`: `.npy` and `.npz` files. `images`: one folder per class."""

    kind: Literal["arrays", "images"]
    path: Path


class ConversionRequest(Shape):
    """`source` and `result` are package roots: the model lies in `model/`. `scratch` may be filled."""

    target: str
    options: dict[str, Any]
    tolerance: Tolerance
    source_format: str
    config: PackageConfig
    source: Path
    result: Path
    scratch: Path
    calibration: CalibrationFolder | None
    threads: int


class ConversionReport(Shape):
    inspection: Inspection
    changed: int
    parity: Parity
    benchmark: Benchmark
