"""Parts of a file as files of their own, and unpacking that stops in time. Used by whatever reads archives."""

import bz2
import io
import lzma
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

MAX_UNPACKED = 2**30  # bytes unpacked for one package; all lie in temporary files, not in memory
_IN_MEMORY = 4 * 2**20
_CHUNK = 2**16
_FINE = 512  # bytes unpacked at a time; readers take 8 KiB or more
MAX_RATIO = 100  # from this size on; what compresses better is a bomb or nothing but zeros
RATIO_FROM = 32 * 2**20
MAX_STREAMS = 50_000  # behind each other; BGZF has one for each 64 KiB
_LZMA_MEMORY = 128 * 2**20
MAX_GZIP_HEAD = 2**17  # bytes: 64 KiB of extra fields and as much of names, which may be of any length


class CannotUnpack(Exception):
    """The bytes are not packed as they claim."""


class Bomb(Exception):
    """Unpacking yields more than anybody should wait for."""


class Window(io.RawIOBase):
    """`size` bytes of `file` from `offset` on, as a file."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io hands over is a memoryview
        self._file.seek(self._offset + self._at)
        data = self._file.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def window(file: BinaryIO, offset: int, size: int) -> BinaryIO:
    return io.BufferedReader(Window(file, offset, size), buffer_size=8192)


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


class _Inflate:
    """zlib's object with the manners of bz2's and lzma's: it keeps what it has not used yet."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


class _Gzip:
    """As Python's gzip reads it (RFC 1952): flags that nobody has defined and the checksum of the head are passed over,
    which zlib refuses."""

    def __init__(self) -> None:
        self._inner = _Inflate(-15)
        self._head: bytearray | None = bytearray()
        self._tail = b""
        self._sum = self._size = 0
        self.eof = False
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._head is not None:
            self._head += data
            behind = _behind_head(self._head)
            if behind is None:
                if len(self._head) > MAX_GZIP_HEAD:
                    raise Bomb(f"its head, before anything packed, has more than {MAX_GZIP_HEAD:,} bytes")
                return b""
            self._head, data = None, behind
        if self._inner.eof:
            self._tail += data
            made = b""
        else:
            made = self._inner.decompress(data, max_length)
            self._sum, self._size = zlib.crc32(made, self._sum), self._size + len(made)
            self._tail = self._inner.unused_data
        if self._inner.eof and len(self._tail) >= _GZIP_TAIL:
            if self._tail[:_GZIP_TAIL] != struct.pack("<II", self._sum, self._size % 2**32):
                raise OSError("its checksum or its size is wrong")
            self.eof, self.unused_data = True, self._tail[_GZIP_TAIL:]
        return made


def _behind_head(data: bytearray) -> bytes | None:
    """None where the head goes on behind them."""
    at = 10
    flags = data[3] if len(data) > 3 else 0
    if flags & 0x04:
        if len(data) < at + 2:
            return None
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (0x08, 0x10):  # name and comment, each up to its zero
        if flags & flag:
            end = data.find(b"\0", at)
            if end < 0:
                return None
            at = end + 1
    at += 2 if flags & 0x02 else 0
    return bytes(data[at:]) if len(data) > at else None


_GZIP_TAIL = 8


class _Lzma:
    """In its oldest form the header asks for a dictionary of up to 4 GiB: it gets as much as we have, and what looks
    back farther does not unpack."""

    def __init__(self, kind: int = lzma.FORMAT_AUTO) -> None:
        self._inner = lzma.LZMADecompressor(kind, memlimit=_LZMA_MEMORY)
        self._head: bytes | None = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._head is not None:
            self._head += data
            if len(self._head) < _LZMA_SIZE:
                return b""
            data, self._head = self._head, None
            if not data.startswith(_LZMA_MAGICS):
                wanted = min(int.from_bytes(data[1:_LZMA_SIZE], "little"), _LZMA_DICTIONARY)
                data = data[:1] + wanted.to_bytes(4, "little") + data[_LZMA_SIZE:]
        return self._inner.decompress(data, max_length)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


_LZMA_MAGICS = (b"\xfd7zXZ", b"LZIP")
_LZMA_SIZE = 5  # properties, and the dictionary's size
_LZMA_DICTIONARY = 64 * 2**20
_KINDS: dict[str, Callable[[], _Decompressor]] = {
    "deflate": lambda: _Inflate(-15),
    "zlib": lambda: _Inflate(15),
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": _Lzma,
    "lzma": lambda: _Lzma(lzma.FORMAT_ALONE),
}
_ALONE = ("deflate", "lzma")  # of zip members
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError)
NO_END = "its end is missing"


def packing_of(head: bytes) -> str | None:
    """How a file that begins like this is compressed, if it is; two bytes of zlib may also be chance.

    As lenient as the readers are: joblib takes two bytes for LZMA, liblzma any file with a header that makes sense.
    """
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh") and head[3:4].isdigit():
        return "bzip2"
    if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00", b"LZIP")) or _is_lzma_header(head):
        return "xz"
    if len(head) > 1 and head[0] & 0x8F == 8 and (head[0] << 8 | head[1]) % 31 == 0:
        return "zlib"
    return None


