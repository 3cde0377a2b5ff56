"""Tell, while a protobuf file streams by, which of its bytes inspecting it will read. Used by the import service.

What `Condenser` skips in a file need not be written to it: a 500 MB model leaves a few kilobytes on disk, and its bytes
are still seen once, on their way to the hash. This keeps at least what `Condenser` reads: whatever it does not
understand, or too many fields, it keeps from there on.
"""

from collections.abc import Iterator, Mapping

from modelyard_formats.kinds.caffe.bulk import KINDS as CAFFE
from modelyard_formats.kinds.mindspore.mindir_bulk import KINDS as MINDIR
from modelyard_formats.kinds.onnx.bulk import KINDS as ONNX
from modelyard_formats.kinds.tensorflow.bulk import KINDS as TENSORFLOW
from modelyard_formats.wire.protobuf_scan import KEEP, Kind

MOST_FIELDS = 200_000  # then it costs more than it saves, and stops looking
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10

Piece = tuple[int, bytes]


def skimmer_for(name: str, size: int) -> "Skimmer | None":
    """For a model file of a format that can be skimmed; `size` in bytes."""
    if name.endswith(".onnx"):
        return Skimmer(ONNX, "Model", size)
    if name.endswith(".pb") and not name.endswith("keras_metadata.pb"):  # that is read whole
        root = "SavedModel" if name.endswith("saved_model.pb") else "Graph"
        return Skimmer(TENSORFLOW, root, size)
    if name.endswith(".mindir"):
        return Skimmer(MINDIR, "Model", size)
    if name.endswith(".caffemodel"):
        return Skimmer(CAFFE, "Net", size)
    return None


class _Unfinished(Exception):
    """A tag or length goes on in the next chunk."""


class Skimmer:
    """Feed the chunks in order and write each piece at its offset, then `rest`; everything else is a hole."""

    def __init__(self, kinds: Mapping[str, Kind], root: str, size: int) -> None:
        self._kinds = kinds
        self._open = [(kinds[root], size)]
        self._waiting = b""
        self._at = 0  # offset of the first byte that has not been looked at
        self._skip = 0
        self._keep = 0
        self._fields = 0

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        data, base = self._waiting + chunk, self._at
        kept = position = 0
        while position < len(data):
            if self._skip:
                yield from _piece(base, data, kept, position)
                step = min(self._skip, len(data) - position)
                self._skip -= step
                position = kept = position + step
            elif self._keep or not self._open:
                step = min(self._keep, len(data) - position) if self._open else len(data) - position
                self._keep -= min(step, self._keep)
                position += step
            else:
                try:
                    position = self._field(data, position, base)
                except _Unfinished:
                    break
        yield from _piece(base, data, kept, position)
        self._waiting, self._at = data[position:], base + position

    def rest(self) -> Piece:
        """What was not understood before the stream ended."""
        return self._at, self._waiting

    def _field(self, data: bytes, position: int, base: int) -> int:
        """Look at one tag, and decide on what follows it."""
        while self._open and base + position >= self._open[-1][1]:
            self._open.pop()
        self._fields += 1
        if not self._open or self._fields > MOST_FIELDS:
            self._open.clear()
            return position
        tag, content = _varint(data, position)
        wire, size = tag & 7, 0
        if wire == _BYTES:
            size, content = _varint(data, content)
        elif wire == _VARINT:
            content = _varint(data, content)[1]
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        kind, end = self._open[-1]
        if wire not in (_VARINT, _FIXED64, _BYTES, _FIXED32) or base + content + size > end:
            self._open.clear()  # no such message: the inspection shall see it as it is
        elif size <= KEEP or tag >> 3 in kind.whole:
            self._keep = size
        elif child := kind.children.get(tag >> 3):
            self._open.append((self._kinds[child], base + content + size))
        else:
            self._skip = size
        return content


def _piece(base: int, data: bytes, start: int, stop: int) -> Iterator[Piece]:
    if stop > start:
        yield base + start, data[start:stop]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Raises _Unfinished at the end of the data. One that is too long is cut, and then fits nothing."""
    value = 0
    for length in range(_LONGEST_VARINT):
        if position + length >= len(data):
            raise _Unfinished
        byte = data[position + length]
        value |= (byte & 0x7F) << (7 * length)
        if byte < 0x80:
            return value, position + length + 1
    return value | 1 << 70, position + _LONGEST_VARINT
