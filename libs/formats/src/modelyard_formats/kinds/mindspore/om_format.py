"""Ascend offline model, `model.om`: a header, a table of partitions, and the graph in the first kind of them.

As CANN's graph engine writes it (github.com/Ascend/graphengine, inc/framework/common/types.h and ge_ir.proto). The
graph is protobuf; weights and compiled kernels lie in partitions of their own and are never read.
"""

import struct
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MAX_RANK, MODEL_FOLDER, UNKNOWN_RANK, Format, Reading, at_top, within_bounds
from modelyard_formats.wire.protobuf_scan import Kind

if TYPE_CHECKING:
    from modelyard_formats.wire.protobuf_file import Schema

FILE = "model.om"
RULE = "an offline model as ATC writes it"
MAX_PARTITIONS = 10_000
_HEADER = struct.Struct("<4sII64xIBBBB32sI32sII20s4xQ64x")
_NARROW, _WIDE = struct.Struct("<III"), struct.Struct("<I4xQQ")  # type, offset, size; wide where lengths have 64 bits
_GRAPH, _WEIGHTS = 0, 1  # types of partitions
_ANY_RANK = -2
_KINDS = {
    "Model": Kind("ModelDef", {7: "Graph"}),
    "Graph": Kind("GraphDef", {6: "Operator"}),
    "Operator": Kind("OpDef", {33: "Tensor", 34: "Tensor"}),
    "Tensor": Kind("TensorDescriptor"),
}
_MESSAGES = {
    "Model": {"name": (1, "bytes"), "graph": (7, "repeated Graph")},
    "Graph": {"operators": (6, "repeated Operator")},
    "Operator": {
        "name": (1, "bytes"),
        "type": (2, "bytes"),
        "input": (5, "repeated bytes"),
        "input_desc": (33, "repeated Tensor"),
        "output_desc": (34, "repeated Tensor"),
    },
    "Tensor": {"dtype": (2, "int32"), "shape": (3, "Shape"), "layout": (4, "bytes")},
    "Shape": {"dim": (1, "repeated int64")},
}
# The numbers of DataType in ge_ir.proto
DTYPES = {
    1: "float32", 2: "float16", 3: "int8", 4: "uint8", 5: "int16", 6: "uint16", 7: "int32", 8: "int64", 9: "uint32",
    10: "uint64", 11: "bool", 12: "float64", 13: "object", 16: "complex64", 17: "complex128", 18: "qint8",
    19: "qint16", 20: "qint32", 21: "quint8", 22: "quint16", 23: "resource", 26: "variant", 27: "bfloat16",
    28: "int4", 29: "uint1", 30: "int2", 31: "uint2", 34: "float8_e5m2", 35: "float8_e4m3fn",
}  # fmt: skip
_INPUTS = frozenset({b"Data", b"AnnData", b"AippData", b"RefData"})


class _Damaged(Exception):
    """The text says how."""


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return ((FILE,),) if FILE in names else ()


def _hints(names: Sequence[str]) -> tuple[Problem, ...]:
    rule = f"an offline model is called {FILE}"
    return tuple(
        Problem(message=f"{MODEL_FOLDER}/{name} has to be called {FILE}", file=f"{MODEL_FOLDER}/{name}", rule=rule)
        for name in at_top(names, ".om")
    )


@cache
def _schema() -> "Schema":
    from modelyard_formats.wire.protobuf_file import Schema  # brings protobuf: not for those who only list
    from modelyard_formats.wire.protobuf_messages import messages

    return Schema(_KINDS, messages("modelyard.ascend", _MESSAGES), "Model", "graph of an offline model")


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    from modelyard_formats.wire.protobuf_file import read_protobuf, text

    name, path = f"{MODEL_FOLDER}/{FILE}", folder / FILE
    try:
        with path.open("rb") as file:
            partitions = _partitions(file, path.stat().st_size)
    except (_Damaged, struct.error) as error:
        raise bad_source(f"{name} cannot be read: {error}", file=name, rule=RULE) from error
    model = read_protobuf(path, name, _schema(), *partitions[_GRAPH])
    if not model.graph or not model.graph[0].operators:
        raise bad_source(f"{name} holds no graph", file=name, rule=RULE)
    operators = Counter(text(each.type) for graph in model.graph for each in graph.operators)
    weights = partitions.get(_WEIGHTS, (0, 0))
    inspection = Inspection(
        format=FORMAT.name,
        signature=_signature(model.graph[0].operators),
        producer="Ascend ATC",
        operators=dict(sorted(operators.items())),
        details={"model": text(model.name)[:200], "weight_bytes": weights[1] - weights[0]},
    )
    return Reading(within_bounds(inspection, name), files)


def _partitions(file: BinaryIO, size: int) -> dict[int, tuple[int, int]]:
    """Where the first partition of each type begins and ends."""
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head.startswith(b"IMOD"):
        raise _Damaged("it does not begin as an offline model does")
    _, head_size, _, length, encrypted, *_, wide_length = _HEADER.unpack(head)
    if encrypted:
        raise _Damaged("it is encrypted")
    if head_size != _HEADER.size or (wide_length or length) != size - _HEADER.size:
        raise _Damaged(f"it says that it has {head_size + (wide_length or length):,} bytes, but has {size:,}")
    layout = _WIDE if wide_length else _NARROW
    count = int.from_bytes(file.read(4), "little")
    if not 0 < count <= MAX_PARTITIONS:
        raise _Damaged(f"it says that it has {count:,} partitions")
    file.read(4 if wide_length else 0)
    table = file.read(count * layout.size)
    data = file.tell()
    found: dict[int, tuple[int, int]] = {}
    for kind, offset, extent in layout.iter_unpack(table):
        if data + offset + extent > size:
            raise _Damaged("a partition reaches beyond the end")
        found.setdefault(kind, (data + offset, data + offset + extent))
    if _GRAPH not in found:
        raise _Damaged("it has no partition with a graph")
    return found


def _signature(operators: Sequence[Any]) -> Signature:
    """Inputs are what `Data` gives; outputs are what `NetOutput` takes, called after who gives it."""
    from modelyard_formats.wire.protobuf_file import text

    inputs = tuple(
        _spec(text(each.name), each.output_desc[0]) for each in operators if each.type in _INPUTS and each.output_desc
    )
    last = next((each for each in operators if each.type == b"NetOutput"), None)
    taken = list(last.input_desc) if last is not None else []
    names = [text(name) for name in last.input if not name.endswith(b":-1")] if last is not None else []
    outputs = (
        _spec(names[index] if index < len(names) else f"output:{index}", each) for index, each in enumerate(taken)
    )
    return Signature(inputs=inputs, outputs=tuple(outputs))


def _spec(name: str, tensor: Any) -> TensorSpec:
    sizes = tensor.shape.dim
    shape: tuple[int | str | None, ...] = tuple(size if size >= 0 else None for size in sizes[:MAX_RANK])
    unknown = _ANY_RANK in sizes or len(sizes) > MAX_RANK
    return TensorSpec(name=name, dtype=DTYPES.get(tensor.dtype, "undefined"), shape=UNKNOWN_RANK if unknown else shape)


FORMAT = Format(
    name="ascend-om",
    model_types=("MindSpore",),
    wants=FILE,
    find=_find,
    hints=_hints,
    inspect=_inspect,
)
