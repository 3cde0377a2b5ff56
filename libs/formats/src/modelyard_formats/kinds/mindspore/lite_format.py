"""MindSpore Lite: one `*.ms`, a FlatBuffer. Read over a memory map; weights are measured, never read."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelyard_contracts.shapes import Finding, Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import (
    MAX_RANK,
    MAX_TENSORS,
    MODEL_FOLDER,
    UNKNOWN_RANK,
    Format,
    Reading,
    at_top,
    within_bounds,
)
from modelyard_formats.kinds.mindspore.data_beside import RULE as RULE_BESIDE
from modelyard_formats.kinds.mindspore.data_beside import BadPlace, path_beside
from modelyard_formats.kinds.mindspore.lite_schema import ELEMENTS, OPERATORS, MetaGraph, Node, Outside, Tensor
from modelyard_formats.wire.flatbuffer import Flatbuffer, Malformed, Table, Tables, opened

IDENTIFIER = b"MSL2"
MAX_PARAMETERS = 2**62
RULE = "a complete MindSpore Lite model, of release 1.1 or later"
_UNKNOWN = ("undefined", 0)


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, ".ms"))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name, path = f"{MODEL_FOLDER}/{files[0]}", folder / files[0]
    try:
        with opened(path, name, "MindSpore Lite model", RULE) as file:
            return _reading(file, folder, files[0])
    except BadPlace as error:
        raise bad_source(f"{name}: a parameter lies outside: {error}", file=name, rule=RULE_BESIDE) from error


def _reading(file: Flatbuffer, folder: Path, main: str) -> Reading:
    if file.identifier() != IDENTIFIER:
        raise Malformed(f"it does not begin with the identifier {IDENTIFIER.decode()}")
    name, graph = f"{MODEL_FOLDER}/{main}", file.root()
    nodes, tensors = graph.tables(MetaGraph.NODES), graph.tables(MetaGraph.TENSORS)
    if not nodes or not graph.extent(MetaGraph.OUTPUTS, 4)[1]:
        raise bad_source(f"{name} holds no graph with an output", file=name, rule=RULE)
    operators = Counter(_operator(node) for node in nodes)
    version = graph.text(MetaGraph.VERSION)
    outside = dict.fromkeys(place for tensor in tensors for place in _outside(tensor, folder))
    inspection = Inspection(
        format=FORMAT.name,
        signature=Signature(
            inputs=_ends(graph, MetaGraph.INPUTS, tensors), outputs=_ends(graph, MetaGraph.OUTPUTS, tensors)
        ),
        producer=(version if "MindSpore" in version else f"MindSpore Lite {version}").strip()[:200],
        parameter_count=_count(tensors),
        operators=dict(sorted(operators.items())),
        details={"graphs": max(len(graph.tables(MetaGraph.SUBGRAPHS)), 1)},
    )
    return Reading(within_bounds(inspection, name), (main, *sorted(outside)), tuple(_findings(operators, name)))


def _operator(node: Table) -> str:
    primitive = node.table(Node.PRIMITIVE)
    number = primitive.number(0, "B") if primitive else 0
    return OPERATORS[number] if 0 < number < len(OPERATORS) else f"operator {number}"


def _ends(graph: Table, field: int, tensors: Tables) -> tuple[TensorSpec, ...]:
    return tuple(_spec(tensors[index]) for index in graph.numbers(field, "I", MAX_TENSORS))


def _spec(tensor: Table) -> TensorSpec:
    """A negative axis may have any size; a tensor without axes is of unknown rank, or a single number."""
    axes = tuple(axis if axis >= 0 else None for axis in tensor.numbers(Tensor.DIMS, "i", MAX_RANK))
    dtype = ELEMENTS.get(tensor.number(Tensor.TYPE, "i"), _UNKNOWN)[0]
    return TensorSpec(name=tensor.text(Tensor.NAME), dtype=dtype, shape=axes or UNKNOWN_RANK)


def _count(tensors: Tables) -> int:
    """Elements of all constants."""
    total = 0
    for tensor in tensors:
        held = tensor.extent(Tensor.DATA)[1]
        if held or len(tensor.tables(Tensor.OUTSIDE)):
            axes = tensor.numbers(Tensor.DIMS, "i", MAX_RANK)
            elements = math.prod(axes) if all(axis >= 0 for axis in axes) else MAX_PARAMETERS
            width = ELEMENTS.get(tensor.number(Tensor.TYPE, "i"), _UNKNOWN)[1]
            total += elements
            if total >= MAX_PARAMETERS or (held and width and not _packed(tensor) and held != elements * width):
                raise Malformed(f"constant {tensor.text(Tensor.NAME)[:200]!r} does not hold what it declares")
    return total


def _packed(tensor: Table) -> bool:
    """In fewer bits than its type says, or compressed."""
    squeezed = tensor.number(Tensor.PACKED, "?") or tensor.number(Tensor.COMPRESSION, "i")
    return bool(squeezed) or len(tensor.tables(Tensor.QUANTISATION)) > 0


def _outside(tensor: Table, folder: Path) -> Iterator[str]:
    """Files beside the model. Length -1 is all of the rest."""
    for place in tensor.tables(Tensor.OUTSIDE):
        length = place.number(Outside.LENGTH, "q", -1)
        yield path_beside(folder, place.text(Outside.LOCATION), place.number(Outside.OFFSET, "q"), max(length, 0))


def _findings(operators: Counter[str], name: str) -> Iterator[Finding]:
    if operators["Custom"]:
        message = f"operator Custom ({operators['Custom']}×) calls a library or kernel of its own"
        yield Finding(file=name, severity="suspicious", rule="mindspore-code", message=message)


FORMAT = Format(
    name="mindspore-lite",
    model_types=("MindSpore",),
    wants="one *.ms",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
)
