"""Look at what zip and tar archives hold, without unpacking them to anywhere. Called by `scan.content`."""

import re
import tarfile
from collections.abc import Callable
from typing import IO, BinaryIO, Self

from modelyard_formats.pickle.reader import Unreadable
from modelyard_formats.scan.schema import scan_schemas
from modelyard_formats.scan.search import MAX_DEPTH, Part, Search
from modelyard_formats.scan.sniff import is_weak
from modelyard_formats.scan.torch_archives import scan_torch
from modelyard_formats.wire.archive_bytes import (
    NO_END,
    Bomb,
    CannotUnpack,
    Unpacked,
    unpack_what_is_there,
    window,
)
from modelyard_formats.wire.zip_members import MAX_MEMBERS, BadZip, Member, Zip, checksum_fits, path_reasons, read_zip

Look = Callable[[Part, Search], None]
MAX_TAR_HEADER = 2**20
MAX_TAR_BLOCKS = 200_000
_DIGITS = re.compile(rb"\d{64}")
MIN_UNPACKED, MIN_USED = 64, 4096
# Checksums are only taken of small members, where pickles lie: reading every tensor twice would cost minutes.
MAX_CHECKED = 2**20


def scan_zip(part: Part, search: Search, look: Look) -> None:
    try:
        archive = read_zip(part.file, part.size)
    except BadZip as error:
        search.found("dangerous", "archive-unreadable", f"the archive cannot be looked into: {error}", part.inside)
        return
    for rule, message in archive.wrong:
        search.found("dangerous", rule, f"{message}; pack it again", part.inside)
    if any(rule == "archive-bomb" for rule, _ in archive.wrong) or _too_deep(part, search):
        return
    scan_schemas(archive, search, part.inside)
    scan_torch(archive, search, part.inside)
    for member in archive.members:
        if member.size or member.packed or not member.name.endswith("/"):
            _scan_member(archive, member, part.inside, search, look)


def _scan_member(archive: Zip, member: Member, inside: tuple[str, ...], search: Search, look: Look) -> None:
    name = member.name
    try:
        content, size = archive.open(member, search.room)
    except CannotUnpack as error:
        search.found("dangerous", "archive-unreadable", f"{error}; pack it again", (*inside, name))
        return
    except Bomb as error:
        search.found("dangerous", "archive-bomb", str(error), (*inside, name))
        return
    with content:
        search.room -= size if member.method else 0
        if size <= MAX_CHECKED and not checksum_fits(content, member.crc):
            search.found("dangerous", "archive-checksum", f"member {name[:100]!r} does not have its checksum", inside)
        look(Part(content, size, name, (*inside, name)), search)


def scan_packed(part: Part, kind: str, search: Search, look: Look) -> bool:
    """A file that is compressed as a whole, joblib's for one. Whether it really is.

    Readers hand out what they have unpacked before they notice that the rest is missing, so that is looked at too.
    """
    part.file.seek(0)
    weak = is_weak(part.file.read(10), kind)
    part.file.seek(0)
    try:
        made = unpack_what_is_there(part.file, kind, search.room)
    except Bomb as error:
        search.found("dangerous", "archive-bomb", str(error), part.inside)
        return True
    with made.file:
        if made.broken and weak and not made.size:
            return False
        if _too_deep(part, search):
            return True
        search.room -= made.size
        inside = (*part.inside, f"its {kind} content")
        by_chance = made.broken is not None and weak and _may_be_chance(made)
        if made.broken and not by_chance:
            message = f"it is cut off or broken ({made.broken}): nobody knows what the rest would be; pack it again"
            search.found("dangerous", "archive-unreadable", message, part.inside)
        look(Part(made.file, made.size, "" if made.broken else part.name, inside), search)
    if made.broken is None:
        _look_behind(part, made.used, search, look)
    return not by_chance


