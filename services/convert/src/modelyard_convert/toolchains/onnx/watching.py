"""What happens inside a network on the samples: the largest magnitude of every tensor, and of the sums of those that
are averaged. This processor computes fp16 in fp32 and would hide what overflows elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from modelyard_convert.children.protocol import Samples

AVERAGING = frozenset({"ReduceMean", "GlobalAveragePool"})
Magnitudes = dict[str, float]


def magnitudes(model: Any, samples: Samples, scratch: Path) -> Magnitudes:
    """Of every tensor that a node of the main graph makes and that holds floats, over all samples."""
    graph = model.graph
    outputs = {value.name for value in graph.output}
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(
        onnx.ValueInfoProto(name=name) for node in graph.node for name in node.output if name and name not in outputs
    )
    path = scratch / "watched.onnx"
    onnx.save(shown, path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    path.unlink()
    names = [value.name for value in session.get_outputs()]
    found: Magnitudes = {}
    for feed in samples:
        values = dict(zip(names, session.run(names, feed), strict=True))
        for name, largest in _largest(values, feed, graph):
            found[name] = max(found.get(name, 0.0), largest)
    return found


def _largest(values: dict[str, Any], feed: dict[str, Any], graph: Any) -> Iterator[tuple[str, float]]:
    arrays = {name: value for name, value in values.items() if getattr(value, "dtype", np.dtype(bool)).kind == "f"}
    for name, value in arrays.items():
        yield name, float(np.abs(value[np.isfinite(value)]).max(initial=0.0))
    for node in (node for node in graph.node if node.op_type in AVERAGING):
        mean, of = arrays.get(node.output[0]), arrays.get(node.input[0], feed.get(node.input[0]))
        if mean is not None and of is not None and mean.size:
            yield node.output[0], float(np.abs(mean).max() * (of.size / mean.size))
