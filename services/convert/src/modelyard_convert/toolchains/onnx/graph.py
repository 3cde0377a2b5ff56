"""Reading and writing ONNX graphs, for the steps beside."""

from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

EXTERNAL_DATA_FROM = 1_500_000_000  # bytes; a protobuf message ends at 2 GiB


def tidied(path: Path) -> Any:
    """ORT imports every domain it has ever heard of; other readers stumble over them, so only used ones stay."""
    model = onnx.load(path, load_external_data=False)
    used = domains(model) | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    in_order(model.graph)
    path.write_bytes(model.SerializeToString())
    return model


def _nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of sub-graphs too."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from _nodes(body)


def bodies(node: Any) -> Iterator[Any]:
    """The graphs inside an If, Loop or Scan."""
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs)


def in_order(graph: Any) -> None:
    """Every node behind those whose results it takes, in bodies too. A node with bodies also takes what they take from
    around them, which tools that sort by inputs alone forget."""
    for node in graph.node:
        for body in bodies(node):
            in_order(body)
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = {index: {makers[name] for name in _taken(node) if name in makers} for index, node in enumerate(graph.node)}
    if all(need < index for index, needed in needs.items() for need in needed):
        return
    placed = TopologicalSorter(needs).static_order()
    copies = [onnx.NodeProto.FromString(graph.node[index].SerializeToString()) for index in placed]
    del graph.node[:]
    graph.node.extend(copies)


def _taken(node: Any) -> Iterator[str]:
    """Names that a node takes, those that its bodies take from around them too."""
    yield from node.input
    for body in bodies(node):
        own = {value.name for value in body.input} | {name for each in body.node for name in each.output}
        own |= {tensor.name for tensor in body.initializer}
        yield from (name for each in body.node for name in _taken(each) if name not in own)
        yield from (value.name for value in body.output if value.name not in own)


def all_nodes(model: Any) -> Iterator[Any]:
    yield from _nodes(model.graph)
    for function in model.functions:
        yield from _nodes(function)


def operators(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in all_nodes(model))


def domains(model: Any) -> set[str]:
    return {"" if node.domain == "ai.onnx" else node.domain for node in all_nodes(model)}


def described(path: Path) -> str:
    common = operators(onnx.load(path, load_external_data=False)).most_common(6)
    return ", ".join(f"{count} {name}" for name, count in common) or "no nodes"


def tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in all_nodes(model):
        for attribute in node.attribute:
            yield from (attribute.g.initializer if attribute.HasField("g") else ())
            if attribute.HasField("t"):
                yield attribute.t


def float_weights(model: Any) -> Iterator[tuple[str, float]]:
    for tensor in tensors(model):
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE):
            values = numpy_helper.to_array(tensor)
            yield tensor.name, float(np.abs(values).max()) if values.size else 0.0


def halves(model: Any) -> int:
    return sum(1 for tensor in tensors(model) if tensor.data_type == TensorProto.FLOAT16)


def is_large(path: Path) -> bool:
    return sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file()) > EXTERNAL_DATA_FROM


def save(model: Any, path: Path) -> None:
    large = sum(len(tensor.raw_data) for tensor in tensors(model)) > EXTERNAL_DATA_FROM
    onnx.save_model(model, path, save_as_external_data=large, location=f"{path.name}.data" if large else None)
