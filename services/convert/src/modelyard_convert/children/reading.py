"""Calibration files as pieces: what can be fed in one run, or is joined with others to one. Called by `sample`.

An array has the shape of its input with any number along the batch axis; or lacks that axis, and is one item; or has
one more axis in front, and holds whole runs one behind the other. What an input without a batch axis is given once in a
file belongs to every piece of the file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.axes import Axes
from modelyard_convert.errors import CalibrationProblem

Feed = dict[str, Array]
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Pieces:
    """`count` pieces that can be read one by one: every input with all its axes."""

    count: int
    read: Callable[[int], Feed]


@dataclass(frozen=True, slots=True)
class _Column:
    """One input's array in one file. `count`: its pieces, None where it is the same for all."""

    count: int | None
    read: Callable[[int], Array]


@dataclass(frozen=True, slots=True)
class File:
    """The arrays of the model's inputs in one file; on the disk where numpy can leave them there."""

    name: str
    arrays: Feed


def array_files(folder: Path, signature: Signature) -> list[File]:
    """`*.npy` and `*.npz` of a package's `calibration_data/`, or the one `.npz` of a dataset."""
    return [file for path in sorted(folder.iterdir()) for file in _files(path, signature.inputs)]


def array_pieces(files: Sequence[File], signature: Signature, axes: Axes, items: int = 1) -> Pieces:
    """A piece takes `items` neighbours along the batch axis."""
    blocks = [_columns(file, signature.inputs, axes, items) for file in files]
    starts = np.cumsum([0, *(_length(block) for block in blocks)])

    def read(index: int) -> Feed:
        block = int(np.searchsorted(starts, index, side="right")) - 1
        return {name: column.read(int(index - starts[block])) for name, column in blocks[block].items()}

    return Pieces(int(starts[-1]), read)


def image_pieces(folder: Path, signature: Signature, axes: Axes, config: PackageConfig) -> Pieces:
    """One folder per class, prepared as `config.preprocessing` says; the classes are not looked at."""
    from modelyard_formats.images.preprocess import image_to_tensor, load_image

    if len(signature.inputs) != 1 or len(config.preprocessing) != 1:
        raise CalibrationProblem("images can calibrate a model with one input and one entry in `preprocessing` only")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    name = signature.inputs[0].name

    def read(index: int) -> Feed:
        image = load_image(paths[index], paths[index].relative_to(folder).as_posix())
        tensor = image_to_tensor(image, config.preprocessing[0])[0]
        return {name: np.expand_dims(tensor, axes.of[name] or 0)}

    return Pieces(len(paths), read)


def _files(path: Path, inputs: Sequence[TensorSpec]) -> list[File]:
    try:
        if path.suffix == ".npy" and len(inputs) == 1:
            return [File(path.name, {inputs[0].name: np.load(path, mmap_mode="r")})]
        if path.suffix == ".npz":
            with np.load(path) as archive:
                return [File(path.name, _named(path, dict(archive), inputs))]
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
    return chosen


def _columns(file: File, inputs: Sequence[TensorSpec], axes: Axes, items: int) -> dict[str, _Column]:
    arrays = file.arrays
    whole = all(isinstance(size, int) for spec in inputs for size in spec.shape) and all(
        arrays[spec.name].shape == spec.shape for spec in inputs
    )
    columns: dict[str, _Column] = {}
    for spec in inputs:
        array, axis = arrays[spec.name], axes.of[spec.name]
        column = _same(array) if whole else _column(array, spec, axis, items)
        if column is None:
            where = "no batch axis" if axis is None else f"axis {axis} = sample"
            raise CalibrationProblem(
                f"{file.name} has shape {list(array.shape)}; input `{spec.name}` takes {list(spec.shape)}, {where}"
            )
        columns[spec.name] = column
    counts = {name: column.count for name, column in columns.items() if column.count is not None}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"`{name}` {count}" for name, count in counts.items())
        raise CalibrationProblem(f"{file.name}: its arrays hold different numbers of samples: {told}")
    return columns


def _column(array: Array, spec: TensorSpec, axis: int | None, items: int) -> _Column | None:
    """None when it does not fit."""
    rank = len(spec.shape)
    if array.ndim == rank + 1 and _fits(array.shape[1:], spec.shape):
        return _Column(len(array), lambda index: np.asarray(array[index]))
    if axis is None:
        return _same(array) if _fits(array.shape, spec.shape) else None
    if _fits(array.shape, spec.shape, axis):
        before = (slice(None),) * axis
        return _Column(
            array.shape[axis] // items,
            lambda index: np.asarray(array[(*before, slice(index * items, (index + 1) * items))]),
        )
    if _fits(array.shape, (*spec.shape[:axis], *spec.shape[axis + 1 :])):
        return _Column(1, lambda _: np.expand_dims(np.asarray(array), axis))
    return None


def _same(array: Array) -> _Column:
    return _Column(None, lambda _: np.asarray(array))


def _fits(shape: Sequence[int], wanted: Sequence[int | str | None], free: int | None = None) -> bool:
    return len(shape) == len(wanted) and all(
        axis == free or not isinstance(want, int) or want == have
        for axis, (want, have) in enumerate(zip(wanted, shape, strict=True))
    )


def _length(block: dict[str, _Column]) -> int:
    """A file in which nothing is counted is one piece."""
    return next((column.count for column in block.values() if column.count is not None), 1)
