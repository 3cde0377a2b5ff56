"""The index of a TensorFlow checkpoint: which variables there are, and in how many files. Used by `tensorflow.format`.

`variables.index` is an SSTable in LevelDB's format (github.com/google/leveldb, doc/table_format.md) whose values are
BundleEntryProto (tensor_bundle.proto); its first key is empty and holds the BundleHeaderProto.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from modelyard_formats.errors import bad_source
from modelyard_formats.kinds.tensorflow.files import MESSAGES, WEIGHTS, elements

MAX_INDEX = 64 * 2**20
MAX_ENTRIES = 1_000_000
MAX_KEY = 4_000
_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_TRAINING = re.compile(rb"^optimizer/|/\.OPTIMIZER_SLOT/|^keras_api/metrics/|^save_counter/")
_COPY = b"_all_variables/"  # what Keras 3 exports it stores twice
_UINT32 = struct.Struct("<I")


class _Damaged(Exception):
    """The text says how."""


@dataclass(frozen=True, slots=True)
class Variables:
    """`parameters`: elements of the model's numeric variables. `shards`: files they lie in. `ends`: bytes that each of
    those needs, by number; a shard that nothing lies in is not named."""

    parameters: int
    shards: int
    ends: dict[int, int]


def read_index(path: Path, name: str) -> Variables:
    """Raises `BadSource`."""
    rule = "the index of a complete TensorFlow checkpoint"
    if (size := path.stat().st_size) > MAX_INDEX:
        raise bad_source(f"{name} has {size:,} bytes", file=name, rule=f"{rule}, at most {MAX_INDEX:,} bytes")
    try:
        return _read(path.read_bytes())
    except (_Damaged, DecodeError, struct.error) as error:
        raise bad_source(f"{name} cannot be read: {error}", file=name, rule=rule) from error


def _read(data: bytes) -> Variables:
    if len(data) < _FOOTER or int.from_bytes(data[-8:], "little") != _MAGIC:
        raise _Damaged("it does not end like an index; it is truncated or something else")
    footer = data[-_FOOTER:]
    _, position = _varint(footer, 0)
    _, position = _varint(footer, position)
    parameters, copied, shards, left, room = 0, 0, 1, MAX_ENTRIES, len(data)
    ends: dict[int, int] = {}
    for _, handle in _entries(data, *_handle(footer, position)):
        start, size = _handle(handle, 0)
        left, room = left - 1, room - size
        if room < 0:
            raise _Damaged("its blocks lie over each other")
        for key, value in _entries(data, start, size):
            left -= 1
            if left < 0:
                raise _Damaged(f"it has more than {MAX_ENTRIES:,} entries")
            if not key:
                shards = MESSAGES["BundleHeader"].FromString(value).shards
                continue
            entry = MESSAGES["BundleEntry"].FromString(value)
            if entry.size:
                ends[entry.shard] = max(ends.get(entry.shard, 0), entry.offset + entry.size)
            count = elements(entry.shape) if entry.dtype in WEIGHTS and not _of_training(key) else 0
            if key.startswith(_COPY):
                copied += count
            else:
                parameters += count
    parameters = parameters or copied
    if not 0 < shards < 100_000 or parameters > 2**62:
        raise _Damaged("it declares impossible numbers")
    return Variables(parameters, shards, ends)


def _of_training(key: bytes) -> bool:
    """What training keeps beside the model. A variable may be stored under the optimizer's name for it only."""
    return bool(_TRAINING.search(key)) and not key.startswith(b"optimizer/_trainable_variables/")


def _handle(data: bytes, position: int) -> tuple[int, int]:
    start, position = _varint(data, position)
    size, _ = _varint(data, position)
    return start, size


def _entries(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block."""
    if start + size + 1 > len(data) - _FOOTER:
        raise _Damaged("a block lies outside of the file")
    if data[start + size] != 0:
        raise _Damaged("its blocks are compressed")
    block = data[start : start + size]
    end = len(block) - 4 - 4 * _UINT32.unpack_from(block, len(block) - 4)[0] if len(block) >= 4 else -1
    if end < 0:
        raise _Damaged("a block is cut off")
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        own, position = _varint(block, position)
        length, position = _varint(block, position)
        if shared > len(key) or position + own + length > end:
            raise _Damaged("an entry reaches beyond its block")
        if shared + own > MAX_KEY:
            raise _Damaged(f"a name has {shared + own:,} bytes")
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Damaged("a number is cut off")
