"""What a `*.caffemodel` holds: for each layer, how many parameters. Used by `caffe.format`; no parameter is read."""

import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from modelyard_formats.errors import bad_source
from modelyard_formats.format import MAX_RANK
from modelyard_formats.kinds.caffe.bulk import DATA, DOUBLE_DATA, KINDS, LEFT_OUT, RAW_DATA
from modelyard_formats.wire.protobuf_file import Schema, read_protobuf, text
from modelyard_formats.wire.protobuf_messages import messages

RULE = "every blob holds as many numbers as its shape says"
_MOST_PARAMETERS = 2**40
_MESSAGES = {
    "Net": {"layers": (2, "repeated V1Layer"), "layer": (100, "repeated Layer")},
    "Layer": {"name": (1, "bytes"), "blobs": (7, "repeated Blob")},
    "V1Layer": {"layer": (1, "V0Layer"), "name": (4, "bytes"), "blobs": (6, "repeated Blob")},
    "V0Layer": {"name": (1, "bytes"), "blobs": (50, "repeated Blob")},
    "Blob": {
        "num": (1, "int64"),
        "channels": (2, "int64"),
        "height": (3, "int64"),
        "width": (4, "int64"),
        "data": (DATA, "repeated float"),
        "shape": (7, "Shape"),
        "double_data": (DOUBLE_DATA, "repeated double"),
        "raw_data": (RAW_DATA, "bytes"),
        "left_out": (LEFT_OUT, "int64"),
    },
    "Shape": {"dim": (1, "repeated int64")},
}


@cache
def _schema() -> Schema:
    return Schema(KINDS, messages("modelyard.caffe", _MESSAGES), "Net", "Caffe NetParameter")


def read_weights(path: Path, name: str) -> dict[str, int]:
    """Parameters of each layer that has some; `name` stands for the file in errors. Raises `BadSource`."""
    net = read_protobuf(path, name, _schema())
    found: dict[str, int] = {}
    for layer, blob in _blobs(net):
        shown, count = text(layer)[:200], _parameters(blob)
        held = len(blob.data) + len(blob.double_data) + len(blob.raw_data) // 2 + blob.left_out
        if not 0 <= count < _MOST_PARAMETERS or held < count:
            message = f"{name}: a blob of layer {shown!r} holds {held:,} numbers, its shape {count:,}"
            raise bad_source(message, file=name, rule=RULE)
        found[shown] = found.get(shown, 0) + count
    return found


def _blobs(net: Any) -> Iterator[tuple[bytes, Any]]:
    """In all three generations of the format."""
    for layer in (*net.layer, *net.layers):
        yield from ((layer.name, blob) for blob in layer.blobs)
    for layer in net.layers:
        yield from ((layer.layer.name, blob) for blob in layer.layer.blobs)


def _parameters(blob: Any) -> int:
    """-1 for an impossible shape. Old files have four axes always."""
    axes = blob.shape.dim if blob.HasField("shape") else (blob.num, blob.channels, blob.height, blob.width)
    return -1 if len(axes) > MAX_RANK or any(axis < 0 for axis in axes) else math.prod(axes)
