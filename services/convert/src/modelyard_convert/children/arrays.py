"""Rows of arrays in one `.npz`: samples and outputs, between `sample`, `refit`, `observe` and `judge`.

Row 3, column 0 is the member `3/0`. Rows may differ in shape, a column may be missing, and nothing is ever unpickled.
"""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def write(path: Path, rows: Iterable[Sequence[Array | None]]) -> int:
    """One row at a time; how many there were."""
    count = 0
    with zipfile.ZipFile(path, "x") as file:
        for row in rows:
            for column, array in enumerate(row):
                if array is not None:
                    _write(file, f"{count}/{column}.npy", array)
            count += 1
    return count


def _write(file: zipfile.ZipFile, name: str, array: Array) -> None:
    plain = array.astype(np.str_) if array.dtype.kind == "O" else array  # text; objects would have to be pickled
    with file.open(name, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, plain, allow_pickle=False)


def columns(path: Path, rows: int, width: int) -> list[list[Array]]:
    """The first `rows` arrays of every column; an empty list for a column that is not there."""
    with np.load(path) as file:
        names = set(file.files)
        return [
            [file[f"{row}/{column}"] for row in range(rows) if f"{row}/{column}" in names] for column in range(width)
        ]
