"""The members of a zip archive, and everything about it that an honest writer does not do.

Readers differ in what they believe: Python refuses an encrypted flag, a wrong name or checksum that PyTorch's reader
passes over, and a scanner that stops there has scanned nothing. So where central directory and local headers
disagree, the archive is refused; content is read by position alone. Used by the scan and by the formats.
"""

import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

from modelyard_formats.wire.archive_bytes import MAX_RATIO, RATIO_FROM, CannotUnpack, beginning, unpack, window
from modelyard_formats.wire.zip_end import find_end

MAX_MEMBERS = 20_000
MAX_DIRECTORY = 8 * 2**20
STORED = 0
_LZMA = 14
PACKED = {8: "deflate", 12: "bzip2", _LZMA: "lzma"}
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x2041  # encrypted, strongly encrypted, directory encrypted
_BY_DESCRIPTOR = 0x8
_UNICODE_PATH = 0x7075
_ENDS_ITSELF = 0x2  # of LZMA: the stream has an end mark


class BadZip(Exception):
    """No zip archive, or one that is too large; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """`offset` is where its packed bytes begin; `size` is what it unpacks to, as declared."""

    name: str
    offset: int
    packed: int
    size: int
    method: int
    crc: int
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Zip:
    """What can be read, and (rule, message) for everything that is wrong."""

    file: BinaryIO
    members: tuple[Member, ...]
    wrong: tuple[tuple[str, str], ...]

    def named(self, ending: str) -> Member | None:
        """The first member in the archive's top folder, or below it, whose path ends so."""
        return next((each for each in self.members if f"/{each.name}".endswith(f"/{ending}")), None)

    def start(self, member: Member, count: int) -> bytes:
        """Its first bytes. Raises `CannotUnpack`."""
        with self._packed(member) as packed:
            return packed.read(count) if member.method == STORED else beginning(packed, PACKED[member.method], count)

    def open(self, member: Member, room: int) -> tuple[BinaryIO, int]:
        """Its content, seekable, and the size. Raises `CannotUnpack`, `Bomb` beyond `room` bytes."""
        packed = self._packed(member)
        if member.method == STORED:
            return packed, member.packed
        with packed:
            return unpack(packed, PACKED[member.method], min(room, member.size + 1))

    def _packed(self, member: Member) -> BinaryIO:
        packed = window(self.file, member.offset, member.packed)
        return _lzma_file(packed, member) if member.method == _LZMA else packed

    def read(self, member: Member, limit: int) -> bytes:
        """Its content, if it has at most `limit` bytes. Raises `CannotUnpack`, `Bomb`."""
        if member.size > limit:
            raise CannotUnpack(f"{member.name} has {member.size:,} bytes, more than {limit:,}")
        file, size = self.open(member, limit)
        with file:
            return file.read(size)


def _lzma_file(packed: BinaryIO, member: Member) -> BinaryIO:
    """As a file of its own: two bytes of version, two with the size of the properties, those (APPNOTE.TXT 5.8.8)."""
    properties = packed.read(4)[2:]
    properties = packed.read(int.from_bytes(properties, "little"))
    size = 2**64 - 1 if member.flags & _ENDS_ITSELF else member.size
    made: BinaryIO = tempfile.SpooledTemporaryFile(max_size=2**20)  # type: ignore[assignment]  # noqa: SIM115 - the caller reads it
    made.write(properties[:5] + size.to_bytes(8, "little"))
    shutil.copyfileobj(packed, made)
    made.seek(0)
    return made


