"""Runs to calibrate and prove with: drawn from pieces of real data, or seeded ones when there are none.

A run is what the model takes at once: one item where it takes any number, else as many as it demands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from modelyard_contracts.package import PackageConfig, Preprocessing
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.axes import Axes
from modelyard_convert.children.reading import Feed, Pieces
from modelyard_convert.errors import CalibrationProblem

SEED = 20240229
UNKNOWN_AXES = (16, 32, 64, 128, 224, 256, 512)
"""Tried for the axes of seeded inputs that nothing describes."""
SEEDED_SAMPLES = 32


@dataclass(frozen=True, slots=True)
class Samples:
    """`calibrate` and `prove` overlap only when there are too few pieces for both."""

    kind: Literal["calibration", "seeded"]
    calibrate: list[Feed]
    prove: list[Feed]


def real_samples(pieces: Pieces, signature: Signature, axes: Axes, *, calibrate: int, prove: int) -> Samples:
    """At most `calibrate` and `prove` pieces, drawn without order. Raises CalibrationProblem when there are none."""
    if pieces.count == 0:
        raise CalibrationProblem("the calibration data holds no samples")
    order = [int(index) for index in np.random.default_rng(SEED).permutation(pieces.count)]
    taken = {index: fitting(pieces.read(index), signature) for index in {*order[:calibrate], *order[-prove:]}}
    return Samples(
        "calibration",
        runs([taken[index] for index in order[:calibrate]], axes),
        runs([taken[index] for index in order[-prove:]], axes),
    )


def seeded_samples(signature: Signature, axes: Axes, shapes: Mapping[str, tuple[int, ...]]) -> Samples:
    """Noise of these `shapes`. It cannot prove anything (README.md), but it shows what is broken."""
    source = np.random.default_rng(SEED)
    count = SEEDED_SAMPLES // (axes.items or 1) or 1
    prove = [{spec.name: _noise(source, spec, shapes[spec.name]) for spec in signature.inputs} for _ in range(count)]
    return Samples("seeded", [], prove)


def seeded_shapes(signature: Signature, axes: Axes, config: PackageConfig) -> Iterator[dict[str, tuple[int, ...]]]:
    """Shapes for one run: as declared, or as the preprocessing says, else one size after the other for what is open."""
    declared = {each.name: each.shape for each in config.inputs if each.shape}
    settled = [_shape(spec, axes.of[spec.name], config, declared, 1) for spec in signature.inputs]
    for size in UNKNOWN_AXES if any(is_open for _, is_open in settled) else UNKNOWN_AXES[:1]:
        yield {spec.name: _shape(spec, axes.of[spec.name], config, declared, size)[0] for spec in signature.inputs}


def fitting(piece: Feed, signature: Signature) -> Feed:
    """Raises CalibrationProblem for values that are no numbers of the input's type."""
    for spec in signature.inputs:
        array = piece[spec.name]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CalibrationProblem(f"a calibration sample for input `{spec.name}` holds NaN or infinite values")
        if array.dtype.name != spec.dtype and not np.can_cast(array.dtype, spec.dtype, casting="same_kind"):
            raise CalibrationProblem(
                f"calibration data for `{spec.name}` is {array.dtype}, the model takes {spec.dtype}"
            )
    return {spec.name: piece[spec.name].astype(spec.dtype) for spec in signature.inputs}


def runs(pieces: list[Feed], axes: Axes) -> list[Feed]:
    """Pieces joined until they are a run; what is left over is left out, unless it is all there is: then it is
    repeated. What has no batch axis is taken from the first of them."""
    wanted, made = axes.items or 1, []
    waiting: list[Feed] = []
    for piece in pieces:
        waiting.append(piece)
        if items_of(waiting[0], axes) * len(waiting) >= wanted:
            made.append(joined(waiting, axes))
            waiting = []
    if waiting and not made:
        made.append(joined([waiting[index % len(waiting)] for index in range(wanted)], axes))
    return made


def together_first(made: list[Feed], axes: Axes, most: int) -> list[Feed]:
    """The same runs, but of those of one shape the first few in one."""
    shapes = [_shapes_beside(each, axes) for each in made]
    first = [index for index, shape in enumerate(shapes) if shape == shapes[0]][:most]
    if len(first) < 2:
        return made
    return [joined([made[index] for index in first], axes), *(made[i] for i in range(len(made)) if i not in first)]


def _shapes_beside(feed: Feed, axes: Axes) -> list[tuple[int, ...]]:
    """What has to be the same in all items of one run; of inputs without items the values too, hence their digest."""
    return [
        feed[name].shape[:axis] + feed[name].shape[axis + 1 :] if axis is not None else (hash(feed[name].tobytes()),)
        for name, axis in axes.of.items()
    ]


def items_of(feed: Feed, axes: Axes) -> int:
    return next((feed[name].shape[axis] for name, axis in axes.of.items() if axis is not None), axes.items or 1)


def joined(pieces: list[Feed], axes: Axes) -> Feed:
    return {
        name: pieces[0][name] if axis is None else np.concatenate([piece[name] for piece in pieces], axis)
        for name, axis in axes.of.items()
    }


def _shape(
    spec: TensorSpec, batch: int | None, config: PackageConfig, declared: Mapping[str, tuple[int, ...]], size: int
) -> tuple[tuple[int, ...], bool]:
    """And whether a size had to be thought up."""
    if spec.name in declared:
        return declared[spec.name], False
    entry = next((entry for entry in config.preprocessing if entry.input in (spec.name, None)), None)
    described = (1, *_described_shape(entry)) if entry else ()
    if len(described) != len(spec.shape):
        described = (size,) * len(spec.shape)
        is_open = any(not isinstance(axis, int) for place, axis in enumerate(spec.shape) if place != batch)
    else:
        is_open = False
    chosen = (
        axis if isinstance(axis, int) else 1 if place == batch else described[place]
        for place, axis in enumerate(spec.shape)
    )
    return tuple(chosen), is_open


def _noise(source: np.random.Generator, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return np.asarray(source.standard_normal(shape), dtype)
    if dtype.kind in "iu":
        return np.asarray(source.integers(0, 256 if dtype == np.uint8 else 10, shape), dtype)
    if dtype.kind == "b":
        return np.asarray(source.integers(0, 2, shape), dtype)
    what = "text" if dtype.kind == "O" else spec.dtype
    raise CalibrationProblem(
        f"input `{spec.name}` takes {what}, which cannot be made up: put samples into calibration_data/*.npz"
    )


def _described_shape(entry: Preprocessing) -> tuple[int, ...]:
    channels = 1 if entry.color_mode == "L" else 3
    return (channels, *entry.size) if entry.layout == "NCHW" else (*entry.size, channels)