def _may_be_chance(made: Unpacked) -> bool:
    """A few bytes of anything can be unpacked as if they had been packed."""
    return made.size < MIN_UNPACKED or (made.broken != NO_END and made.used < MIN_USED)


def _look_behind(part: Part, start: int, search: Search, look: Look) -> None:
    """What no reader gets to may still be there for another one."""
    size = part.size - start
    if size > 0:
        with window(part.file, start, size) as rest:
            look(Part(rest, size, "", (*part.inside, "what follows it")), search)


class _Measured:
    """What tarfile reads headers from: it takes their announced sizes at their word, and their number."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._blocks = MAX_TAR_BLOCKS
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        self._blocks -= 1
        if not 0 <= count <= MAX_TAR_HEADER or self._blocks < 0:
            raise Unreadable("a header is too large, or there are too many")
        data = self._file.read(count)
        if count > tarfile.BLOCKSIZE and _DIGITS.search(data):
            raise Unreadable("a header holds a number of too many digits")  # CVE-2024-6232
        return data


class _Header(tarfile.TarInfo):
    """Told to go on behind empty headers, tarfile also passes over what is no header at all."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if bytes(buf).strip(b"\0"):
                raise Unreadable(f"bytes that belong to no member: {error}") from error
            raise


def scan_tar(part: Part, search: Search, look: Look) -> None:
    """As tarfile reads it with `ignore_zeros`: also what stands behind the end mark."""
    part.file.seek(0)
    names: set[str] = set()
    try:
        source: IO[bytes] = _Measured(part.file)  # type: ignore[assignment]  # all that tarfile uses
        archive = tarfile.TarFile(fileobj=source, mode="r", tarinfo=_Header, ignore_zeros=True)
        for _ in range(MAX_MEMBERS):
            member = archive.next()
            archive.members = []  # type: ignore[attr-defined]  # it would keep every one
            if member is None:
                break
            names.add(member.name.removeprefix("./"))
            _scan_tar_member(part, member, search, look)
        else:
            search.found("dangerous", "archive-bomb", f"it has more than {MAX_MEMBERS:,} members", part.inside)
    except (tarfile.TarError, Unreadable, OSError, ValueError, OverflowError, RecursionError) as error:
        search.found("dangerous", "archive-unreadable", f"the archive cannot be looked into: {error}", part.inside)
    if {"storages", "tensors"} & names and "pickle" in names:
        message = "a PyTorch file of before 2017, whose pickles lie between numbers; load it and save it again"
        search.found("dangerous", "archive-unreadable", message, part.inside)


def _scan_tar_member(part: Part, member: tarfile.TarInfo, search: Search, look: Look) -> None:
    shown = repr(member.name[:100])
    for reason in path_reasons(member.name):
        search.found("dangerous", "archive-path", f"member {shown} {reason}; pack it again", part.inside)
    if member.issym() or member.islnk():
        message = f"member {shown} is a link to {member.linkname[:100]!r}; pack the file itself"
        search.found("dangerous", "archive-link", message, part.inside)
    elif member.isdev():
        search.found("dangerous", "archive-link", f"member {shown} is a device or pipe", part.inside)
    elif (member.isfile() or member.type not in tarfile.SUPPORTED_TYPES) and not _too_deep(part, search):
        # tarfile writes a member of a kind that it does not know as a file.
        if member.issparse() or member.size < 0 or member.offset_data + member.size > part.size:
            search.found("dangerous", "archive-unreadable", f"member {shown} is cut off or sparse", part.inside)
            return
        place = part.file.tell()
        with window(part.file, member.offset_data, member.size) as content:
            look(Part(content, member.size, member.name, (*part.inside, member.name)), search)
        part.file.seek(place)


def _too_deep(part: Part, search: Search) -> bool:
    if len(part.inside) < MAX_DEPTH:
        return False
    search.found("dangerous", "archive-bomb", f"archives are nested more than {MAX_DEPTH} deep", part.inside[:1])
    return True
