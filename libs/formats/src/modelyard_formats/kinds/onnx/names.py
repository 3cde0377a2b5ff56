"""Every name of an ONNX graph stands for one thing: what runtimes refuse when they load it is refused before.

Within one graph: a sub-graph may hide a name of the graph around it, as some exporters let it.
Used by `onnx.inspection`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from onnx import FunctionProto, GraphProto, ModelProto

from modelyard_contracts.failures import Problem
from modelyard_formats.kinds.onnx.model import parts


def name_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    for part in parts(model):
        for name in _twice(node.name for node in part.node):
            message = f"{_place(part)} has two nodes of the name {name!r}"
            yield Problem(message=message, file=file, field=name, rule="nodes of one graph differ in their names")
        for name in _twice(_defined(part)):
            message = f"{_place(part)} defines {name!r} twice"
            yield Problem(message=message, file=file, field=name, rule="every value is an input or made once")
        if isinstance(part, GraphProto):
            for name in _twice(_stored(part)):
                message = f"{_place(part)} stores two tensors of the name {name!r}"
                yield Problem(message=message, file=file, field=name, rule="every stored tensor once")


def _defined(part: GraphProto | FunctionProto) -> Iterator[str]:
    """A stored tensor may be named among the inputs as well, where it is their default."""
    if isinstance(part, FunctionProto):
        yield from part.input
    else:
        inputs = [value.name for value in part.input]
        yield from inputs
        yield from set(_stored(part)) - set(inputs)
    for node in part.node:
        yield from node.output


def _stored(graph: GraphProto) -> Iterator[str]:
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)


def _twice(names: Iterable[str]) -> Iterator[str]:
    """Those of them that are there more than once; an empty one is none."""
    return (name for name, times in Counter(names).items() if times > 1 and name)


def _place(part: GraphProto | FunctionProto) -> str:
    return f"{'function' if isinstance(part, FunctionProto) else 'graph'} {part.name!r}"
