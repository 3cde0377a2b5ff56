"""A graph that computes in fp16 made to compute in fp32: quantisers see only float32."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from modelyard_convert.toolchains.onnx.graph import all_nodes, bodies, tensors

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
_TYPED = ("to", "dtype", "output_dtype")
"""Attributes that name a type."""


def widen(model: Any) -> None:
    """In place. Inputs and outputs keep their types."""
    for tensor in tensors(model):
        if tensor.data_type == HALF:
            wide = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
            tensor.CopyFrom(wide)
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.name in _TYPED and attribute.i == HALF:
                attribute.i = FLOAT
    for value in _inner_values(model):
        if value.type.tensor_type.elem_type == HALF:
            value.type.tensor_type.elem_type = FLOAT
    del model.graph.value_info[:]
    _cast_at_the_ends(model)


def _inner_values(model: Any) -> Iterator[Any]:
    for node in all_nodes(model):
        for body in bodies(node):
            yield from (*body.input, *body.output, *body.value_info)


def _cast_at_the_ends(model: Any) -> None:
    graph = model.graph
    taken = {name for node in all_nodes(model) for name in (*node.input, *node.output)}
    first = [value.name for value in graph.input if value.type.tensor_type.elem_type == HALF]
    last = [value.name for value in graph.output if value.type.tensor_type.elem_type == HALF]
    renamed = {name: _free(f"{name}/fp32", taken) for name in (*first, *last)}
    for node in all_nodes(model):
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    made = {name for node in graph.node for name in node.output}
    for name in first:
        graph.node.insert(0, helper.make_node("Cast", [name], [renamed[name]], name=renamed[name], to=FLOAT))
    for name in last:
        if name not in first or renamed[name] in made:
            graph.node.append(helper.make_node("Cast", [renamed[name]], [name], name=f"{renamed[name]}/out", to=HALF))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
