"""The local functions of an ONNX model, as what calls them sees them. Used by `onnx.inspection` and `onnx.sizes`."""

from collections import Counter
from collections.abc import Iterable, Iterator

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from modelyard_contracts.failures import Problem
from modelyard_formats.expansion import Body, expansion_problems

Key = tuple[str, str, str]
MAIN: Key = ("", "", "")


def function_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    """Why the functions cannot be written out into the graph, or not within bounds."""
    for key, times in Counter(key_of(function) for function in model.functions).items():
        if times > 1:
            message = f"function {name_of(key)} is defined {times} times"
            yield Problem(message=message, file=file, field=name_of(key), rule="every function once")
    yield from _graphs_handed_over(model, file)
    yield from expansion_problems(bodies_of(model), file, name_of)


def bodies_of(model: ModelProto) -> dict[Key, Body[Key]]:
    """The main graph first."""
    keys = {key_of(function) for function in model.functions}
    parts = [(MAIN, model.graph), *((key_of(function), function) for function in model.functions)]
    return {key: _body(part, keys) for key, part in parts}


def key_of(function: FunctionProto) -> Key:
    return _domain(function.domain), function.name, function.overload


def called_by(node: NodeProto) -> Key:
    return _domain(node.domain), node.op_type, node.overload


def name_of(key: object) -> str:
    if key == MAIN:
        return "graph"
    domain, name, overload = key if isinstance(key, tuple) else ("", str(key), "")
    return f"{domain}::{name}" + (f":{overload}" if overload else "")


def nodes_within(part: GraphProto | FunctionProto) -> Iterator[tuple[NodeProto, int]]:
    """Its nodes and those of all sub-graphs, each with how many sub-graphs deep it lies."""
    waiting = [(part, 0)]
    while waiting:
        here, depth = waiting.pop()
        for node in here.node:
            yield node, depth
            waiting.extend((graph, depth + 1) for graph in graphs_of(node.attribute))


def graphs_of(attributes: Iterable[AttributeProto]) -> Iterator[GraphProto]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _body(part: GraphProto | FunctionProto, keys: set[Key]) -> Body[Key]:
    nodes, deepest, calls = 0, 0, []
    for node, depth in nodes_within(part):
        deepest = max(deepest, depth)
        if called_by(node) in keys:
            calls.append((called_by(node), depth))
        else:
            nodes += 1
    return Body(nodes, calls, deepest)


def _graphs_handed_over(model: ModelProto, file: str) -> Iterator[Problem]:
    """A graph that a function gets as an attribute would count wherever the function uses it."""
    keys = {key_of(function) for function in model.functions}
    parts = (model.graph, *model.functions)
    handed = {called_by(n) for part in parts for n, _ in nodes_within(part) if any(graphs_of(n.attribute))} & keys
    handed |= {key_of(function) for function in model.functions if any(graphs_of(function.attribute_proto))}
    for key in sorted(handed):
        message = f"function {name_of(key)} is given a sub-graph as an attribute"
        yield Problem(message=message, file=file, field=name_of(key), rule="functions hold their own sub-graphs")


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
