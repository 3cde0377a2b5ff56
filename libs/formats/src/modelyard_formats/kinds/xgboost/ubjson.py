"""Universal Binary JSON as XGBoost writes it (https://ubjson.org), for reading a model's structure.

Typed arrays, where the trees lie, are passed over: they come out as their length. Used by `xgboost.format`.
"""

import struct
from typing import Any, BinaryIO

MAX_VALUES = 2_000_000
MAX_DEPTH = 60
MAX_STRING = 16 * 2**20
_NUMBERS = {b"i": "b", b"U": "B", b"I": "h", b"l": "i", b"L": "q", b"d": "f", b"D": "d"}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


class Malformed(Exception):
    """The bytes are no UBJSON; the text says where and why."""


class Ubjson:
    """Reads one value of `size` bytes from `file`."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._left = MAX_VALUES

    def read(self) -> Any:
        """Raises `Malformed`."""
        return self._value(self._take(1), 0)

    def _take(self, count: int) -> bytes:
        data = self._file.read(count) if count <= MAX_STRING else b""
        if len(data) != count:
            raise Malformed(f"it is cut off at byte {self._file.tell():,}")
        return data

    def _value(self, marker: bytes, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise Malformed(f"more than {MAX_VALUES:,} values, or nested more than {MAX_DEPTH} deep")
        if marker in _NUMBERS:
            kind = ">" + _NUMBERS[marker]
            return struct.unpack(kind, self._take(struct.calcsize(kind)))[0]
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == b"S":
            return self._take(self._length()).decode("utf-8", "replace")
        if marker == b"C":
            return self._take(1).decode("latin-1")
        if marker == b"[":
            return self._array(depth)
        if marker == b"{":
            return self._object(depth)
        raise Malformed(f"byte {self._file.tell():,} is no marker")

    def _length(self) -> int:
        marker = self._take(1)
        value = self._value(marker, MAX_DEPTH) if marker in _NUMBERS else None
        if not isinstance(value, int) or value < 0:
            raise Malformed(f"there is no length at byte {self._file.tell():,}")
        return value

    def _array(self, depth: int) -> Any:
        marker = self._take(1)
        if marker == b"$":
            kind = self._take(1)
            if kind not in _NUMBERS or self._take(1) != b"#":
                raise Malformed(f"there is no typed array at byte {self._file.tell():,}")
            count = self._length()
            stop = self._file.tell() + count * struct.calcsize(">" + _NUMBERS[kind])
            if stop > self._size:
                raise Malformed(f"an array of {count:,} numbers goes past the end")
            self._file.seek(stop)
            return range(count)
        if marker == b"#":
            return [self._value(self._take(1), depth + 1) for _ in range(self._length())]
        items = []
        while marker != b"]":
            items.append(self._value(marker, depth + 1))
            marker = self._take(1)
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        marker = self._take(1)
        counted = None
        if marker == b"#":
            counted = self._length()
        while (len(found) < counted) if counted is not None else marker != b"}":
            if counted is None:
                self._file.seek(-1, 1)
            name = self._take(self._length()).decode("utf-8", "replace")
            found[name] = self._value(self._take(1), depth + 1)
            marker = self._take(1) if counted is None else b""
        return found
