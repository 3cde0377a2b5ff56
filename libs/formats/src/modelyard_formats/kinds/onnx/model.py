"""Read an ONNX file's structure: the real protobuf message, with tensor data larger than 4 KiB left behind.

How many bytes were left behind is written into the tensor's `segment` (begin = field number, end = bytes). That field
is ONNX's own way to say that data lies elsewhere; no exporter writes it and no runtime reads it.
Used by `onnx.format` and `onnx.tensors`; imports onnx for its message classes only.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from modelyard_formats.errors import bad_source
from modelyard_formats.kinds.onnx.bulk import KINDS
from modelyard_formats.wire.protobuf_scan import Condenser, Malformed

MAX_FILE = 2**31 - 1  # protobuf's own limit: no runtime reads a larger file; such models use external data


def read_model(path: Path, name: str) -> ModelProto:
    """The model in `path`, called `name` in errors, without bulk. Raises `BadSource` when it is no ONNX model."""
    try:
        model: ModelProto = ModelProto.FromString(_condensed(path))
    except (Malformed, DecodeError) as error:
        message = f"{name} is truncated or no ONNX model: {error}"
        raise bad_source(message, file=name, rule="a complete ONNX ModelProto") from error
    return model


def _condensed(path: Path) -> bytes:
    size = path.stat().st_size
    if size == 0:
        raise Malformed("the file is empty")
    if size > MAX_FILE:
        raise Malformed(f"{size:,} bytes; one file holds at most 2 GiB, larger weights belong into external data")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return Condenser(data, KINDS).condense("Model")


def parts(model: ModelProto) -> Iterator[GraphProto | FunctionProto]:
    """The main graph, every graph inside a node (If, Loop, Scan bodies) and every function, each once."""
    waiting: list[GraphProto | FunctionProto] = [model.graph, *model.functions]
    while waiting:
        part = waiting.pop()
        yield part
        for attribute in attributes(part):
            if attribute.HasField("g"):
                waiting.append(attribute.g)
            waiting.extend(attribute.graphs)


def attributes(part: GraphProto | FunctionProto) -> Iterator[AttributeProto]:
    for node in part.node:
        yield from node.attribute
    if isinstance(part, FunctionProto):
        yield from part.attribute_proto


def operator_name(node: NodeProto) -> str:
    """`Conv` for the standard domain, `com.microsoft::QLinearAdd` for others."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
