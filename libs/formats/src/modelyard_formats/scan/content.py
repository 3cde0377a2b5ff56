"""Look at one file by what it is, whatever its name says. Called by `scan.package`, for members by `scan.archive`.

Loaders choose by different bytes and in different orders, so a file is read in every way in which it can be read.
"""

from typing import BinaryIO

from modelyard_formats.scan.archive import scan_packed, scan_tar, scan_zip
from modelyard_formats.scan.hdf5 import is_hdf5, scan_hdf5
from modelyard_formats.scan.imports import runs_a_module
from modelyard_formats.scan.names import is_model_format, is_plain
from modelyard_formats.scan.npy import next_array, scan_npy
from modelyard_formats.scan.opcodes import Reach, reach
from modelyard_formats.scan.operators import scan_operators
from modelyard_formats.scan.pickles import scan_pickles
from modelyard_formats.scan.schema import scan_json
from modelyard_formats.scan.search import MAX_NESTED, Part, Search
from modelyard_formats.scan.sniff import HEAD, NUMPY, ZIP, closed_kind, is_flatbuffer, is_json, is_tar
from modelyard_formats.scan.torch_archives import scan_flatbuffer
from modelyard_formats.wire.archive_bytes import packing_of
from modelyard_formats.wire.zip_end import has_archive

PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt")
_TAR = (".tar", ".tgz")
_NATIVE = (b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")


def look_at(part: Part, search: Search) -> None:
    """Record everything that is wrong with it."""
    search.looks -= 1
    if search.looks < 0 or search.nested >= MAX_NESTED:
        search.found("dangerous", "archive-bomb", "it holds more files than can be looked at", part.inside[:1])
        return
    search.nested += 1
    _look_at(part, search)
    search.nested -= 1


def _look_at(part: Part, search: Search) -> None:
    part.file.seek(0)
    head = part.file.read(HEAD)
    kind = _look_into(part, head, search)
    if kind is None:
        _look_at_plain(part, head, search)
    elif is_model_format(part.name):
        _refuse_name(part, kind, search)
    _look_for_pickles(part, head, search, is_pickle=kind is None and part.name.lower().endswith(PICKLES))
    if not head.startswith(ZIP) and has_archive(part.file, part.size):
        search.found(
            "suspicious", "two-formats", "it begins as one kind of file and ends as a zip archive", part.inside
        )
        scan_zip(part, search, look_at)


def _look_into(part: Part, head: bytes, search: Search) -> str | None:
    """The kind of archive that it is, or of packing."""
    for name, fits, scan in (
        ("a zip archive", head.startswith(ZIP), scan_zip),
        ("a NumPy array", head.startswith(NUMPY), scan_npy),
        ("a tar archive", is_tar(head) or _is_tar_behind_zeros(part, head), scan_tar),
    ):
        if fits:
            scan(part, search, look_at)
            return name
    if closed := closed_kind(head):
        message = f"it is {closed}, which cannot be looked into; use zip, gzip, bzip2 or xz"
        search.found("dangerous", "archive-unreadable", message, part.inside)
        return closed
    kind = packing_of(head)
    if kind and scan_packed(part, kind, search, look_at):
        return f"packed with {kind}"
    if part.name.lower().endswith(_TAR):
        scan_tar(part, search, look_at)
        return "a tar archive"
    return None


def _is_tar_behind_zeros(part: Part, head: bytes) -> bool:
    """tarfile passes over empty blocks when it is told to, and then over broken ones too."""
    if head[:512].strip(b"\0") or part.size <= 1024:
        return False
    if any(is_tar(head[start : start + 512]) for start in range(512, len(head), 512)):
        return True
    part.file.seek(0)
    while chunk := part.file.read(HEAD):
        if chunk != bytes(len(chunk)):
            filled = chunk.lstrip(b"\0")
            start = (len(chunk) - len(filled)) // 512 * 512
            return is_tar((chunk[start:] + part.file.read(512))[:512])
    return False


def _look_at_plain(part: Part, head: bytes, search: Search) -> None:
    if is_hdf5(part):
        scan_hdf5(part, search)
    elif is_flatbuffer(head):
        scan_flatbuffer(part, search)
    elif is_json(part.name, head):
        scan_json(part, search)
    else:
        if part.inside or search.file not in search.known:
            scan_operators(part, search)
        judge_program(part.file, head, search, part.inside)


def judge_program(file: BinaryIO, head: bytes, search: Search, inside: tuple[str, ...] = ()) -> None:
    if head.startswith(_NATIVE) or _is_windows_program(file, head):
        search.found("suspicious", "program", "it is a native program or library", inside)
    elif head.startswith(b"SQLite format 3\0"):
        search.found("suspicious", "database", "a database may hold pickles, which are not searched for in it", inside)
    elif head.startswith(b"#!") and head[2:64].split(b"\n")[0].strip().startswith(b"/"):
        search.found("suspicious", "program", "it is a script that can be started", inside)


def _is_windows_program(file: BinaryIO, head: bytes) -> bool:
    if not head.startswith(b"MZ") or len(head) < 64:
        return False
    file.seek(int.from_bytes(head[60:64], "little"))
    return file.read(4) == b"PE\0\0"


def _look_for_pickles(part: Part, head: bytes, search: Search, *, is_pickle: bool) -> None:
    """Text may look like an import; nobody's looks like a call of it, or like one that does something. Behind a pickle
    there may be arrays. A zip archive's first byte asks an unpickler for what none has kept beside it: no loader that
    is pointed at one gets further, however its bytes go on."""
    if head.startswith(ZIP):
        return
    far = reach(head, part.size)
    calls = far is Reach.CALLS or (far is Reach.IMPORTS and runs_a_module(head))
    if calls and is_model_format(part.name):
        _refuse_name(part, "a pickle", search)
    if part.size and (is_pickle or calls or (far is Reach.IMPORTS and not is_plain(part.name))):
        scan_pickles(part, search, is_pickle=is_pickle)
    if far >= Reach.VALUES and (at := next_array(part, 0)) is not None:
        scan_npy(part, search, look_at, at)


def _refuse_name(part: Part, kind: str, search: Search) -> None:
    message = f"it is named like a model of another format, but is {kind}; give it the name of what it is"
    search.found("dangerous", "content-contradicts-name", message, part.inside)
