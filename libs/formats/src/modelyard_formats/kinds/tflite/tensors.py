"""Shapes, types and weights of a TFLite model's tensors. Used by `tflite.format`; no weight is read."""

import math

from modelyard_contracts.shapes import TensorSpec
from modelyard_formats.expansion import MAX_ELEMENTS, most_elements
from modelyard_formats.format import MAX_RANK, UNKNOWN_RANK
from modelyard_formats.kinds.tflite.schema import ELEMENTS, Buffer, Quantisation, Subgraph, Tensor
from modelyard_formats.wire.flatbuffer import Flatbuffer, Malformed, Table, Tables

_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128"})
_MOST_ELEMENTS = 2**40


def spec(name: str, tensor: Table) -> TensorSpec:
    """A shape's axes may be dynamic: the signature of the shape says which. An old model has no such signature."""
    shape = tensor.numbers(Tensor.SHAPE, "i", MAX_RANK)
    dynamic = tensor.numbers(Tensor.SHAPE_SIGNATURE, "i", MAX_RANK)
    axes = tuple(axis if axis >= 0 else None for axis in (dynamic if len(dynamic) == len(shape) else shape))
    known = bool(axes) or bool(tensor.number(Tensor.HAS_RANK, "?"))
    return TensorSpec(name=name, dtype=_element(tensor)[0], shape=axes if known else UNKNOWN_RANK)


def _element(tensor: Table) -> tuple[str, int]:
    number = tensor.number(Tensor.TYPE, "b")
    return ELEMENTS[number] if 0 <= number < len(ELEMENTS) else ("undefined", 0)


class Weights:
    """The constants of all graphs. Raises `Malformed` when their sizes are wrong or they lie outside of the file."""

    def __init__(self, file: Flatbuffer, buffers: Tables, subgraphs: Tables) -> None:
        self.parameters = 0
        self._kinds: set[str] = set()
        sizes = [_size(file, buffer) for buffer in buffers]
        counted: set[int] = set()  # the converter stores equal constants once
        for tensor in (tensor for graph in subgraphs for tensor in graph.tables(Subgraph.TENSORS)):
            number = tensor.number(Tensor.BUFFER, "I")
            if number >= max(len(sizes), 1):
                raise Malformed(f"a tensor lies in buffer {number:,} of {len(sizes):,}")
            stored = sizes[number] if sizes else 0
            self._note_kind(tensor, constant=stored > 0)
            if not stored and most_elements(tensor.numbers(Tensor.SHAPE, "i", MAX_RANK)) > MAX_ELEMENTS:
                raise Malformed(f"tensor {tensor.text(Tensor.NAME)!r} has more than {MAX_ELEMENTS:,} elements")
            if stored:
                elements = _checked(tensor, stored)
                self.parameters += elements if number not in counted and _is_weight(tensor) else 0
                counted.add(number)

    def _note_kind(self, tensor: Table, *, constant: bool) -> None:
        dtype = _element(tensor)[0]
        if _scales(tensor) or (constant and dtype in ("float16", "bfloat16")):
            self._kinds.add(f"{dtype} {'weights' if constant else 'activations'}")

    @property
    def quantisation(self) -> str:
        """What is stored in fewer bits, `int8 activations, int8 weights` for one; `none`."""
        return ", ".join(sorted(self._kinds)) or "none"


def _size(file: Flatbuffer, buffer: Table) -> int:
    """Bytes of a constant; 0 for a tensor that is computed. Offset 1 stands for data that is yet to be written."""
    offset, size = buffer.number(Buffer.OFFSET, "Q"), buffer.number(Buffer.SIZE, "Q")
    if offset > 1:
        if offset + size > len(file):
            raise Malformed(f"a constant ends at byte {offset + size:,}, of {len(file):,}")
        return size
    return buffer.extent(Buffer.DATA)[1]


def _checked(tensor: Table, stored: int) -> int:
    """Elements of a constant, which must be all there."""
    elements = math.prod(tensor.numbers(Tensor.SHAPE, "i", MAX_RANK))
    dtype, bits = _element(tensor)
    if not 0 <= elements < _MOST_ELEMENTS:
        raise Malformed(f"constant {tensor.text(Tensor.NAME)[:200]!r} has an impossible shape")
    if bits and not tensor.has(Tensor.SPARSITY) and (elements * bits + 7) // 8 > stored:
        raise Malformed(f"constant {tensor.text(Tensor.NAME)[:200]!r} of {elements:,} {dtype} has {stored:,} bytes")
    return elements


def _is_weight(tensor: Table) -> bool:
    """Scalars and whole numbers without a scale are arguments of operators: axes, shapes, indices."""
    return bool(tensor.extent(Tensor.SHAPE, 4)[1]) and (_element(tensor)[0] in _FLOATS or _scales(tensor) > 0)


def _scales(tensor: Table) -> int:
    quantisation = tensor.table(Tensor.QUANTISATION)
    return quantisation.extent(Quantisation.SCALE, 4)[1] if quantisation else 0
