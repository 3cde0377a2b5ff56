"""Writes the two files of an OpenVINO IR by hand, so that tests can have one without the openvino package.

Called by `models.openvino_ir`.
"""

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
from numpy.typing import NDArray

ELEMENT_TYPES = {"float32": "f32", "int64": "i64"}
PRECISIONS = {"f32": "FP32", "i64": "I64"}


class _Net:
    """Layers and edges in the making. A layer has one output and is called by its number."""

    def __init__(self) -> None:
        self.root = Element("net", name="digits_like_mlp", version="11")
        self.layers = SubElement(self.root, "layers")
        self.edges = SubElement(self.root, "edges")
        self.weights = b""
        self._outputs: list[tuple[str, list[int], int]] = []  # precision, shape, port

    def layer(self, name: str, kind: str, sources: list[int], shape: list[int], data: dict[str, str]) -> int:
        number = len(self._outputs)
        element = SubElement(self.layers, "layer", id=str(number), name=name, type=kind, version="opset1")
        if data:
            SubElement(element, "data", data)
        ports = SubElement(element, "input") if sources else element
        for index, source in enumerate(sources):
            precision, source_shape, port = self._outputs[source]
            _port(ports, index, precision, source_shape)
            edge = {"from-layer": source, "from-port": port, "to-layer": number, "to-port": index}
            SubElement(self.edges, "edge", {key: str(value) for key, value in edge.items()})
        precision = PRECISIONS[data.get("element_type", "f32")]
        if kind != "Result":
            made = _port(SubElement(element, "output"), len(sources), precision, shape)
            made.set("names", name)
        self._outputs.append((precision, shape, len(sources)))
        return number

    def constant(self, name: str, array: NDArray[np.generic]) -> int:
        data = {
            "element_type": ELEMENT_TYPES[array.dtype.name],
            "shape": ", ".join(map(str, array.shape)),
            "offset": str(len(self.weights)),
            "size": str(array.nbytes),
        }
        self.weights += array.tobytes()
        return self.layer(name, "Const", [], list(array.shape), data)


def _port(parent: Element, number: int, precision: str, shape: list[int]) -> Element:
    port = SubElement(parent, "port", id=str(number), precision=precision)
    for axis in shape:
        SubElement(port, "dim").text = str(axis)
    return port


def ir_bytes(weights: Mapping[str, NDArray[np.float32]]) -> tuple[bytes, bytes]:
    """(.xml, .bin) of the network `models.digits_like_mlp`: two dense layers and a softmax over [N, 1, 8, 8]."""
    net = _Net()
    inputs, classes = weights["w1"].shape[0], weights["w2"].shape[1]
    image = net.layer("image", "Parameter", [], [-1, 1, 8, 8], {"element_type": "f32", "shape": "?,1,8,8"})
    target = net.constant("flat_shape", np.array([-1, inputs], np.int64))
    flat = net.layer("flat", "Reshape", [image, target], [-1, inputs], {"special_zero": "false"})
    first = _dense(net, "h1", flat, weights["w1"], weights["b1"])
    active = net.layer("h2", "ReLU", [first], [-1, weights["w1"].shape[1]], {})
    logits = _dense(net, "logits", active, weights["w2"], weights["b2"])
    scores = net.layer("scores", "SoftMax", [logits], [-1, classes], {"axis": "1"})
    net.layer("scores/sink_port_0", "Result", [scores], [-1, classes], {})
    indent(net.root)
    return b'<?xml version="1.0"?>\n' + tostring(net.root), net.weights


def _dense(net: _Net, name: str, source: int, matrix: NDArray[np.float32], bias: NDArray[np.float32]) -> int:
    shape = [-1, matrix.shape[1]]
    factor = net.constant(f"{name}_w", matrix)
    flags = {"transpose_a": "false", "transpose_b": "false"}
    product = net.layer(f"{name}_product", "MatMul", [source, factor], shape, flags)
    offset = net.constant(f"{name}_b", bias.reshape(1, -1))
    return net.layer(name, "Add", [product, offset], shape, {"auto_broadcast": "numpy"})
