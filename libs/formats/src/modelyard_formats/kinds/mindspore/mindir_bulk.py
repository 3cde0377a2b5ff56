"""Where bulk can lie in a MindIR file, by the field numbers of mind_ir.proto. Imports no protobuf: services do not.

Used by `mindspore.mindir_format`, which reads such files, and by `skim`, which leaves the bulk behind on the way here.
"""

from modelyard_formats.wire.protobuf_scan import Kind, encode_number

RAW_DATA, LEFT_OUT = 9, 1000
"""The second is no field of the schema: it holds how many bytes of the first were left behind."""


def _note_left_out(left_out: dict[int, int]) -> bytes:
    return encode_number(LEFT_OUT, left_out[RAW_DATA]) if RAW_DATA in left_out else b""


# mind_ir.proto; only what can hold bulk or hold messages that do
KINDS = {
    "Model": Kind("MindIR ModelProto", {7: "Graph", 8: "Graph", 12: "Primitive"}),
    "Graph": Kind("GraphProto", {1: "Node", 3: "Tensor", 5: "Value", 6: "Value", 8: "Attribute"}),
    "Node": Kind("NodeProto", {5: "Attribute", 8: "Attribute", 9: "Attribute"}),
    "Primitive": Kind("PrimitiveProto", {3: "Attribute"}),
    "Value": Kind("ValueInfoProto", {2: "Tensor", 5: "Attribute"}),
    "Attribute": Kind("AttributeProto", {6: "Tensor", 7: "Graph", 12: "Tensor", 13: "Graph", 17: "Attribute"}),
    "Tensor": Kind("TensorProto", note=_note_left_out),
}
