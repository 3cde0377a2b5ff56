"""Read FlatBuffers without a schema compiler: tables, vectors, strings and numbers, every offset checked first.

The layout is that of https://flatbuffers.dev/internals: a table begins with the distance back to its vtable, which
says where in the table each field lies, by the field's position in the schema. Nothing is read before it is asked for,
so on a memory map only the pages that hold structure are touched; nothing here recurses.
Used by the TFLite format and by MindSpore's.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from modelyard_formats.errors import bad_source

Number = Literal["?", "b", "B", "h", "H", "i", "I", "q", "Q"]  # struct's codes; all little-endian
MAX_VALUES = 500_000  # several times what the largest networks have, some 3 s of work; bulk does not count
MAX_TEXT = 2_000  # bytes; what follows is left out
_CODES: dict[str, struct.Struct] = {code: struct.Struct(f"<{code}") for code in "?bBhHiIqQ"}


class Malformed(Exception):
    """The bytes are no such buffer; the text says where and why."""


@contextmanager
def opened(path: Path, name: str, what: str, rule: str) -> "Iterator[Flatbuffer]":
    """The file, called `name` in errors, mapped while the block reads it. Raises `BadSource` for `Malformed`."""
    if path.stat().st_size == 0:
        raise bad_source(f"{name} is empty", file=name, rule=rule)  # and cannot be mapped
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield Flatbuffer(data)
    except Malformed as error:
        raise bad_source(f"{name} is truncated or no {what}: {error}", file=name, rule=rule) from error


class Flatbuffer:
    """One file. Every method raises `Malformed`."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self._data = data
        self._left = MAX_VALUES

    def __len__(self) -> int:
        return len(self._data)

    def identifier(self) -> bytes:
        """Which schema it says to follow: 4 bytes, empty when it is too short to say so."""
        return self._data[4:8]

    def root(self) -> "Table":
        return Table(self, self.offset(0))

    def number(self, at: int, code: Number) -> int:
        kind = _CODES[code]
        if not 0 <= at <= len(self._data) - kind.size:
            raise Malformed(f"byte {at:,} is outside of its {len(self._data):,} bytes")
        value: int = kind.unpack_from(self._data, at)[0]
        return value

    def offset(self, at: int) -> int:
        """Where the offset that lies at `at` points to."""
        distance = self.number(at, "I")
        if distance == 0:
            raise Malformed(f"the offset at byte {at:,} points to itself")
        return at + distance

    def vector(self, at: int, width: int) -> tuple[int, int]:
        """Position of the first element of the vector at `at`, and their number; all of them lie within the file."""
        count = self.number(at, "I")
        if at + 4 + count * width > len(self._data):
            raise Malformed(f"the vector at byte {at:,} has {count:,} elements, which end outside of the file")
        return at + 4, count

    def content(self, start: int, size: int) -> bytes:
        return self._data[start : start + size]

    def spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise Malformed(f"it holds more than {MAX_VALUES:,} values")


class Table:
    """One table. A field is named by its position in the schema. Every method raises `Malformed`."""

    __slots__ = ("_at", "_fields", "_file", "_size", "_vtable")

    def __init__(self, file: Flatbuffer, at: int) -> None:
        file.spend(1)
        self._file, self._at = file, at
        self._vtable = at - file.number(at, "i")
        size, self._size = file.number(self._vtable, "H"), file.number(self._vtable + 2, "H")
        self._fields = (size - 4) // 2
        if size < 4 or size % 2 or self._size < 4 or self._vtable + size > len(file) or at + self._size > len(file):
            raise Malformed(f"there is no table at byte {at:,}")

    def number(self, field: int, code: Number, default: int = 0) -> int:
        at = self._place(field, _CODES[code].size)
        return default if at is None else self._file.number(at, code)

    def text(self, field: int) -> str:
        """Empty when there is none; cut after `MAX_TEXT` bytes."""
        return self.content(field, MAX_TEXT).decode(errors="backslashreplace")

    def content(self, field: int, most: int) -> bytes:
        """The first bytes of a vector of bytes, `most` at most."""
        start, count = self.extent(field)
        return self._file.content(start, min(count, most))

    def has(self, field: int) -> bool:
        return self._place(field, 1) is not None

    def table(self, field: int) -> "Table | None":
        at = self._place(field, 4)
        return None if at is None else Table(self._file, self._file.offset(at))

    def tables(self, field: int) -> "Tables":
        return Tables(self._file, *self.extent(field, 4))

    def numbers(self, field: int, code: Number, most: int) -> tuple[int, ...]:
        """Raises `Malformed` also when there are more than `most`."""
        start, count = self.extent(field, _CODES[code].size)
        if count > most:
            raise Malformed(f"the vector at byte {start - 4:,} has {count:,} elements, more than {most:,}")
        self._file.spend(count)
        return struct.unpack_from(f"<{count}{code}", self._file.content(start, count * _CODES[code].size))

    def extent(self, field: int, width: int = 1) -> tuple[int, int]:
        """Of a vector whose elements have `width` bytes: position of the first and their number; (0, 0) without one."""
        at = self._place(field, 4)
        return (0, 0) if at is None else self._file.vector(self._file.offset(at), width)

    def _place(self, field: int, width: int) -> int | None:
        if field >= self._fields:
            return None
        within = self._file.number(self._vtable + 4 + 2 * field, "H")
        if within and within + width > self._size:
            raise Malformed(f"field {field} of the table at byte {self._at:,} lies outside of it")
        return self._at + within if within else None


class Tables:
    """A vector of tables; each is looked at when it is asked for."""

    def __init__(self, file: Flatbuffer, start: int, count: int) -> None:
        self._file, self._start, self._count = file, start, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Table:
        if not 0 <= index < self._count:
            raise Malformed(f"there is no element {index:,} in the vector of {self._count:,} at byte {self._start:,}")
        return Table(self._file, self._file.offset(self._start + 4 * index))

    def __iter__(self) -> Iterator[Table]:
        return (self[index] for index in range(self._count))
