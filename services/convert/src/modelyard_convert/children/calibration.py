"""Real inputs for calibration and proof, or seeded ones when there are none. Called by `sample`.

A sample is what one run of the model takes: every input by name, batch axis first. Where the batch axis is dynamic a
sample is one item; where it is fixed to B, a sample is B items.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from modelyard_contracts.package import PackageConfig, Preprocessing
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.children.arrays import Array
from modelyard_convert.errors import CalibrationProblem

Feed = dict[str, Array]
SEED = 20240229
UNKNOWN_AXIS = 16  # size given to a dynamic axis of seeded inputs that nothing describes
SEEDED_SAMPLES = 32
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Samples:
    """`calibrate` and `prove` overlap only when there are too few items for both."""

    kind: Literal["calibration", "seeded"]
    calibrate: list[Feed]
    prove: list[Feed]


@dataclass(frozen=True, slots=True)
class Items:
    """`count` items that can be read one by one: every input without its batch axis."""

    count: int
    read: Callable[[int], Feed]


def real_samples(items: Items, signature: Signature, *, calibrate: int, prove: int) -> Samples:
    """At most `calibrate` and `prove` items, drawn without order. Raises CalibrationProblem when there are none."""
    if items.count == 0:
        raise CalibrationProblem("the calibration data holds no samples")
    batch = fixed_batch(signature)
    order = [int(index) for index in np.random.default_rng(SEED).permutation(items.count)]
    taken = {index: _fitting(items.read(index), signature) for index in {*order[:calibrate], *order[-prove:]}}
    return Samples(
        "calibration",
        _batched([taken[index] for index in order[:calibrate]], batch),
        _batched([taken[index] for index in order[-prove:]], batch),
    )


def seeded_samples(signature: Signature, config: PackageConfig) -> Samples:
    """Noise in the right shape. It cannot prove anything (README.md), but it shows what is broken."""
    source = np.random.default_rng(SEED)
    items = [{spec.name: _noise(source, spec, config) for spec in signature.inputs} for _ in range(SEEDED_SAMPLES)]
    return Samples("seeded", [], _batched(items, fixed_batch(signature)))


def fixed_batch(signature: Signature) -> int:
    sizes = [spec.shape[0] for spec in signature.inputs if spec.shape]
    return next((size for size in sizes if isinstance(size, int)), 1)


def array_items(folder: Path, signature: Signature) -> Items:
    """`*.npy` and `*.npz` of a package's `calibration_data/`, or the one `.npz` of a dataset."""
    blocks = [block for path in sorted(folder.iterdir()) for block in _blocks(path, signature)]
    starts = np.cumsum([0, *(_length(block) for block in blocks)])

    def read(index: int) -> Feed:
        block = int(np.searchsorted(starts, index, side="right")) - 1
        return {name: np.asarray(array[index - starts[block]]) for name, array in blocks[block].items()}

    return Items(int(starts[-1]), read)


def image_items(folder: Path, signature: Signature, config: PackageConfig) -> Items:
    """One folder per class, prepared as `config.preprocessing` says; the classes are not looked at."""
    from modelyard_formats.images.preprocess import image_to_tensor, load_image

    if len(signature.inputs) != 1 or len(config.preprocessing) != 1:
        raise CalibrationProblem("images can calibrate a model with one input and one entry in `preprocessing` only")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)

    def read(index: int) -> Feed:
        image = load_image(paths[index], paths[index].relative_to(folder).as_posix())
        return {signature.inputs[0].name: image_to_tensor(image, config.preprocessing[0])[0]}

    return Items(len(paths), read)


def _blocks(path: Path, signature: Signature) -> list[Feed]:
    """Arrays with the item axis first, still on disk where numpy can leave them there."""
    inputs = signature.inputs
    try:
        if path.suffix == ".npy" and len(inputs) == 1:
            return [{inputs[0].name: _items_first(path, np.load(path, mmap_mode="r"), inputs[0])}]
        if path.suffix == ".npz":
            with np.load(path) as archive:
                return [_named(path, dict(archive), inputs)]
    except (ValueError, OSError, EOFError) as error:
        raise CalibrationProblem(f"{path.name} cannot be read as an array: {error}") from error
    if path.suffix == ".npy":
        raise CalibrationProblem(f"{path.name}: the model has {len(inputs)} inputs, use .npz with an array for each")
    return []


