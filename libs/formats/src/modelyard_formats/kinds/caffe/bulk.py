"""Where bulk can lie in a `*.caffemodel`, by the field numbers of caffe.proto. Imports no protobuf: services do not.

Used by `caffe.weights`, which reads such files, and by `skim`, which leaves the bulk behind on the way here.
"""

from modelyard_formats.wire.protobuf_scan import Kind, encode_number

DATA, DOUBLE_DATA, RAW_DATA, LEFT_OUT = 5, 8, 12, 1000
"""The last is no field of the schema: it holds how many numbers of the others were left behind."""


def _note_left_out(left_out: dict[int, int]) -> bytes:
    """Raw data, of NVIDIA's branch, has at least two bytes for each number."""
    sizes = ((DATA, 4), (DOUBLE_DATA, 8), (RAW_DATA, 2))
    return encode_number(LEFT_OUT, sum(left_out.get(number, 0) // size for number, size in sizes))


KINDS = {
    "Net": Kind("NetParameter", {2: "V1Layer", 100: "Layer"}),
    "Layer": Kind("LayerParameter", {7: "Blob"}),
    "V1Layer": Kind("V1LayerParameter", {1: "V0Layer", 6: "Blob"}),
    "V0Layer": Kind("V0LayerParameter", {50: "Blob"}),
    "Blob": Kind("BlobProto", note=_note_left_out),
}
