"""Reads `.npz` datasets that strangers wrote: no pickles, and sizes are checked before memory is taken.

Used when a dataset is created (labels only) and by the evaluation subprocess (samples too).
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from modelyard_contracts.failures import Problem
from modelyard_evaluate.errors import DatasetRefused

Array = np.ndarray[Any, Any]
MOST_ARRAY_BYTES = 8 << 30


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        count = 1
        for axis in self.shape:
            count *= axis
        return count * self.dtype.itemsize


def read_labels(path: Path) -> list[str]:
    """The label of each sample as text, in order. Raises DatasetRefused."""
    labels = _read(path, "y")
    return [str(label) for label in labels.tolist()]


def read_samples(path: Path) -> tuple[Array, Array]:
    """`x` (samples first) and `y` (integers or text, one each). Raises DatasetRefused."""
    return _read(path, "x"), _read(path, "y")


def _read(path: Path, name: str) -> Array:
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {each: _header(archive, each) for each in ("x", "y")}
            _check(headers)
            with archive.open(f"{name}.npy") as member:
                array: Array = npy.read_array(member, allow_pickle=False)
    except DatasetRefused:
        raise
    except Exception as error:
        raise _refusal(f"the .npz file cannot be read: {error}", "a zip of .npy arrays") from error
    return array


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    if f"{name}.npy" not in archive.namelist():
        found = ", ".join(each.removesuffix(".npy") for each in archive.namelist()[:10])
        raise _refusal(f"the .npz file has no array {name!r}; it has {found or 'none'}", "arrays x and y")
    with archive.open(f"{name}.npy") as member:
        shape, dtype = _shape_and_dtype(member)
    return _Header(shape, dtype)


def _shape_and_dtype(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(npy.read_magic(member))
    if read is None:
        raise ValueError("unknown .npy version")
    shape, _, dtype = read(member)
    return shape, dtype


def _check(headers: dict[str, _Header]) -> None:
    x, y = headers["x"], headers["y"]
    for name, header in headers.items():
        if header.size > MOST_ARRAY_BYTES:
            raise _refusal(f"array {name!r} has {header.size} bytes", f"at most {MOST_ARRAY_BYTES} bytes")
    if x.dtype.kind not in "fiub":
        raise _refusal(f"array 'x' is {x.dtype}", "numbers")
    if y.dtype.kind not in "iuU" or len(y.shape) != 1:
        raise _refusal(f"array 'y' is {y.dtype} of shape {list(y.shape)}", "one integer or text per sample")
    if not x.shape or x.shape[0] != y.shape[0]:
        raise _refusal(f"'x' has shape {list(x.shape)} and 'y' {list(y.shape)}", "as many labels as samples")
    if y.shape[0] == 0:
        raise _refusal("the .npz file holds no sample", "at least one sample")


def _refusal(message: str, rule: str) -> DatasetRefused:
    return DatasetRefused((Problem(message=message, field="source", rule=rule),))
