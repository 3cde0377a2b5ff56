"""Read the XML half of an OpenVINO IR: signature, layers, and whether its constants lie inside the `.bin`.

Used by `openvino.format`. Entities and document types are refused; nothing in the file is executed or fetched.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Finding, Inspection, Signature, TensorSpec
from modelyard_formats.errors import BadSource, bad_source
from modelyard_formats.expansion import MAX_DEPTH, MAX_ELEMENTS, SIZE_RULE, most_elements
from modelyard_formats.format import MAX_RANK, UNKNOWN_RANK

MAX_XML = 64 * 2**20
KNOWN_SETS = re.compile(r"opset\d{1,3}|experimental|ie_internal_opset|type_relaxed_opset")
# Element type → (numpy's or ml_dtypes' name, bits of one element); strings have no fixed size.
DTYPES = {
    "f64": ("float64", 64), "f32": ("float32", 32), "f16": ("float16", 16), "bf16": ("bfloat16", 16),
    "f8e4m3": ("float8_e4m3fn", 8), "f8e5m2": ("float8_e5m2", 8), "f8e8m0": ("float8_e8m0fnu", 8),
    "f4e2m1": ("float4_e2m1fn", 4), "nf4": ("nf4", 4), "i64": ("int64", 64), "i32": ("int32", 32),
    "i16": ("int16", 16), "i8": ("int8", 8), "i4": ("int4", 4), "u64": ("uint64", 64), "u32": ("uint32", 32),
    "u16": ("uint16", 16), "u8": ("uint8", 8), "u6": ("uint6", 6), "u4": ("uint4", 4), "u3": ("uint3", 3),
    "u2": ("uint2", 2), "u1": ("uint1", 1), "boolean": ("bool", 8), "string": ("object", 0),
}  # fmt: skip
PRECISIONS = {"FP64": "f64", "FP32": "f32", "FP16": "f16", "BOOL": "boolean"}  # others: the type's name in capitals
_SHAPED = frozenset({"Const", "Parameter"})


def primary_name(names: set[str], layer: str) -> str:
    """The one name of an input or output that has several: the layer's, as the source framework called it."""
    own = layer.partition("/sink_port_")[0]
    if own in names or not names:
        return own
    return min(names)


def read_ir(path: Path, file: str, weights_size: int, format_name: str) -> Inspection:
    """Raises `BadSource` when the XML is no IR, or points outside its weights. `weights_size`: bytes of the `.bin`."""
    net = _parse(path, file)
    try:
        problems = tuple(_problems(net, file, weights_size))
        if problems:
            raise BadSource(problems)
        return _inspection(net, format_name)
    except (KeyError, ValueError) as error:
        raise bad_source(f"{file} is no valid OpenVINO IR: {error}", file=file, rule="a complete IR") from error


def _parse(path: Path, file: str) -> Element:
    size = path.stat().st_size
    if size > MAX_XML:
        raise bad_source(f"{file} has {size:,} bytes", file=file, rule=f"at most {MAX_XML:,} bytes of XML")
    try:
        net = parse(path, forbid_dtd=True).getroot()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        message = f"{file} is truncated or no XML that may be read: {error}"
        raise bad_source(message, file=file, rule="well-formed XML without DTD and entities") from error
    if net is None or net.tag != "net" or net.find("layers") is None or not net.get("version", "").isdecimal():
        raise bad_source(f"{file} is XML but no OpenVINO IR", file=file, rule="<net version=…> with <layers>")
    return net


def _problems(net: Element, file: str, weights_size: int) -> Iterator[Problem]:
    if not net.findall("layers/layer[@type='Result']"):
        yield Problem(message=f"{file} has no outputs", file=file, field="layers", rule="at least one Result layer")
    if not weights_size and net.find(".//layer[@type='Const']") is not None:
        weights = file.removesuffix(".xml") + ".bin"
        yield Problem(message=f"{weights} is empty", file=weights, rule="the .bin holds the model's constants")
    yield from _depth_problems(net, file)
    seen = set()
    for layer in net.iter("layer"):
        operator = (layer.get("version", ""), layer.get("type", ""))
        if operator not in seen and not KNOWN_SETS.fullmatch(operator[0]):
            message = f"operator {operator[0]}::{operator[1]} is not in a known operator set"
            yield Problem(message=message, file=file, field=operator[1], rule="operators of opset1, opset2, …")
        seen.add(operator)
        yield from _size_problems(layer, file)
        reason = _constant_reason(layer, weights_size) if operator[1] == "Const" else None
        if reason:
            name = layer.get("name", "")
            rule = "constants lie inside the .bin and are as large as their shape"
            yield Problem(message=f"constant {name!r}: {reason}", file=file, field=name, rule=rule)


def _size_problems(layer: Element, file: str) -> Iterator[Problem]:
    shapes = [_port_shape(port) for port in layer.findall("output/port")]
    if (data := layer.find("data")) is not None and "shape" in data.attrib and layer.get("type") in _SHAPED:
        shapes.append(_shape(data.attrib["shape"]))
    for shape in shapes:
        if most_elements(axis for axis in shape if isinstance(axis, int)) > MAX_ELEMENTS:
            name = layer.get("name", "")
            message = f"{layer.get('type')} {name!r} makes a tensor of shape {list(shape)}"
            yield Problem(message=message, file=file, field=name, rule=SIZE_RULE)


