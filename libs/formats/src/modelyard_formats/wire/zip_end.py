"""Where a zip archive ends, and whether readers would find the same directory from there.

Python takes the directory to lie right before the end record, PyTorch's reader (miniz) where the record says; with
bytes in front, or with a second record, one file can be two archives. Used by `zip_members` and by the scan.
"""

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

LONGEST = 2**16 + 22  # with its comment
_END, _END64, _LOCATOR, _CENTRAL, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"
_RECORD = struct.Struct("<4s4H2LH")
_RECORD64 = struct.Struct("<4sQ2H2L4Q")
_LOCATED = struct.Struct("<4sLQL")


@dataclass(frozen=True, slots=True)
class End:
    """`directory` is where Python has the directory of `size` bytes, `stated` where the record says that it is."""

    directory: int
    size: int
    stated: int
    problems: tuple[str, ...] = ()


def find_end(file: BinaryIO, size: int) -> End | None:
    """The last end record, if a directory may lie before it."""
    start = max(0, size - LONGEST)
    file.seek(start)
    tail = file.read(size - start)
    exact = len(tail) - _RECORD.size
    place = exact if exact >= 0 and tail.startswith(_END, exact) and tail.endswith(b"\0\0") else tail.rfind(_END)
    if place < 0 or place > exact:
        return None
    *_, length, stated, comment = _RECORD.unpack_from(tail, place)
    at, problems = start + place, []
    file.seek(0)
    if file.read(4) == _LOCAL and place + _RECORD.size + comment != len(tail) and tail.count(_END) > 1:
        problems.append("it has two ends: readers would not agree on one")
    before = at - _LOCATED.size
    if before >= _RECORD64.size and _read(file, before, _LOCATED.size).startswith(_LOCATOR):
        at = before - _RECORD64.size
        record, pointed = _read(file, at, _RECORD64.size), _LOCATED.unpack(_read(file, before, _LOCATED.size))[2]
        if not record.startswith(_END64):
            return End(at, 0, 0, (*problems, "its end record of 64 bits is missing"))
        length, stated = _RECORD64.unpack(record)[-2:]
        if pointed + (at - length - stated) != at:
            problems.append("its end record of 64 bits is not where it should be")
    directory = at - length
    if directory != stated and _read(file, stated, 4) == _CENTRAL:
        problems.append("it has two directories: readers would not agree on one")
    return End(directory, length, stated, tuple(problems))


def has_archive(file: BinaryIO, size: int) -> bool:
    """Whether it ends as an archive with members: four bytes alone are chance. Readers pass over an end record that is
    cut off, or whose directory is none, for one before it."""
    end = find_end(file, size)
    if end is not None and (end.problems or _read(file, end.directory, 4) == _CENTRAL):
        return True
    start = max(0, size - LONGEST)
    tail = _read(file, start, size - start)
    return any(_has_directory(file, tail, found.start(), start) for found in re.finditer(re.escape(_END), tail))


def _has_directory(file: BinaryIO, tail: bytes, place: int, start: int) -> bool:
    if place + _RECORD.size > len(tail):
        return False
    *_, length, stated, _ = _RECORD.unpack_from(tail, place)
    return any(length and _read(file, at, 4) == _CENTRAL for at in (start + place - length, stated))


def _read(file: BinaryIO, offset: int, count: int) -> bytes:
    if offset < 0:
        return b""
    file.seek(offset)
    return file.read(count)
