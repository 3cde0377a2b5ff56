"""The arrays in an MXNet `.params` file: names, types and shapes. Numbers are passed over. Used by `mxnet.format`.

Little-endian, as `mx.nd.save` writes it (github.com/apache/mxnet, src/ndarray/ndarray.cc): a list of arrays, each with
a head of its own, and then their names.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from modelyard_formats.format import MAX_NAME, MAX_RANK

MAGIC = 0x112
MAX_ARRAYS = 100_000
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_BESIDE = {0: 0, 1: 1, 2: 2}  # how stored (dense, by rows, compressed) → how many arrays of indices lie beside it
# Type flag → (numpy's or ml_dtypes' name, bytes of one element)
DTYPES = {
    0: ("float32", 4), 1: ("float64", 8), 2: ("float16", 2), 3: ("uint8", 1), 4: ("int32", 4), 5: ("int8", 1),
    6: ("int64", 8), 7: ("bool", 1), 8: ("int16", 2), 9: ("uint16", 2), 10: ("uint32", 4), 11: ("uint64", 8),
    12: ("bfloat16", 2),
}  # fmt: skip


class Malformed(Exception):
    """The bytes are no such file; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Stored:
    """`elements` are stored numbers: fewer than the shape has when the array is sparse."""

    dtype: str
    shape: tuple[int, ...]
    elements: int


def read_params(file: BinaryIO, size: int) -> dict[str, Stored]:
    """By name, `arg:` and `aux:` included. Raises `Malformed`."""
    reader = _Reader(file, size)
    if reader.number("Q") != MAGIC:
        raise Malformed("it does not begin as such a file does")
    reader.number("Q")
    arrays = [reader.array() for _ in range(reader.count())]
    names = [reader.name() for _ in range(reader.count())]
    if file.tell() != size:
        raise Malformed(f"{size - file.tell():,} bytes follow its end")
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise Malformed(f"it has {len(arrays):,} arrays, but {len(set(names)):,} different names")
    return {name: array for name, array in zip(names, arrays, strict=True) if array is not None}


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def number(self, code: str) -> int:
        return self._numbers(code, 1)[0]

    def _numbers(self, code: str, count: int) -> tuple[int, ...]:
        kind = struct.Struct(f"<{count}{code}")
        data = self._file.read(kind.size)
        if len(data) != kind.size:
            raise Malformed("it is cut off")
        return kind.unpack(data)

    def count(self) -> int:
        count = self.number("Q")
        if count > MAX_ARRAYS:
            raise Malformed(f"it says that it has {count:,} arrays, more than {MAX_ARRAYS:,}")
        return count

    def name(self) -> str:
        length = self.number("Q")
        if length > MAX_NAME:
            raise Malformed(f"a name has {length:,} bytes")
        return bytes(self._numbers("B", length)).decode(errors="backslashreplace")

    def array(self) -> Stored | None:
        """None for one that was never filled."""
        magic = self.number("I")
        if magic in (_V2, _V3):
            return self._with_storage(magic)
        shape = self._shape("q") if magic == _V1 else self._shape("I", magic)
        if not shape:
            return None
        dtype, width = self._dtype(placed=True)
        self._pass(width * math.prod(shape))
        return Stored(dtype, shape, math.prod(shape))

    def _with_storage(self, magic: int) -> Stored | None:
        storage = self.number("i")
        if storage not in _BESIDE:
            raise Malformed(f"an array is stored in the unknown way {storage}")
        held = self._shape("q") if _BESIDE[storage] else None
        rank = self.number("i")
        if rank == -1 or (rank == 0 and magic == _V2):
            return None
        shape = self._shape("q", rank)
        dtype, width = self._dtype(placed=True)
        beside = [(self._dtype(placed=False)[1], self._shape("q")) for _ in range(_BESIDE[storage])]
        held = shape if held is None else held
        for size, extent in ((width, held), *beside):
            self._pass(size * math.prod(extent))
        return Stored(dtype, shape, math.prod(held))

    def _shape(self, code: str, rank: int | None = None) -> tuple[int, ...]:
        rank = self.number("I") if rank is None else rank
        if not 0 <= rank <= MAX_RANK:
            raise Malformed(f"an array has {rank:,} axes")
        shape = self._numbers(code, rank)
        if any(axis < 0 for axis in shape):
            raise Malformed("an array has a negative size")
        return shape

    def _dtype(self, *, placed: bool) -> tuple[str, int]:
        if placed:
            self._numbers("i", 2)  # the device it was on
        flag = self.number("i")
        if flag not in DTYPES:
            raise Malformed(f"an array has the unknown type {flag}")
        return DTYPES[flag]

    def _pass(self, count: int) -> None:
        stop = self._file.tell() + count
        if stop > self._size:
            raise Malformed(f"an array ends {stop - self._size:,} bytes beyond the end")
        self._file.seek(stop)


def plain_names(arrays: dict[str, Stored]) -> Iterator[tuple[str, Stored]]:
    """As the symbol calls them: without what kind of parameter it is."""
    return ((name.removeprefix("arg:").removeprefix("aux:"), array) for name, array in arrays.items())