class _Capped:
    """What zipfile reads the directory from: it takes the announced size of the directory at its word."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= MAX_DIRECTORY:
            count = MAX_DIRECTORY + 1
        data = self._file.read(count)
        if len(data) > MAX_DIRECTORY:
            raise BadZip(f"its directory has more than {MAX_DIRECTORY:,} bytes")
        return data


def read_zip(file: BinaryIO, size: int) -> Zip:
    """Raises `BadZip`."""
    try:
        listed = zipfile.ZipFile(_Capped(file)).infolist()
    except (zipfile.BadZipFile, struct.error, OSError, ValueError, OverflowError, NotImplementedError) as error:
        raise BadZip(f"it is no complete zip archive: {error}") from error
    if len(listed) > MAX_MEMBERS:
        raise BadZip(f"it has {len(listed):,} members, more than {MAX_MEMBERS:,}")
    members: list[Member] = []
    wrong: list[tuple[str, str]] = []
    for info in listed:
        member, problems = _member(file, size, info)
        wrong.extend(problems)
        if member:
            members.append(member)
    end = find_end(file, size)
    wrong.extend(("archive-inconsistent", problem) for problem in (end.problems if end else ()))
    wrong.extend(_together(members, size))
    return Zip(file, tuple(members), tuple(wrong))


def _member(file: BinaryIO, size: int, info: zipfile.ZipInfo) -> tuple[Member | None, list[tuple[str, str]]]:
    shown = repr(info.orig_filename[:100])
    wrong = [("archive-path", f"member {shown} {reason}") for reason in path_reasons(info.orig_filename)]
    if stat.S_ISLNK(info.external_attr >> 16):
        wrong.append(("archive-link", f"member {shown} is a symbolic link"))
    head = b""
    if 0 <= info.header_offset < size:
        file.seek(info.header_offset)
        head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        return None, [*wrong, ("archive-inconsistent", f"member {shown} is not where the directory says")]
    _, _, flags, method, _, _, crc, packed, full, name_size, extra = _LOCAL.unpack(head)
    name = file.read(name_size)
    if (flags | info.flag_bits) & _ENCRYPTED:
        wrong.append(("archive-encrypted", f"member {shown} says that it is encrypted"))
    if method != info.compress_type or name != _raw_name(info):
        wrong.append(("archive-inconsistent", f"member {shown} has another name or packing in its own header"))
    if any(_has_other_name(info, each) for each in (info.extra, file.read(extra))):
        wrong.append(("archive-inconsistent", f"member {shown} has another name for some readers"))
    differs = (crc, packed, full) != (info.CRC, info.compress_size, info.file_size)
    if differs and not flags & _BY_DESCRIPTOR and 0xFFFFFFFF not in (packed, full):
        wrong.append(("archive-inconsistent", f"member {shown} has another size or checksum in its own header"))
    offset = info.header_offset + _LOCAL.size + name_size + extra
    if offset + info.compress_size > size:
        return None, [*wrong, ("archive-inconsistent", f"member {shown} goes past the end")]
    if info.compress_type == STORED and info.compress_size != info.file_size:
        wrong.append(("archive-inconsistent", f"member {shown} is not packed, but has two sizes"))
    if info.compress_type != STORED and info.compress_type not in PACKED:
        return None, [*wrong, ("archive-unreadable", f"member {shown} is packed in a way that cannot be read here")]
    sizes = info.compress_size, info.file_size
    return Member(info.filename, offset, *sizes, info.compress_type, info.CRC, flags), wrong


def _has_other_name(info: zipfile.ZipInfo, extra: bytes) -> bool:
    """By the Unicode path of Info-ZIP (APPNOTE.TXT 4.6.9), which newer readers prefer. Honest writers spell a name that
    is not ASCII otherwise in there."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        other = extra[at + 9 : at + 4 + size].decode(errors="replace")
        if kind == _UNICODE_PATH and _ascii_of(other) != _ascii_of(info.orig_filename):
            return True
        at += 4 + size
    return False


def _ascii_of(name: str) -> bytes:
    return name.encode("ascii", "ignore")


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437", errors="replace")


def _together(members: list[Member], size: int) -> list[tuple[str, str]]:
    """What only shows when the members are looked at side by side."""
    wrong = []
    names = [member.name for member in members]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1) if len(names) < 1000 else "a name"
        wrong.append(("archive-inconsistent", f"{twice[:100]!r} is there twice: readers would not agree on one"))
    ordered = sorted(members, key=lambda member: member.offset)
    if any(a.offset + a.packed > b.offset for a, b in pairwise(ordered) if a.packed):
        wrong.append(("archive-bomb", "members share their bytes"))
    full = sum(member.size for member in members)
    if full > RATIO_FROM and full > MAX_RATIO * size:
        wrong.append(("archive-bomb", f"{size:,} bytes unpack to {full:,}"))
    return wrong


def path_reasons(name: str) -> list[str]:
    """Why unpacking would write outside the folder it unpacks to."""
    parts = re.split(r"[/\\]", name)
    reasons = ["leads out of its folder"] if ".." in parts else []
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        reasons.append("has an absolute path")
    if any(ord(character) < 32 for character in name):
        reasons.append("has control characters in its path")
    return reasons


def checksum_fits(file: BinaryIO, crc: int) -> bool:
    """Whether the content, read to its end, has this CRC-32."""
    file.seek(0)
    value = 0
    while chunk := file.read(2**16):
        value = zlib.crc32(chunk, value)
    file.seek(0)
    return value == crc
