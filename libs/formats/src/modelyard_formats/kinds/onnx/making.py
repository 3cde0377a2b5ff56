"""How many elements an operator makes by the values of its inputs, where these say so. Used by `onnx.growth`, and by
`onnx.constants` before it computes anything. Bounds, not exact counts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from onnx import NodeProto

SIZED_BY: Mapping[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,), "Expand": (1,), "Tile": (1,), "Range": (0, 1, 2), "Pad": (1,), "OneHot": (1,),
    "Upsample": (1,), "Resize": (2,),
}  # fmt: skip
"""Which inputs of an operator decide over the size of its output, whatever the size of the others."""

MULTIPLIES = frozenset({"Tile", "Upsample", "Resize", "OneHot"})
"""Those whose output is so many times as large as their first input."""


def elements_made(node: NodeProto, inputs: Sequence[Any]) -> int:
    """`inputs` in the order of the node's: arrays, or None where a value is not known."""
    values = dict(enumerate(inputs))
    first = values[0].size if values.get(0) is not None else 1
    match node.op_type:
        case "ConstantOfShape":
            made = _product(values.get(0))
        case "Expand" | "Tile" | "Upsample" | "OneHot":
            made = _product(values.get(1)) * first
        case "Resize":
            made = _product(values.get(2))  # the shape says what comes of its `sizes`
        case "Pad":
            made = max(_sizes(values.get(1)), default=1)
        case "Range":
            made = _steps(*(values.get(index) for index in range(3)))
        case "Concat":
            made = sum(value.size for value in inputs if value is not None)
        case _:
            made = max((value.size for value in inputs if value is not None), default=1)
    return made


def _product(value: Any) -> int:
    return math.prod(max(1, size) for size in _sizes(value))


def _sizes(value: Any) -> list[int]:
    return [_whole(number) for number in _numbers(value)]


def _numbers(value: Any) -> list[float]:
    return [] if value is None or value.dtype.kind not in "iufb" else value.ravel().tolist()


def _steps(*values: Any) -> int:
    """One that cannot be told counts as 1."""
    ends = [number for value in values for number in _numbers(value)[:1]]
    if len(ends) < 3 or not ends[2]:
        return 1
    count = (ends[1] - ends[0]) / ends[2]
    return 0 if count < 0 else _whole(count)


def _whole(number: float) -> int:
    """Rounded away from zero. What is no finite number is larger than all that are."""
    return math.ceil(abs(number)) if math.isfinite(number) else 2**1024
