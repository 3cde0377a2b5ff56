"""What a file is by its two ends: enough to tell whether all of it has to be read, however large and whatever its name.

Used by the import service, which fetches both ends of what it would not fetch otherwise, by `scan.package`, which sees
the same bytes and comes to the same answer, and by `scan.content`.
"""

import io
import tarfile
from typing import BinaryIO, NamedTuple

from modelyard_formats.scan.imports import runs_a_module
from modelyard_formats.scan.opcodes import Reach, reach
from modelyard_formats.wire.archive_bytes import CannotUnpack, beginning, packing_of

HEAD = 2**16
TAIL = 2**16 + 22  # a zip archive's end record and its comment
NUMPY = b"\x93NUMPY"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP_END = b"PK\x05\x06"
_CLOSED = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed with Zstandard",
    b"\x04\x22\x4d\x18": "packed with LZ4",
}
_BZIP2 = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")  # of a block, of the end
_SKIPPED = b"\x2a\x4d\x18"  # Zstandard and LZ4 both begin a frame that is passed over with 0x50 to 0x5f and this
_ZFILE = 20  # joblib before 0.10: `ZF` and the size in hexadecimal, then zlib


class Ends(NamedTuple):
    """The first `HEAD` and the last `TAIL` bytes of a file of `size` bytes."""

    head: bytes
    tail: bytes
    size: int


def ends_of(file: BinaryIO, size: int) -> Ends:
    file.seek(0)
    head = file.read(min(HEAD, size))
    file.seek(max(0, size - TAIL))
    return Ends(head, file.read(min(TAIL, size)), size)


def loadable(ends: Ends) -> str | None:
    """What it is, if something unpickles, unpacks or builds a model of it."""
    head = ends.head
    if kind := container_of(head):
        return kind
    if head.startswith(NUMPY) or is_flatbuffer(head):
        return "a NumPy array, or TorchScript"
    if any(head.startswith(HDF5, start) for start in hdf5_starts(len(head))):
        return "an HDF5 file"
    if _ZIP_END in ends.tail:
        return "a zip archive at its end"
    far = reach(head, ends.size)
    if far is Reach.CALLS or (far is Reach.IMPORTS and runs_a_module(head)):
        return "a pickle"
    return None


def container_of(head: bytes) -> str | None:
    """The kind of archive or packing, by its first bytes."""
    if head.startswith(ZIP):
        return "a zip archive"
    if is_tar(head):
        return "a tar archive"
    if closed := closed_kind(head):
        return closed
    kind = packing_of(head)
    if kind is None:
        return None
    try:
        started = beginning(io.BytesIO(head), kind, 16)
    except CannotUnpack:
        return None if is_weak(head, kind) else f"packed with {kind}"
    silent = len(head) >= HEAD  # so much of it says nothing yet, and nothing against it
    return f"packed with {kind}" if started or silent or not is_weak(head, kind) else None


def is_flatbuffer(head: bytes) -> bool:
    """TorchScript's other form, which `torch.jit.load` takes too."""
    return head[4:8] == b"PTMF"


def is_json(name: str, head: bytes) -> bool:
    """Whatever it is called, it may say what to build; text of two or four bytes a letter too."""
    begins = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    return name.lower().endswith(".json") or begins in (b"{", b"[")


def closed_kind(head: bytes) -> str | None:
    """Archives that the scan cannot look into."""
    if head[1:4] == _SKIPPED and head[0] & 0xF0 == 0x50:
        return "packed with Zstandard or LZ4"
    if head.startswith(b"ZF") and _is_hexadecimal(head[2:_ZFILE]):
        return "an old joblib archive"
    return next((what for magic, what in _CLOSED.items() if head.startswith(magic)), None)


def _is_hexadecimal(text: bytes) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True


def is_weak(head: bytes, kind: str) -> bool:
    """Whether bytes that are no such thing may well begin so."""
    if kind == "gzip":
        return head[2:3] != b"\x08" or head[3:4] > b"\x1f"
    if kind == "bzip2":
        return head[4:10] not in _BZIP2
    return not head.startswith((b"\xfd7zXZ\x00", b"LZIP"))


def is_tar(head: bytes) -> bool:
    """By the first header's checksum, as tar itself does: the oldest archives have no other mark."""
    if head[257:262] == b"ustar":
        return True
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def hdf5_starts(size: int) -> list[int]:
    """Where HDF5's signature may stand: at 0, 512, 1024, 2048, …"""
    starts = [0]
    while (following := max(512, 2 * starts[-1])) < size:
        starts.append(following)
    return starts
