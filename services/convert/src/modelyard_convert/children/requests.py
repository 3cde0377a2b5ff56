"""What `conversion` asks of its children and what they report: local paths and numbers, nothing of the network.

Arrays travel in `.npz` files (`arrays`). Inputs and outputs have no names there: source and result may name them
differently, so they are paired by position.
"""

from pathlib import Path
from typing import Any, Literal

from modelyard_contracts.package import OutputRole, PackageConfig
from modelyard_contracts.shapes import Inspection, Shape, Signature, TensorSpec, Timing, Tolerance
from modelyard_convert.child_request import CalibrationFolder

Kind = Literal["calibration", "seeded"]


class SampleRequest(Shape):
    """`root` is a package root. `calibrate`: how many samples are wanted to calibrate with, written to `calibration`;
    those to prove with are written to `proof`."""

    do: Literal["sample"] = "sample"
    format: str
    root: Path
    threads: int
    config: PackageConfig
    folder: CalibrationFolder | None
    calibrate: int
    calibration: Path
    proof: Path


class SampleReport(Shape):
    """`calibrate` and `prove` are runs of `batch` items each; `output_batch_axes`: where each output has them, as far
    as it was found out; `together`: how many items the first run has instead, if it has more; `inputs_vary`: samples
    differ in size; `notes`: what is odd about the samples."""

    kind: Kind
    signature: Signature
    calibrate: int
    prove: int
    batch: int
    output_batch_axes: tuple[int | None, ...] = ()
    together: int = 0
    inputs_vary: bool = False
    notes: tuple[str, ...] = ()


class RefitRequest(Shape):
    """`program` is run by `refit`; `samples.inputs` are the source's input names."""

    class Samples(Shape):
        path: Path
        inputs: tuple[str, ...]
        count: int

    program: Path
    convert: str
    check: str | None
    source: Path
    result: Path
    scratch: Path
    options: dict[str, Any]
    samples: Samples


class RefitReport(Shape):
    changed: int
    what: str
    notes: tuple[str, ...] = ()


class Refused(Shape):
    """`refused` names an error, `said` is what it says."""

    refused: Literal["NotConvertible", "UnsupportedOperators", "ToolchainFailed", "BadResult"]
    said: tuple[str, ...]


class Turns(Shape):
    """Two named pipes: each observer reads its own and writes to the other's. One of the two leads."""

    own: Path
    other: Path
    leads: bool


class ObserveRequest(Shape):
    """`counterpart`: the source's signature, when a result is observed. Without `turns` it is timed alone. `together`:
    items of the first run, which is not timed."""

    do: Literal["observe"] = "observe"
    format: str
    root: Path
    threads: int
    samples: Path
    count: int
    outputs: Path
    counterpart: Signature | None
    turns: Turns | None
    together: int = 0


class ObserveReport(Shape):
    """The first `runs` samples were run; `repeats`: a source gave the same twice; `uncompared`: outputs that are no
    tensors. The rest is about timing: `precision` is what it computed in, `load` the machine's; `noisy`: wall and CPU
    time parted."""

    inspection: Inspection
    runs: int
    repeats: bool = True
    uncompared: tuple[str, ...] = ()
    timing: Timing
    threads: int
    warmup: int
    timed: int
    precision: str
    load: float
    noisy: bool


class JudgeRequest(Shape):
    """`reference` and `result` are the outputs of source and result, `specs` what the source says of them, `heads`
    what makes them in its graph; `labels`: how many classes have a name; `repeats`: it gives the same for the same."""

    do: Literal["judge"] = "judge"
    reference: Path
    result: Path
    specs: tuple[TensorSpec, ...]
    runs: int
    batch: int
    output_batch_axes: tuple[int | None, ...] = ()
    kind: Kind
    declared: tuple[OutputRole, ...] = ()
    heads: dict[str, str] = {}
    labels: int = 0
    inputs_vary: bool = False
    repeats: bool = True
    tolerance: Tolerance
    notes: tuple[str, ...] = ()
