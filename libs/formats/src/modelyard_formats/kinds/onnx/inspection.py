"""What an ONNX file says of itself, and every reason to refuse it. Called by `onnx.format`; reads, never executes."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, defs

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Inspection, Signature, TensorSpec
from modelyard_formats.errors import MAX_PROBLEMS, BadSource, bad_source
from modelyard_formats.format import MODEL_FOLDER, UNKNOWN_RANK, Reading, within_bounds
from modelyard_formats.kinds.onnx.functions import function_problems
from modelyard_formats.kinds.onnx.growth import growth
from modelyard_formats.kinds.onnx.heads import heads
from modelyard_formats.kinds.onnx.model import operator_name, parts, read_model
from modelyard_formats.kinds.onnx.names import name_problems
from modelyard_formats.kinds.onnx.tensors import (
    DTYPES,
    external_problem,
    parameter_count,
    shared_problem,
    sparse_problems,
    stored_tensors,
    tensor_problem,
)

# Domains whose operators onnxruntime's CPU build brings along.
KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "com.microsoft"})
STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


def prepare() -> None:
    """The first question builds onnx's table of operators, which takes as long as reading a model of 40 MB."""
    defs.has("Identity")


def read_onnx(folder: Path, file: str, format_name: str) -> Reading:
    """Inspect `folder/file`. Raises `BadSource` with everything that is wrong with it."""
    name = f"{MODEL_FOLDER}/{file}"
    model = read_model(folder / file, name)
    if not all(isinstance(text, str) for text in _texts(model)):  # protobuf hands out bytes for what is no UTF-8
        raise bad_source(f"{name} holds a name that is not UTF-8", file=name, rule="names are UTF-8")
    problems = _problems(model, folder, name)
    if problems:
        raise BadSource(problems)
    reading = _inspection(model, name, format_name), (file, *_external_files(model))
    grown = growth(model, name)
    if grown.problems:
        raise BadSource(grown.problems)
    return Reading(*reading, tuple(grown.findings))


def _texts(model: ModelProto) -> Iterable[str | bytes]:
    """Every text of the model that inspecting looks at."""
    yield from (model.producer_name, model.producer_version)
    yield from (item.domain for item in model.opset_import)
    for function in model.functions:
        yield from (function.domain, function.name)
    for part in parts(model):
        for node in part.node:
            yield from (node.domain, node.op_type)
    for tensor in stored_tensors(model):
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)
    for value in (*model.graph.input, *model.graph.output):
        yield value.name
        yield from (axis.dim_param for axis in value.type.tensor_type.shape.dim)
        yield from (axis.dim_param for axis in value.type.sparse_tensor_type.shape.dim)


def _problems(model: ModelProto, folder: Path, file: str) -> list[Problem]:
    problems = [*_structure_problems(model, file), *_operator_problems(model, file)]
    problems += [*function_problems(model, file), *name_problems(model, file), *sparse_problems(model, file)]
    for tensor in stored_tensors(model):
        problem = tensor_problem(tensor, file)
        if problem is None and tensor.data_location == TensorProto.EXTERNAL:
            problem = external_problem(tensor, folder, file)
        if problem:
            problems.append(problem)
        if len(problems) > MAX_PROBLEMS:
            break
    return problems or [problem for problem in [shared_problem(model, folder, file)] if problem]


def _structure_problems(model: ModelProto, file: str) -> Iterable[Problem]:
    if not model.HasField("graph") or not model.graph.output:
        yield Problem(message=f"{file} has no graph with outputs", file=file, field="graph", rule="one graph")
    if not model.opset_import:
        message = f"{file} names no operator set; it is truncated or no ONNX model"
        yield Problem(message=message, file=file, field="opset_import", rule="at least one operator set")
    for value in (*model.graph.input, *model.graph.output):
        if not value.name or not value.HasField("type"):
            message = f"input or output {value.name!r} has no name or no type"
            yield Problem(message=message, file=file, field="graph", rule="every input and output is named and typed")


def _operator_problems(model: ModelProto, file: str) -> Iterable[Problem]:
    functions = {(function.domain, function.name) for function in model.functions}
    used = {(node.domain, node.op_type) for part in parts(model) for node in part.node}
    for domain, kind in sorted(used - functions):
        shown = f"operator {domain or 'ai.onnx'}::{kind}"
        if domain not in KNOWN_DOMAINS:
            rule = f"operators of {', '.join(sorted(KNOWN_DOMAINS - {''}))} or functions of the model"
            yield Problem(message=f"{shown} is not in a known domain", file=file, field=kind, rule=rule)
        elif domain in STANDARD_DOMAINS and not defs.has(kind, "" if domain == "ai.onnx" else domain):
            yield Problem(message=f"{shown} does not exist", file=file, field=kind, rule="operators that ONNX defines")


def _inspection(model: ModelProto, file: str, format_name: str) -> Inspection:
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer} | {item.values.name for item in graph.sparse_initializer}
    operators = Counter(operator_name(node) for part in parts(model) for node in part.node)
    inspection = Inspection(
        format=format_name,
        signature=Signature(
            inputs=tuple(_spec(value) for value in graph.input if value.name not in stored),
            outputs=tuple(_spec(value) for value in graph.output),
        ),
        opsets={item.domain or "ai.onnx": item.version for item in model.opset_import},
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
        parameter_count=parameter_count(model),
        operators=dict(sorted(operators.items())),
        heads=heads(graph),
    )
    return within_bounds(inspection, file)


def _spec(value: ValueInfoProto) -> TensorSpec:
    kind = value.type.WhichOneof("value") or "undefined"
    if kind not in ("tensor_type", "sparse_tensor_type"):
        return TensorSpec(name=value.name, dtype=kind.removesuffix("_type"), shape=UNKNOWN_RANK)
    return _tensor_spec(value.name, getattr(value.type, kind))


def _tensor_spec(name: str, tensor: TypeProto.Tensor) -> TensorSpec:
    dtype = DTYPES.get(tensor.elem_type, ("undefined", 0))[0]
    if not tensor.HasField("shape"):
        return TensorSpec(name=name, dtype=dtype, shape=UNKNOWN_RANK)
    axes = (
        axis.dim_value if axis.HasField("dim_value") and axis.dim_value >= 0 else axis.dim_param or None
        for axis in tensor.shape.dim
    )
    return TensorSpec(name=name, dtype=dtype, shape=tuple(axes))


def _external_files(model: ModelProto) -> tuple[str, ...]:
    outside = (tensor for tensor in stored_tensors(model) if tensor.data_location == TensorProto.EXTERNAL)
    entries = (entry for tensor in outside for entry in tensor.external_data)
    return tuple(sorted({PurePosixPath(entry.value).as_posix() for entry in entries if entry.key == "location"}))
