"""Read an ONNX file's structure: the real protobuf message, with tensor data larger than 4 KiB left behind.

How many bytes were left behind is written into the tensor's `segment` (begin = field number, end = bytes). That field
is ONNX's own way to say that data lies elsewhere; no exporter writes it and no runtime reads it.
Used by `onnx_format` and `onnx_tensors`; imports onnx for its message classes only.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from modelyard_formats.errors import bad_source
from modelyard_formats.protobuf_scan import Condenser, Kind, Malformed, encode_bytes, encode_number

MAX_FILE = 2**31 - 1  # protobuf's own limit: no runtime reads a larger file; such models use external data
RAW_DATA = 9
DATA_FIELDS = (4, 5, 7, RAW_DATA, 10, 11)  # float, int32, int64, raw, double, uint64


def _note_left_out(left_out: dict[int, int]) -> bytes:
    for number in DATA_FIELDS:
        if number in left_out:
            return encode_bytes(3, encode_number(1, number) + encode_number(2, left_out[number]))
    return b""


# Field numbers of onnx.proto3; only what can hold bulk or hold messages that do.
KINDS = {
    "Model": Kind("ModelProto", {7: "Graph", 25: "Function"}),
    "Graph": Kind("GraphProto", {1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 15: "Sparse"}),
    "Function": Kind("FunctionProto", {7: "Node", 11: "Attribute"}),
    "Node": Kind("NodeProto", {5: "Attribute"}),
    "Attribute": Kind(
        "AttributeProto", {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"}
    ),
    "Sparse": Kind("SparseTensorProto", {1: "Tensor", 2: "Tensor"}),
    "Tensor": Kind("TensorProto", note=_note_left_out),
    "Value": Kind("ValueInfoProto"),
}


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
