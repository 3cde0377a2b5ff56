"""Look at one file by what it is, whatever its name says. Called by `scan.package`, for members by `scan.archive`."""

import re
import zipfile
from typing import BinaryIO

from modelyard_formats.scan.archive import scan_packed, scan_tar, scan_zip
from modelyard_formats.scan.npy import MAGIC as NUMPY
from modelyard_formats.scan.npy import scan_npy
from modelyard_formats.scan.pickles import scan_pickles
from modelyard_formats.scan.search import Part, Search
from modelyard_formats.wire.archive_bytes import packing_of

PICKLES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_CLOSED = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed with Zstandard",
    b"\x04\x22\x4d\x18": "packed with LZ4",
    b"ZF0x": "an old joblib archive",
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NATIVE = (b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_LAMBDA = re.compile(rb"class_name\\?\"\s*:\s*\\?\"(?:__lambda__|Lambda)\\?\"")


def look_at(part: Part, search: Search) -> None:
    """Record everything that is wrong with it."""
    search.looks -= 1
    if search.looks < 0:
        search.found("dangerous", "archive-bomb", "it holds more files than can be looked at", part.inside[:1])
        return
    head = _head(part.file)
    if head.startswith(_ZIP):
        scan_zip(part, search, look_at)
    elif head.startswith(NUMPY):
        scan_npy(part, search)
    elif head[257:262] == b"ustar":
        scan_tar(part, search, look_at)
    elif closed := next((what for magic, what in _CLOSED.items() if head.startswith(magic)), None):
        message = f"it is {closed}, which cannot be looked into; use zip, gzip, bzip2 or xz"
        search.found("dangerous", "archive-unreadable", message, part.inside)
    elif (kind := packing_of(head)) and scan_packed(part, kind, search, look_at):
        pass
    elif part.name.lower().endswith((".tar", ".tgz")):
        scan_tar(part, search, look_at)
    else:
        _look_at_plain(part, head, search)
    if not part.inside:
        _look_for_hidden_zip(part, head, search)


def _look_at_plain(part: Part, head: bytes, search: Search) -> None:
    if head.startswith(_HDF5):
        _scan_hdf5(part, search)
    elif head.startswith(_NATIVE) or _is_windows_program(part.file, head):
        search.found("suspicious", "program", "it is a native program or library", part.inside)
    elif head.startswith(b"#!") and head[2:64].split(b"\n")[0].strip().startswith(b"/"):
        search.found("suspicious", "program", "it is a script that can be started", part.inside)
    elif part.size:
        scan_pickles(part, search, is_pickle=part.name.lower().endswith(PICKLES))


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(512)


def _is_windows_program(file: BinaryIO, head: bytes) -> bool:
    if not head.startswith(b"MZ") or len(head) < 64:
        return False
    file.seek(int.from_bytes(head[60:64], "little"))
    return file.read(4) == b"PE\0\0"


def _scan_hdf5(part: Part, search: Search) -> None:
    """Keras keeps its layers as JSON in an attribute. HDF5's own structure is not followed, so the file stays odd."""
    message = "an HDF5 file can hold Keras layers with Python code; save the model as .keras, which can be checked"
    search.found("suspicious", "hdf5-unchecked", message, part.inside)
    part.file.seek(0)
    before = b""
    while chunk := part.file.read(2**20):
        if _LAMBDA.search(before + chunk):
            message = "a Lambda layer holds Python code; write it as a registered layer"
            search.found("dangerous", "keras-lambda", message, part.inside)
            return
        before = chunk[-200:]


def _ends_as_zip(file: BinaryIO) -> bool:
    try:
        return zipfile.is_zipfile(file)
    except zipfile.BadZipFile:  # one of several disks: its end is there
        return True


def _look_for_hidden_zip(part: Part, head: bytes, search: Search) -> None:
    """A zip archive is found from its end: some readers take for an archive what others take for something else."""
    if head.startswith(_ZIP) or not _ends_as_zip(part.file):
        return
    search.found("suspicious", "two-formats", "it begins as one kind of file and ends as a zip archive")
    scan_zip(part, search, look_at)
