"""What an ONNX graph computes of constants alone, as far as that decides over sizes and loops. Used by `onnx.growth`.

Only small values are followed, through operators that make no large ones of them.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from modelyard_formats.expansion import MAX_ELEMENTS, most_elements
from modelyard_formats.kinds.onnx.making import elements_made
from modelyard_formats.kinds.onnx.tensors import elements

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]
else:
    Array = Any

MOST_ELEMENTS = 4096
MOST_NODES = 2_000
"""Through which one value is followed."""
_FOLLOWED = frozenset((
    "Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal", "Expand",
    "Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod",
    "Mul", "Neg", "Not", "Or", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape", "Size",
    "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where", "Xor",
))  # fmt: skip


class Unknown(Enum):
    """Why there is no value: the model's inputs decide it; or it is constant, and was not followed."""

    DATA = "data"
    UNFOLLOWED = "unfollowed"


Value = Array | Unknown
Shape = tuple[int, ...]


class Scope:
    """The values of one graph whose nodes are in order, and of those around it.

    `least`: elements of its tensors, an axis that is not known counting as 1.
    """

    def __init__(self, graph: GraphProto, opsets: Mapping[str, int], around: "Scope | None" = None) -> None:
        self._nodes, self._opsets, self._around = tuple(graph.node), dict(opsets), around
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._inputs = {value.name for value in graph.input} - self._stored.keys()
        self._makers = {name: at for at, node in enumerate(self._nodes) for name in node.output if name}
        self.least: dict[str, int] = {}
        self._shapes: dict[str, Shape] = {}
        for value in (*graph.input, *graph.output, *graph.value_info):
            self._measure(value)
        self._known: dict[str, Value] = {}
        self._constant = set(self._stored)
        for node in self._nodes:
            if all(map(self._is_constant, self._needs(node))):
                self._constant.update(node.output)

    def _measure(self, value: ValueInfoProto) -> None:
        axes = getattr(value.type, value.type.WhichOneof("value") or "tensor_type")
        axes = axes.shape.dim if hasattr(axes, "shape") else ()
        sizes = [axis.dim_value for axis in axes]
        self.least[value.name] = most_elements(sizes)
        if 0 not in sizes or all(axis.HasField("dim_value") for axis in axes):
            tensor = value.type.tensor_type
            if sizes or tensor.HasField("shape"):
                self._shapes[value.name] = tuple(sizes)

    def value(self, name: str) -> Value:
        if not self._is_constant(name):
            return Unknown.DATA
        waiting, needed = [name], set[int]()
        while waiting:
            at = self._makers.get(here := waiting.pop())
            if at is not None and at not in needed and here not in self._known:
                needed.add(at)
                waiting.extend(self._needs(self._nodes[at]))
            if len(needed) > MOST_NODES:
                return Unknown.UNFOLLOWED
        for at in sorted(needed):
            node = self._nodes[at]
            self._known.update(dict.fromkeys(node.output, Unknown.UNFOLLOWED) | self._made(node))
        return self._found(name)

    def maker(self, name: str) -> NodeProto | None:
        return self._nodes[self._makers[name]] if name in self._makers else None

    def shape(self, name: str) -> Shape | None:
        """None unless every axis is known."""
        if self._is_own(name):
            return tuple(self._stored[name].dims) if name in self._stored else self._shapes.get(name)
        return self._around.shape(name) if self._around else None

    def least_elements(self, name: str) -> int:
        """As `least`, also of the graphs around it."""
        if self._is_own(name) or self._around is None:
            return self.least.get(name, 1)
        return self._around.least_elements(name)

    def _is_own(self, name: str) -> bool:
        return name in self._makers or name in self._inputs or name in self._stored

    def _is_constant(self, name: str) -> bool:
        if self._around is None or self._is_own(name):
            return name in self._constant
        return self._around._is_constant(name)

    def _needs(self, node: NodeProto) -> Iterator[str]:
        """What its outputs are made of; the shape of a tensor may be known without its values."""
        measured = node.op_type in ("Shape", "Size") and is_standard(node)
        return (name for name in node.input if name and not (measured and self.shape(name) is not None))

    def _found(self, name: str) -> Value:
        if name in self._known:
            return self._known[name]
        if name in self._stored:
            return _stored(self._stored[name])
        return self._around.value(name) if self._around and not self._is_own(name) else Unknown.DATA

    def _made(self, node: NodeProto) -> dict[str, Value]:
        """Empty when it is not followed. What it is made of is known."""
        if node.op_type not in _FOLLOWED or not is_standard(node):
            return {}
        if node.op_type in ("Shape", "Size") and node.input and (shape := self.shape(node.input[0])) is not None:
            fits = most_elements(shape) <= MAX_ELEMENTS
            return _run(node, self._opsets, {node.input[0]: _of_shape(shape)}) if fits else {}
        inputs = {name: self._found(name) for name in node.input if name}
        known = {name: value for name, value in inputs.items() if not isinstance(value, Unknown)}
        if len(known) < len(inputs) or elements_made(node, [known.get(name) for name in node.input]) > MOST_ELEMENTS:
            return {}
        return _run(node, self._opsets, known)


def is_standard(node: NodeProto) -> bool:
    return node.domain in ("", "ai.onnx")


def _stored(tensor: TensorProto) -> Value:
    if elements(tensor) > MOST_ELEMENTS or tensor.HasField("segment") or tensor.data_location == TensorProto.EXTERNAL:
        return Unknown.UNFOLLOWED
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # noqa: BLE001 - the library's own, of any kind
        return Unknown.UNFOLLOWED


def _of_shape(shape: Shape) -> Array:
    """An array of that shape that takes no memory."""
    import numpy as np

    return np.broadcast_to(np.float32(0), shape)


def _run(node: NodeProto, opsets: dict[str, int], inputs: Mapping[str, Array]) -> dict[str, Value]:
    import numpy as np
    from onnx.reference import ReferenceEvaluator  # only for the few models that compute sizes

    with np.errstate(all="ignore"):
        try:
            found = ReferenceEvaluator(node, opsets=opsets).run(None, dict(inputs))
        except Exception:  # noqa: BLE001 - a model may break any rule of any operator
            return {}
    return {
        name: np.asarray(value)
        for name, value in zip(node.output, found, strict=False)
        if isinstance(value, np.ndarray | np.generic)
    }
