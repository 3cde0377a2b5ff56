"""What makes each output of a graph: the operator behind those that only move values about. Called by `inspection`.

It tells what an output is: a Softmax gives scores, an ArgMax class ids. Nothing is computed.
"""

from onnx import GraphProto

from modelyard_formats.kinds.onnx.model import operator_name

MOVING = frozenset({
    "Cast", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose",
    "Unsqueeze", "QuantizeLinear", "DequantizeLinear",
})  # fmt: skip
FURTHEST = 32
"""Operators that only move values, at most so many behind one another."""


def heads(graph: GraphProto) -> dict[str, str]:
    """By output: `Softmax`, `LSTM.1` for the second output of an operator; nothing for an input that is passed on."""
    makers = {name: (node, place) for node in graph.node for place, name in enumerate(node.output) if name}
    found = {}
    for output in graph.output:
        name = output.name
        for _ in range(FURTHEST):
            maker = makers.get(name)
            if maker is None:
                break
            node, place = maker
            if node.op_type in MOVING and node.input:
                name = node.input[0]
                continue
            found[output.name] = f"{operator_name(node)}.{place}" if place else operator_name(node)
            break
    return found
