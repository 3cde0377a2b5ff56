"""An ONNX model with its nodes in order, its functions written out and its shapes inferred, by onnx itself.

Used by `onnx.growth`, on a copy without weights: onnx opens no other file. What it infers from is kept small: constants
that decide over sizes are computed here, within bounds (onnx's own propagation of values has none), and where they stay
unknown it is not told how many axes they would make.
"""

from collections.abc import Iterator

from onnx import GraphProto, ModelProto, NodeProto, numpy_helper, shape_inference
from onnx.inliner import inline_local_functions

from modelyard_formats.kinds.onnx.constants import Scope, Unknown, is_standard
from modelyard_formats.kinds.onnx.functions import graphs_of
from modelyard_formats.kinds.onnx.making import SIZED_BY

ROUNDS = 4
"""Shapes make constants known, and these make shapes known; more than two rounds are rare."""
_SHAPED_BY = {**SIZED_BY, "Reshape": (1,), "Slice": (1, 2, 3, 4), "Unsqueeze": (1,)}
_AXES_BY = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "AffineGrid": 1}
_COMPUTED = "modelyard computed: "


class Circle(Exception):
    """`node` takes part in one: what it is made of is made of its own output."""

    def __init__(self, node: NodeProto) -> None:
        super().__init__(node.name or node.op_type)
        self.node = node


class CannotFollow(Exception):
    """onnx says why."""


def written_out(model: ModelProto) -> ModelProto:
    """Raises Circle and CannotFollow."""
    for part in (model.graph, *model.functions):
        sort_nodes(part)
    try:
        whole = inline_local_functions(model) if model.functions else model
        opsets = {item.domain or "": item.version for item in whole.opset_import}
        for _ in range(ROUNDS):
            inferable = ModelProto.FromString(whole.SerializeToString())
            _hide_axes(inferable.graph)
            inferred: ModelProto = shape_inference.infer_shapes(inferable)
            _take_shapes(inferred.graph, whole.graph)
            if not _compute(whole.graph, opsets, None):
                break
    except Exception as error:
        raise CannotFollow(f"{type(error).__name__}: {error}"[:200]) from error
    return whole


def sort_nodes(graph: GraphProto) -> None:
    """Whatever a node is made of before it, in sub-graphs too: onnx asks for it, runtimes do it themselves."""
    for node in graph.node:
        for inner in graphs_of(node.attribute):
            sort_nodes(inner)
    makers = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    needs = [{makers[name] for name in _taken(node) if name in makers} for node in graph.node]
    if all(max(found, default=-1) < at for at, found in enumerate(needs)):
        return
    order = [graph.node[at] for at in _order(graph, needs)]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in order]
    del graph.node[:]
    graph.node.extend(copies)


def _order(graph: GraphProto, needs: list[set[int]]) -> list[int]:
    takers: list[list[int]] = [[] for _ in needs]
    for at, found in enumerate(needs):
        for maker in found:
            takers[maker].append(at)
    left = [len(found) for found in needs]
    ready = [at for at, count in enumerate(left) if not count]
    order: list[int] = []
    while ready:
        order.append(here := ready.pop())
        for taker in takers[here]:
            left[taker] -= 1
            if not left[taker]:
                ready.append(taker)
    if len(order) < len(needs):
        raise Circle(graph.node[next(at for at, count in enumerate(left) if count)])
    return order


def _taken(node: NodeProto) -> Iterator[str]:
    """Names that it reads, and that its sub-graphs do: among those are the sub-graphs' own, which do no harm."""
    yield from node.input
    for graph in graphs_of(node.attribute):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from _taken(inner)


def _hide_axes(graph: GraphProto) -> None:
    """Of a tensor that says how many axes another one has, onnx writes down as many as it has elements."""
    constants = {tensor.name for tensor in graph.initializer}
    constants.update(name for node in graph.node if node.op_type == "Constant" for name in node.output)
    for node in graph.node:
        index = _AXES_BY.get(node.op_type, len(node.input))
        if is_standard(node) and index < len(node.input) and node.input[index] not in constants:
            node.input[index] = ""
        for inner in graphs_of(node.attribute):
            _hide_axes(inner)


def _take_shapes(inferred: GraphProto, graph: GraphProto) -> None:
    for name in ("output", "value_info"):
        graph.ClearField(name)
        getattr(graph, name).extend(getattr(inferred, name))
    for theirs, ours in zip(inferred.node, graph.node, strict=True):
        for inner, mine in zip(graphs_of(theirs.attribute), graphs_of(ours.attribute), strict=True):
            _take_shapes(inner, mine)


def _compute(graph: GraphProto, opsets: dict[str, int], around: Scope | None) -> bool:
    """Put the values of constants where sizes are asked for; whether there were any new ones."""
    scope, stored = Scope(graph, opsets, around), {tensor.name for tensor in graph.initializer}
    anything = False
    for node in graph.node:
        for index in _SHAPED_BY.get(node.op_type, ()) if is_standard(node) else ():
            name = node.input[index] if index < len(node.input) else ""
            if not name or name in stored or isinstance(value := scope.value(name), Unknown):
                continue
            node.input[index] = f"{_COMPUTED}{name}"
            if node.input[index] not in stored:
                stored.add(node.input[index])
                graph.initializer.append(numpy_helper.from_array(value, node.input[index]))
            anything = True
        for inner in graphs_of(node.attribute):
            anything |= _compute(inner, opsets, scope)
    return anything
