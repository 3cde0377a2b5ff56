"""How often an ONNX Loop runs, as far as constants decide it. Used by `onnx.growth`."""

from dataclasses import dataclass

from onnx import GraphProto, NodeProto

from modelyard_formats.kinds.onnx.constants import Scope, Unknown, Value

MAX_STEPS = 10_000_000
"""Nodes run by all turns of a loop: about a minute of work that does nothing."""


@dataclass(frozen=True, slots=True)
class Turns:
    """`most`: turns at most, None where no constant says so. `counted`: the model's inputs give a count.
    `endless`: its condition never ends it."""

    most: int | None
    counted: bool
    endless: bool


def turns_of(node: NodeProto, body: GraphProto, scope: Scope, inside: Scope) -> Turns:
    count = _input(node, 0, scope)
    most = _number(count)
    first = _truth(_input(node, 1, scope))
    again = _again(body, inside, first)
    if first is False:
        return Turns(0, counted=True, endless=False)
    if again is False:
        return Turns(1 if most is None else min(1, most), counted=True, endless=False)
    counted = count is Unknown.DATA
    return Turns(most, counted, endless=first is True and again is True and not isinstance(count, Unknown))


def _input(node: NodeProto, index: int, scope: Scope) -> Value | None:
    """None when it is left out."""
    name = node.input[index] if index < len(node.input) else ""
    return scope.value(name) if name else None


def _again(body: GraphProto, inside: Scope, first: bool | None) -> bool | None:
    """Whether the body asks for another turn; None when that is not known. It may hand on what it was asked with."""
    if not body.output or len(body.input) < 2:
        return None
    name = body.output[0].name
    while (maker := inside.maker(name)) is not None and maker.op_type == "Identity" and maker.input:
        name = maker.input[0]
    return first if name == body.input[1].name else _truth(inside.value(name))


def _truth(value: Value | None) -> bool | None:
    """A condition that is left out holds."""
    if value is None:
        return True
    return bool(value.ravel()[0]) if not isinstance(value, Unknown) and value.size == 1 else None


def _number(value: Value | None) -> int | None:
    if value is None or isinstance(value, Unknown) or value.size != 1 or value.dtype.kind not in "iu":
        return None
    return max(0, int(value.ravel()[0]))
