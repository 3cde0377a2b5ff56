"""Where bulk can lie in an ONNX file, by the field numbers of onnx.proto3. Imports no onnx: services do not.

Used by `onnx.model`, which reads such files, and by `skim`, which leaves the bulk behind on the way here.
"""

from modelyard_formats.wire.protobuf_scan import Kind, encode_bytes, encode_number

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
