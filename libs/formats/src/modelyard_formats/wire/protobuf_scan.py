"""Copy a protobuf message without its bulk, so that inspecting a model reads its structure and not its weights.

A 500 MB ONNX file is nearly all tensor data. Parsing it whole takes seconds and twice its size in memory; walking the
wire format (https://protobuf.dev/programming-guides/encoding) over a memory map touches only the pages that hold
structure. Only large messages are walked; small fields are copied as they are and left to the real parser.
Used by `onnx.model` and `protobuf_file`.
"""

import mmap
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

KEEP = 4096  # fields up to this many bytes are copied unread
MAX_FIELDS = 1_000_000  # ten times what the largest exported networks have; some 5 s of work
MAX_KEPT = 256 * 2**20
MAX_DEPTH = 100
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SCALARS = {_VARINT: rb"[\x80-\xff]{0,9}[\x00-\x7f]", _FIXED64: rb".{8}", _FIXED32: rb".{4}"}


class Malformed(Exception):
    """The bytes are no such message; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A message type: which of its fields hold messages worth walking.

    `note` turns {field number: bytes left out} into an encoded field that is appended to the copy. `whole` are fields
    that are kept however large they are: what has to be judged, not only counted.
    """

    name: str
    children: Mapping[int, str] = field(default_factory=dict)
    note: Callable[[dict[int, int]], bytes] | None = None
    whole: frozenset[int] = frozenset()


class Condenser:
    """Walks one buffer. `kinds` maps the names used in `Kind.children`."""

    def __init__(self, data: mmap.mmap | bytes, kinds: Mapping[str, Kind]) -> None:
        self._data = data
        self._kinds = kinds
        self._fields = 0
        self._kept = 0
        self._runs: dict[bytes, re.Pattern[bytes]] = {}

    def condense(self, kind: str, start: int = 0, stop: int | None = None) -> bytes:
        """The message of type `kind` in these bytes, without fields larger than `KEEP`. Raises `Malformed`."""
        return self._message(self._kinds[kind], start, len(self._data) if stop is None else stop, 0)

    def _message(self, kind: Kind, start: int, end: int, depth: int) -> bytes:
        if depth > MAX_DEPTH:
            raise Malformed(f"messages nested more than {MAX_DEPTH} deep")
        parts: list[bytes] = []
        left_out: dict[int, int] = {}
        position = copied = start  # everything in [copied, position) goes into the copy in one slice
        while position < end:
            tag, body = self._varint(position, end)
            number, wire = tag >> 3, tag & 7
            content, stop = self._extent(kind, position, body, wire, end)
            if stop - content > KEEP and number not in kind.whole:
                parts.append(self._keep(copied, position))
                copied = stop
                child = kind.children.get(number) if wire == _BYTES else None
                if child:
                    inner = self._message(self._kinds[child], content, stop, depth + 1)
                    parts.append(encode_bytes(number, inner))
                else:
                    left_out[number] = left_out.get(number, 0) + stop - content
            position = stop
        parts.append(self._keep(copied, end))
        if left_out and kind.note:
            parts.append(kind.note(left_out))
        return b"".join(parts)

    def _extent(self, kind: Kind, tag_at: int, body: int, wire: int, end: int) -> tuple[int, int]:
        """Where the content of the field begins and ends; for a repeated scalar, the whole run of it."""
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise Malformed(f"more than {MAX_FIELDS:,} fields")
        if wire == _BYTES:
            size, content = self._varint(body, end)
            stop = content + size
        elif wire in _SCALARS:
            match = self._run(self._data[tag_at:body], wire).match(self._data, tag_at, end)
            content, stop = tag_at, match.end() if match else end + 1
        else:
            raise Malformed(f"byte {tag_at:,} of the file is no field of {kind.name}")
        if stop > end:
            raise Malformed(
                f"{kind.name} ends at byte {end:,}, in the middle of a field that needs {stop - end:,} more"
            )
        return content, stop

    def _run(self, tag: bytes, wire: int) -> re.Pattern[bytes]:
        if tag not in self._runs:
            self._runs[tag] = re.compile(rb"(?:" + re.escape(tag) + _SCALARS[wire] + rb")++", re.DOTALL)
        return self._runs[tag]

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while position < end and shift < 70:
            byte = self._data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
        raise Malformed(f"the number that ends at byte {position:,} is cut off or too long")

    def _keep(self, start: int, stop: int) -> bytes:
        self._kept += stop - start
        if self._kept > MAX_KEPT:
            raise Malformed(f"more than {MAX_KEPT:,} bytes of structure")
        return self._data[start:stop]


def encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_bytes(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return encode_varint(number << 3 | _BYTES) + encode_varint(len(content)) + content


def encode_number(number: int, value: int) -> bytes:
    """A varint field; `value` is not negative."""
    return encode_varint(number << 3 | _VARINT) + encode_varint(value)
