"""MindSpore MindIR: one `*.mindir`, protobuf. Weights above 1 GB lie beside it, in `<name>_variables/`."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard_contracts.shapes import Finding, Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MAX_RANK, MODEL_FOLDER, UNKNOWN_RANK, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.mindspore.data_beside import RULE as RULE_BESIDE
from modelyard_formats.kinds.mindspore.data_beside import BadPlace, path_beside
from modelyard_formats.kinds.mindspore.mindir_bulk import KINDS, LEFT_OUT, RAW_DATA

if TYPE_CHECKING:
    from modelyard_formats.wire.protobuf_file import Schema

MAX_PARAMETERS = 2**62
RULE = "a MindIR graph with nodes and an output"
_ANY_RANK = -2
_MESSAGES = {
    "Model": {
        "producer": (2, "bytes"),
        "producer_version": (3, "bytes"),
        "model_version": (5, "bytes"),
        "graph": (7, "Graph"),
        "functions": (8, "repeated Graph"),
        "primitives": (12, "repeated Primitive"),
        "format_version": (13, "int64"),
    },
    "Graph": {
        "node": (1, "repeated Node"),
        "name": (2, "bytes"),
        "parameter": (3, "repeated Tensor"),
        "input": (5, "repeated Value"),
        "output": (6, "repeated Value"),
    },
    "Node": {"op_type": (4, "bytes")},
    "Primitive": {"name": (1, "bytes"), "op_type": (2, "bytes")},
    "Value": {"name": (1, "bytes"), "tensor": (2, "repeated Tensor"), "attribute": (5, "Attribute")},
    "Attribute": {"tensors": (12, "repeated Tensor"), "values": (17, "repeated Attribute")},
    "Tensor": {
        "dims": (1, "repeated int64"),
        "data_type": (2, "int32"),
        "name": (7, "bytes"),
        "raw_data": (RAW_DATA, "bytes"),
        "external": (12, "External"),
        "compression": (16, "int32"),
        "left_out": (LEFT_OUT, "int64"),
    },
    "External": {"location": (1, "bytes"), "offset": (2, "int64"), "length": (3, "int64")},
}
# TensorProto.DataType → (numpy's or ml_dtypes' name, bytes of one element; 0 where there is no such size)
DTYPES = {
    1: ("float32", 4), 2: ("uint8", 1), 3: ("int8", 1), 4: ("uint16", 2), 5: ("int16", 2), 6: ("int32", 4),
    7: ("int64", 8), 8: ("object", 0), 9: ("bool", 1), 10: ("float16", 2), 11: ("float64", 8), 12: ("uint32", 4),
    13: ("uint64", 8), 14: ("complex64", 8), 15: ("complex128", 16), 16: ("bfloat16", 2), 17: ("float64", 8),
    18: ("qint4x2", 0),
}  # fmt: skip
_UNKNOWN = ("undefined", 0)
_REFERENCE = b"REF::"
_CODE = frozenset({"PyFunc", "PyExecute", "PyInterpret"})


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, ".mindir"))


@cache
def _schema() -> "Schema":
    from modelyard_formats.wire.protobuf_file import Schema  # brings protobuf: not for those who only list
    from modelyard_formats.wire.protobuf_messages import messages

    return Schema(KINDS, messages("modelyard.mindir", _MESSAGES), "Model", "MindIR model")


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    from modelyard_formats.wire.protobuf_file import read_protobuf, text

    name = f"{MODEL_FOLDER}/{files[0]}"
    model = read_protobuf(folder / files[0], name, _schema())
    graphs = [model.graph, *model.functions]
    if not model.graph.node or not model.graph.output:
        raise bad_source(f"{name} holds no graph with an output", file=name, rule=RULE)
    parameters = [tensor for graph in graphs for tensor in graph.parameter]
    operators = _operators(model, graphs)
    version = text(model.producer_version) or text(model.model_version)
    inspection = Inspection(
        format=FORMAT.name,
        signature=Signature(inputs=tuple(_specs(model.graph, "input")), outputs=tuple(_specs(model.graph, "output"))),
        opsets={"mindir": model.format_version} if 0 < model.format_version < 2**31 else {},
        producer=f"{text(model.producer)} {version}".strip()[:200],
        parameter_count=_count(parameters, name),
        operators=operators,
    )
    outside = tuple(sorted({_beside(tensor, folder, name) for tensor in parameters} - {""}))
    return Reading(within_bounds(inspection, name), (*files, *outside), tuple(_findings(operators, name)))


def _operators(model: Any, graphs: Sequence[Any]) -> dict[str, int]:
    """Constants and calls of the model's own functions are no operators."""
    from modelyard_formats.wire.protobuf_file import text

    known = {_REFERENCE + primitive.name: primitive.op_type for primitive in model.primitives}
    kinds = (known.get(node.op_type, node.op_type) for graph in graphs for node in graph.node)
    counted = Counter(kind for kind in kinds if kind != b"Constant" and not kind.startswith(_REFERENCE))
    return dict(sorted((text(kind), count) for kind, count in counted.items()))