def _is_lzma_header(head: bytes) -> bool:
    """Properties, a dictionary of 2^n or 2^n + 2^(n-1) bytes, the size or -1: lzma-file-format.txt of XZ Utils."""
    if len(head) < 13 or head[0] >= 225:
        return False
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    odd = dictionary < 4 or dictionary == 2**32 - 1  # liblzma takes them too
    if not dictionary and not size:  # zeros
        return False
    bits = f"{dictionary:b}".rstrip("0")
    return (odd or bits in ("1", "11")) and (size == 2**64 - 1 or size < 2**38)


def beginning(file: BinaryIO, kind: str, count: int) -> bytes:
    """The first `count` bytes when unpacked, or fewer. Raises `CannotUnpack`."""
    try:
        return _KINDS[kind]().decompress(file.read(_CHUNK), count)
    except _BROKEN as error:
        raise CannotUnpack(f"it is not packed with {kind}: {error}") from error


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`size` bytes in a temporary file, made of `used` packed ones; `broken` says why there are no more."""

    file: BinaryIO
    size: int
    used: int
    broken: str | None


def unpack(file: BinaryIO, kind: str, room: int) -> tuple[BinaryIO, int]:
    """All of it in a temporary file, and its size. Raises `Bomb` beyond `room` bytes, `CannotUnpack`."""
    made = unpack_what_is_there(file, kind, room)
    if made.broken is not None:
        made.file.close()
        raise CannotUnpack(f"it is not packed with {kind}, or cut off: {made.broken}")
    return made.file, made.size


def unpack_what_is_there(file: BinaryIO, kind: str, room: int) -> Unpacked:
    """Also of what is cut off or broken: readers hand out bytes long before they notice. From where `file` stands.

    Streams behind each other are one, as for gzip, bzip2 and xz. Raises `Bomb` beyond `room` bytes.
    """
    target: BinaryIO = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # type: ignore[assignment]  # noqa: SIM115 - the caller reads it
    try:
        made = _unpack_streams(target, file, kind, room)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return made


def _unpack_streams(target: BinaryIO, file: BinaryIO, kind: str, room: int) -> Unpacked:
    begin = at = file.tell()
    given = 0
    for _ in range(MAX_STREAMS):
        try:
            used, more = _unpack_stream(target, file, kind, room - given)
        except _Broken as error:
            return Unpacked(target, given + error.given, error.used + at - begin, str(error))
        at, given = at + used, given + more
        if given > RATIO_FROM and given > MAX_RATIO * (at - begin):
            raise Bomb(f"{at - begin:,} bytes unpack to {given:,}")
        behind = _next_stream(file, kind, at)
        if behind is None:
            return Unpacked(target, given, at - begin, None)
        at = behind
        file.seek(at)
    raise Bomb(f"it is more than {MAX_STREAMS:,} streams behind each other")


def _next_stream(file: BinaryIO, kind: str, at: int) -> int | None:
    """Where another stream of this kind begins. gzip passes over zeros on the way to it."""
    file.seek(at)
    while kind not in _ALONE and (chunk := file.read(_CHUNK)):
        start = len(chunk) - len(chunk.lstrip(b"\0"))
        if start < len(chunk):
            return at + start if packing_of(chunk[start:] + file.read(16)) == kind else None
        at += len(chunk)
    return None


class _Broken(Exception):
    """A stream ends or breaks too early: `given` bytes were written; `used` are those before the chunk that broke."""

    def __init__(self, reason: str, given: int, used: int) -> None:
        super().__init__(reason)
        self.given = given
        self.used = used


def _unpack_stream(target: BinaryIO, file: BinaryIO, kind: str, room: int) -> tuple[int, int]:
    """Bytes used and given by one stream. Raises `Bomb`, and `_Broken` with all bytes written that there are.

    A decompressor that meets an error keeps back what it made of the same chunk. That chunk is then read again byte by
    byte: a reader with smaller chunks has got those bytes.
    """
    start, begin = file.tell(), target.tell()
    try:
        return _unpack_chunks(target, file, kind, room, fine_from=None)
    except _Broken as first:
        if str(first) == NO_END:
            raise
        file.seek(start)
        target.seek(begin)
        target.truncate()
        return _unpack_chunks(target, file, kind, room, fine_from=first.used)


def _unpack_chunks(target: BinaryIO, file: BinaryIO, kind: str, room: int, *, fine_from: int | None) -> tuple[int, int]:
    inner, before, taken, given = _KINDS[kind](), 0, 0, 0
    chunk = b""
    while not inner.eof:
        fine = fine_from is not None and before >= fine_from
        try:
            data = inner.decompress(chunk, _FINE if fine else _CHUNK)
        except _BROKEN as error:
            raise _Broken(str(error), given, before) from error
        given += len(data)
        if given > room or (given > RATIO_FROM and given > MAX_RATIO * taken):
            raise Bomb(f"{taken:,} bytes unpack to more than {given:,}")
        target.write(data)
        chunk = b""
        if not data and not inner.eof:
            before = taken
            fine = fine_from is not None and before >= fine_from
            chunk = file.read(1 if fine else _CHUNK if fine_from is None else min(_CHUNK, fine_from - before))
            taken += len(chunk)
            if not chunk:
                raise _Broken(NO_END, given, taken)
    return taken - len(inner.unused_data), given