def _depth_problems(net: Element, file: str) -> Iterator[Problem]:
    """Bodies in bodies (TensorIterator, Loop, If): runtimes recurse over them."""
    waiting, deepest = [(net, 0)], 0
    while waiting:
        here, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((inner, depth + inner.tag.endswith("body")) for inner in here)
    if deepest > MAX_DEPTH:
        yield Problem(
            message=f"{file} nests bodies {deepest:,} deep", file=file, field="layers", rule=f"at most {MAX_DEPTH} deep"
        )


def loop_findings(operators: Mapping[str, int], file: str) -> tuple[Finding, ...]:
    """How often a Loop runs lies in the weights, which are not read."""
    if not operators.get("Loop"):
        return ()
    message = f"{operators['Loop']} Loop layers run as often as their constants and the model's inputs say"
    return (Finding(file=file, severity="info", rule="openvino-loop", message=message),)


def _constant_reason(layer: Element, weights_size: int) -> str | None:
    data = _data(layer)
    shape, (_, bits) = _shape(data["shape"]), DTYPES[data["element_type"]]
    offset, size = int(data["offset"]), int(data["size"])
    if any(not isinstance(axis, int) for axis in shape) or offset < 0 or size < 0:
        return "shape, offset and size must be whole numbers, not negative"
    if offset + size > weights_size:
        return f"bytes {offset} to {offset + size} are needed, the .bin has {weights_size}"
    wanted = (math.prod(axis for axis in shape if isinstance(axis, int)) * bits + 7) // 8
    if size < wanted or (size > wanted and bits >= 8):
        return f"size is {size}, the declared shape needs {wanted}"
    return None


def _inspection(net: Element, format_name: str) -> Inspection:
    layers = list(net.iter("layer"))
    versions = [int(match[1]) for layer in layers if (match := re.fullmatch(r"opset(\d+)", layer.get("version", "")))]
    runtime = net.find("rt_info/Runtime_version")
    release = runtime.get("value", "") if runtime is not None else ""
    return Inspection(
        format=format_name,
        signature=Signature(
            inputs=tuple(_input(layer) for layer in net.findall("layers/layer[@type='Parameter']")),
            outputs=tuple(_outputs(net)),
        ),
        opsets={"ir": int(net.get("version", "0")), "opset": max(versions, default=0)},
        producer=f"OpenVINO {release}".strip()[:200],
        parameter_count=sum(_elements(layer) for layer in layers if layer.get("type") == "Const"),
        operators=dict(sorted(Counter(layer.get("type", "") for layer in layers).items())),
    )


def _elements(layer: Element) -> int:
    return math.prod(axis for axis in _shape(_data(layer)["shape"]) if isinstance(axis, int))


def _input(layer: Element) -> TensorSpec:
    data = _data(layer)
    name = primary_name(_names(layer.find("output/port")), layer.get("name", ""))
    return TensorSpec(name=name, dtype=DTYPES[data["element_type"]][0], shape=_shape(data["shape"]))


def _outputs(net: Element) -> Iterator[TensorSpec]:
    ports = {
        (layer.get("id"), port.get("id")): port
        for layer in net.findall("layers/layer")
        for port in layer.findall("output/port")
    }
    edges = {
        edge.get("to-layer"): (edge.get("from-layer"), edge.get("from-port")) for edge in net.findall("edges/edge")
    }
    for layer in net.findall("layers/layer[@type='Result']"):
        port = ports[edges[layer.get("id")]]
        names = _split_names(layer.get("output_names", "")) or _names(port)
        precision = port.get("precision", "")
        dtype = DTYPES[PRECISIONS.get(precision, precision.lower())][0]
        yield TensorSpec(name=primary_name(names, layer.get("name", "")), dtype=dtype, shape=_port_shape(port))


def _port_shape(port: Element) -> tuple[int | str | None, ...]:
    axes = [int(dim.text or "") for dim in port.findall("dim")]
    return tuple(axis if axis >= 0 else None for axis in axes)


def _names(port: Element | None) -> set[str]:
    return _split_names(port.get("names", "")) if port is not None else set()


def _split_names(text: str) -> set[str]:
    """Comma-separated; a comma inside a name is written `\\,`."""
    return {name.replace("\\,", ",") for name in re.split(r"(?<!\\),", text) if name}


def _data(layer: Element) -> dict[str, str]:
    data = layer.find("data")
    if data is None:
        raise ValueError(f"layer {layer.get('name', '')!r} has no data")
    return data.attrib


def _shape(text: str) -> tuple[int | str | None, ...]:
    """`1, 3, ?, 2..8` → (1, 3, None, None); `...` is a shape of any rank."""
    if text.strip() == "...":
        return UNKNOWN_RANK
    axes = [axis.strip() for axis in text.split(",")] if text.strip() else []
    if len(axes) > MAX_RANK or any(len(axis) > 40 for axis in axes):
        raise ValueError(f"at most {MAX_RANK} axes")
    return tuple(int(axis) if axis.isascii() and axis.isdigit() else None for axis in axes)