def _specs(graph: Any, part: str) -> Iterator[TensorSpec]:
    """Names without the graph's own, which MindSpore puts before each. A tuple is several outputs."""
    from modelyard_formats.wire.protobuf_file import text

    for value in getattr(graph, part):
        name = text(value.name.removeprefix(graph.name + b":"))
        tensors = list(value.tensor) or list(_nested(value.attribute))
        for index, tensor in enumerate(tensors):
            shown = name if len(tensors) == 1 else f"{name}.{index}"
            yield TensorSpec(name=shown, dtype=DTYPES.get(tensor.data_type, _UNKNOWN)[0], shape=_axes(tensor))
        if not tensors:
            yield TensorSpec(name=name, dtype="undefined", shape=UNKNOWN_RANK)


def _nested(attribute: Any) -> Iterator[Any]:
    """Its tensors, in order, however deep its tuples."""
    yield from attribute.tensors
    for each in attribute.values:
        yield from _nested(each)


def _axes(tensor: Any) -> tuple[int | str | None, ...]:
    if _ANY_RANK in tensor.dims or len(tensor.dims) > MAX_RANK:
        return UNKNOWN_RANK
    return tuple(size if size >= 0 else None for size in tensor.dims)


def _count(parameters: Sequence[Any], name: str) -> int:
    from modelyard_formats.wire.protobuf_file import text

    total = 0
    for tensor in parameters:
        possible = len(tensor.dims) <= MAX_RANK and all(size >= 0 for size in tensor.dims)
        elements = math.prod(tensor.dims) if possible else MAX_PARAMETERS
        held, size = tensor.left_out or len(tensor.raw_data), DTYPES.get(tensor.data_type, _UNKNOWN)[1]
        packed = tensor.compression or not size or not held
        total += elements
        if total >= MAX_PARAMETERS or (not packed and held != elements * size):
            message = f"{name}: parameter {text(tensor.name)[:100]!r} does not hold what it declares"
            raise bad_source(message, file=name, rule="data as large as the declared dimensions")
    return total


def _beside(tensor: Any, folder: Path, name: str) -> str:
    """The file that holds the parameter, relative to the model folder; empty when it lies in the model itself."""
    from modelyard_formats.wire.protobuf_file import text

    if not tensor.HasField("external"):
        return ""
    place = tensor.external
    try:
        return path_beside(folder, text(place.location), place.offset, place.length)
    except BadPlace as error:
        message = f"{name}: parameter {text(tensor.name)[:100]!r} lies outside: {error}"
        raise bad_source(message, file=name, rule=RULE_BESIDE) from error


def _findings(operators: dict[str, int], name: str) -> Iterator[Finding]:
    for kind, count in operators.items():
        if kind in _CODE or kind == "Custom":
            code = "Python code that is not in the graph" if kind in _CODE else "a library or kernel of its own"
            message = f"operator {kind} ({count}×) calls {code}"
            yield Finding(file=name, severity="suspicious", rule="mindspore-code", message=message)


FORMAT = Format(
    name="mindir",
    model_types=("MindSpore",),
    wants="one *.mindir",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
)
