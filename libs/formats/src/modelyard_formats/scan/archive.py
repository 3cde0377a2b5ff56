"""Look at what zip and tar archives hold, without unpacking them to anywhere. Called by `scan.content`."""

import tarfile
from collections.abc import Callable
from typing import BinaryIO

from modelyard_formats.pickle.reader import Unreadable
from modelyard_formats.scan.schema import scan_schemas
from modelyard_formats.scan.search import MAX_DEPTH, Part, Search
from modelyard_formats.wire.archive_bytes import Bomb, CannotUnpack, beginning, unpack, window
from modelyard_formats.wire.zip_members import MAX_MEMBERS, BadZip, Member, Zip, checksum_fits, path_reasons, read_zip

Look = Callable[[Part, Search], None]
MAX_TAR_HEADER = 2**20
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
    for member in archive.members:
        if not member.name.endswith("/"):
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
    """A file that is compressed as a whole, joblib's for one. Whether it really is."""
    part.file.seek(0)
    try:
        start = beginning(part.file, kind, 16)
    except CannotUnpack:
        return False
    if not start or _too_deep(part, search):
        return bool(start)
    part.file.seek(0)
    try:
        content, size = unpack(part.file, kind, search.room)
    except CannotUnpack as error:
        if kind == "zlib" and not start.startswith(b"\x80"):
            return False  # its two bytes were chance
        search.found("dangerous", "archive-unreadable", f"{error}; pack it again", part.inside)
    except Bomb as error:
        search.found("dangerous", "archive-bomb", str(error), part.inside)
    else:
        with content:
            search.room -= size
            look(Part(content, size, part.name, (*part.inside, f"its {kind} content")), search)
    return True


class _Measured:
    """What tarfile reads headers from: it takes their announced sizes at their word."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if not 0 <= count <= MAX_TAR_HEADER:
            raise Unreadable("a header is too large")
        return self._file.read(count)


def scan_tar(part: Part, search: Search, look: Look) -> None:
    part.file.seek(0)
    try:
        archive = tarfile.TarFile(fileobj=_Measured(part.file), mode="r")  # type: ignore[arg-type]  # all that it uses
        for _ in range(MAX_MEMBERS):
            member = archive.next()
            archive.members = []  # type: ignore[attr-defined]  # it would keep every one
            if member is None:
                return
            _scan_tar_member(part, member, search, look)
        search.found("dangerous", "archive-bomb", f"it has more than {MAX_MEMBERS:,} members", part.inside)
    except (tarfile.TarError, Unreadable, OSError, ValueError, OverflowError, RecursionError) as error:
        search.found("dangerous", "archive-unreadable", f"the archive cannot be looked into: {error}", part.inside)


def _scan_tar_member(part: Part, member: tarfile.TarInfo, search: Search, look: Look) -> None:
    shown = repr(member.name[:100])
    for reason in path_reasons(member.name):
        search.found("dangerous", "archive-path", f"member {shown} {reason}; pack it again", part.inside)
    if member.issym() or member.islnk():
        message = f"member {shown} is a link to {member.linkname[:100]!r}; pack the file itself"
        search.found("dangerous", "archive-link", message, part.inside)
    elif member.isdev():
        search.found("dangerous", "archive-link", f"member {shown} is a device or pipe", part.inside)
    elif member.isfile() and not _too_deep(part, search):
        if member.issparse() or member.offset_data + member.size > part.size:
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