def _named(path: Path, arrays: Feed, inputs: Sequence[TensorSpec]) -> Feed:
    if len(inputs) == 1:
        name = next((name for name in (inputs[0].name, "x", *arrays) if name in arrays), None)
        chosen = {inputs[0].name: arrays[name]} if name else {}
    else:
        chosen = {spec.name: arrays[spec.name] for spec in inputs if spec.name in arrays}
    missing = [spec.name for spec in inputs if spec.name not in chosen]
    if missing:
        raise CalibrationProblem(f"{path.name} has no array for input {', '.join(missing)}; it has {list(arrays)}")
    block = {spec.name: _items_first(path, chosen[spec.name], spec) for spec in inputs}
    if len({len(array) for array in block.values()}) != 1:
        raise CalibrationProblem(f"{path.name}: its arrays hold different numbers of samples")
    return block


def _items_first(path: Path, array: Array, spec: TensorSpec) -> Array:
    wanted = spec.shape[1:]
    for candidate in (array, array[np.newaxis]):
        shape = candidate.shape[1:]
        if len(shape) == len(wanted) and all(
            not isinstance(want, int) or want == have for want, have in zip(wanted, shape, strict=True)
        ):
            return candidate
    raise CalibrationProblem(
        f"{path.name} has shape {list(array.shape)}; input `{spec.name}` takes {list(spec.shape)}, first axis = sample"
    )


def _length(block: Feed) -> int:
    return min(len(array) for array in block.values())


def _fitting(item: Feed, signature: Signature) -> Feed:
    """Raises CalibrationProblem for values that are no numbers of the input's type."""
    for spec in signature.inputs:
        array = item[spec.name]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CalibrationProblem(f"a calibration sample for input `{spec.name}` holds NaN or infinite values")
        if array.dtype.name != spec.dtype and not np.can_cast(array.dtype, spec.dtype, casting="same_kind"):
            raise CalibrationProblem(
                f"calibration data for `{spec.name}` is {array.dtype}, the model takes {spec.dtype}"
            )
    return {spec.name: item[spec.name].astype(spec.dtype) for spec in signature.inputs}


def _batched(items: list[Feed], batch: int) -> list[Feed]:
    """Groups of `batch`; a last group that is not full is left out, unless it is the only one: that one is repeated."""
    if 0 < len(items) < batch:
        items = [items[index % len(items)] for index in range(batch)]
    groups = [items[start : start + batch] for start in range(0, len(items) - batch + 1, batch)]
    return [{name: np.stack([item[name] for item in group]) for name in group[0]} for group in groups]


def _noise(source: np.random.Generator, spec: TensorSpec, config: PackageConfig) -> Array:
    entries = [entry for entry in config.preprocessing if entry.input in (spec.name, None)]
    shape = _described_shape(entries[0]) if entries else ()
    if len(shape) != len(spec.shape[1:]):
        shape = tuple(axis if isinstance(axis, int) else UNKNOWN_AXIS for axis in spec.shape[1:])
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return source.standard_normal(shape).astype(dtype)
    if dtype.kind in "iu":
        return source.integers(0, 256 if dtype == np.uint8 else 10, shape).astype(dtype)
    if dtype.kind == "b":
        return source.integers(0, 2, shape).astype(dtype)
    raise CalibrationProblem(f"input `{spec.name}` is {spec.dtype}; only real samples can be fed to it")


def _described_shape(entry: Preprocessing) -> tuple[int, ...]:
    channels = 1 if entry.color_mode == "L" else 3
    return (channels, *entry.size) if entry.layout == "NCHW" else (*entry.size, channels)
