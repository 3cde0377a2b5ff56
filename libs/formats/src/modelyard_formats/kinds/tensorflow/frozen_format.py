"""TensorFlow frozen graph: one `*.pb` that holds a GraphDef with its weights as constants. Read as protobuf."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import bad_source
from modelyard_formats.format import MODEL_FOLDER, Format, Reading, at_top, within_bounds
from modelyard_formats.kinds.tensorflow.format import GRAPH, KERAS

_OTHERS = frozenset({GRAPH, KERAS, "fingerprint.pb"})
_INPUTS = frozenset({b"Placeholder", b"PlaceholderV2", b"PlaceholderWithDefault"})
_NO_RESULT = frozenset({b"NoOp", b"Assert", b"Const", *_INPUTS})


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if GRAPH in names:
        return ()
    return tuple((name,) for name in at_top(names, ".pb") if name not in _OTHERS)


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    from modelyard_formats.kinds.tensorflow.files import operator_findings, operators, read_message, refuse_endless

    name = f"{MODEL_FOLDER}/{files[0]}"
    graph = read_message(folder / files[0], name, "Graph")
    if not graph.node or not all(node.name and node.op for node in graph.node):
        message = f"{name} holds no graph, or nodes without name or operator"
        raise bad_source(message, file=name, rule="a GraphDef whose nodes have a name and an operator")
    refuse_endless([graph], name)
    inspection = Inspection(
        format=FORMAT.name,
        signature=Signature(inputs=_inputs(graph), outputs=_outputs(graph)),
        opsets={"tensorflow": graph.versions.producer} if graph.versions.producer > 0 else {},
        producer="TensorFlow",
        parameter_count=_parameters(graph),
        operators=operators([graph]),
    )
    return Reading(within_bounds(inspection, name), files, operator_findings([graph], name))


def _inputs(graph: Any) -> tuple[TensorSpec, ...]:
    from modelyard_formats.kinds.tensorflow.files import attribute, spec
    from modelyard_formats.wire.protobuf_file import text

    return tuple(
        spec(text(node.name), attribute(node, b"dtype").type, _shape(attribute(node, b"shape")))
        for node in graph.node
        if node.op in _INPUTS
    )


def _outputs(graph: Any) -> tuple[TensorSpec, ...]:
    """Nodes whose result nobody takes. What they give is only known where the exporter wrote it down."""
    from modelyard_formats.kinds.tensorflow.files import attribute, spec
    from modelyard_formats.wire.protobuf_file import text

    used = {_producer(name) for node in graph.node for name in node.input}
    return tuple(
        spec(text(node.name), _dtype(node), next(iter(attribute(node, b"_output_shapes").list.shape), None))
        for node in graph.node
        if node.name not in used and node.op not in _NO_RESULT
    )


def _producer(name: bytes) -> bytes:
    """Of an input `^node`, `node` or `node:1`."""
    return name.removeprefix(b"^").partition(b":")[0]


def _dtype(node: Any) -> int:
    from modelyard_formats.kinds.tensorflow.files import attribute

    kinds = (attribute(node, name).type for name in (b"T", b"dtype", b"output_type", b"DstT"))
    return next((kind for kind in kinds if kind), 0)


def _shape(found: Any) -> Any | None:
    return found.shape if found.HasField("shape") else None


def _parameters(graph: Any) -> int:
    """Scalars are arguments of operators, not weights."""
    from modelyard_formats.kinds.tensorflow.files import WEIGHTS, attribute, elements

    constants = (attribute(node, b"value").tensor for node in graph.node if node.op == b"Const")
    return sum(elements(tensor.shape) for tensor in constants if tensor.dtype in WEIGHTS and tensor.shape.dim)


FORMAT = Format(
    name="tensorflow-frozen-graph",
    model_types=("TensorFlow",),
    wants="one frozen *.pb",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
)
