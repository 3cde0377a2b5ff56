"""Parts of a file as files of their own, and unpacking that stops in time. Used by whatever reads archives."""

import bz2
import io
import lzma
import tempfile
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

MAX_UNPACKED = 2**30  # bytes unpacked for one package; all lie in temporary files, not in memory
_IN_MEMORY = 4 * 2**20
_CHUNK = 2**16
MAX_RATIO = 100  # from this size on; what compresses better is a bomb or nothing but zeros
RATIO_FROM = 32 * 2**20
_LZMA_MEMORY = 128 * 2**20


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


_KINDS: dict[str, Callable[[], _Decompressor]] = {
    "deflate": lambda: _Inflate(-15),
    "zlib": lambda: _Inflate(15),
    "gzip": lambda: _Inflate(31),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY),
}


def packing_of(head: bytes) -> str | None:
    """How a file that begins like this is compressed, if it is; two bytes of zlib may also be chance."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh") and head[3:4].isdigit():
        return "bzip2"
    if head.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return "xz"
    if len(head) > 1 and head[0] == 0x78 and (head[0] << 8 | head[1]) % 31 == 0:
        return "zlib"
    return None


def beginning(file: BinaryIO, kind: str, count: int) -> bytes:
    """The first `count` bytes when unpacked, or fewer. Raises `CannotUnpack`."""
    try:
        return _KINDS[kind]().decompress(file.read(_CHUNK), count)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise CannotUnpack(f"it is not packed with {kind}: {error}") from error


def unpack(file: BinaryIO, kind: str, room: int) -> tuple[BinaryIO, int]:
    """All of it in a temporary file, and its size. Raises `Bomb` beyond `room` bytes, `CannotUnpack`."""
    target: BinaryIO = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # type: ignore[assignment]  # noqa: SIM115 - the caller reads it
    try:
        size = _unpack_into(target, file, kind, room)
    except Bomb:
        target.close()
        raise
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        target.close()
        raise CannotUnpack(f"it is not packed with {kind}, or cut off: {error}") from error
    target.seek(0)
    return target, size


def _unpack_into(target: BinaryIO, file: BinaryIO, kind: str, room: int) -> int:
    inner, taken, given = _KINDS[kind](), 0, 0
    chunk = file.read(_CHUNK)
    while True:
        data = inner.decompress(chunk, _CHUNK)
        taken, given = taken + len(chunk), given + len(data)
        if given > room or (given > RATIO_FROM and given > MAX_RATIO * taken):
            raise Bomb(f"{taken:,} bytes unpack to more than {given:,}")
        target.write(data)
        chunk = b""
        if inner.eof:
            rest = inner.unused_data or file.read(_CHUNK)
            if kind == "deflate" or not rest or packing_of(rest) != kind:
                return given
            inner, chunk = _KINDS[kind](), rest
        elif not data:
            chunk = file.read(_CHUNK)
            if not chunk:
                raise EOFError("the end is missing")
