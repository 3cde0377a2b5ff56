"""A source as the tools want it: what they stumble over is put right before they see it, and nothing is computed
otherwise for that."""

from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from onnx import version_converter

from modelyard_convert.children.protocol import Work
from modelyard_convert.toolchains.onnx.graph import all_nodes, halves, is_large, save
from modelyard_convert.toolchains.onnx.widening import widen

LEAST_IR = 8
WEIGHTS_APART_IR = 4
LEAST_OPSET = 13  # per-channel QuantizeLinear
RAISED_OPSET = 17


def prepared(work: Work, *, widened: bool = False) -> Path:
    """The path of the model with its data beside it, or within it where that fits. `widened`: what it computes in fp16
    it computes in fp32, but its inputs and outputs."""
    source = work.source_file(".onnx")
    model = onnx.load(source)
    _raise_versions(model)
    _weights_are_no_inputs(model)
    model = _raise_opset(model, work)
    if widened and (count := halves(model)):
        widen(model)
        work.log(f"{count} weights were stored in fp16 and are fp32 before they become int8")
    _name_nodes(model)
    _part_biases(model)
    path = work.scratch / "prepared" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    save(model, path)
    return path


def with_weights_apart(work: Work) -> Path:
    """The source itself, or, of a file so old that its weights are inputs, one that says the same in today's words."""
    source = work.source_file(".onnx")
    if onnx.load(source, load_external_data=False).ir_version >= WEIGHTS_APART_IR:
        return source
    model = onnx.load(source)
    _raise_versions(model)
    _weights_are_no_inputs(model)
    path = work.scratch / "apart" / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    save(model, path)
    return path


def _raise_versions(model: Any) -> None:
    model.ir_version = max(model.ir_version, LEAST_IR)
    if not any(entry.domain in ("", "ai.onnx") for entry in model.opset_import):  # trees alone; tools look for it
        model.opset_import.append(onnx.helper.make_opsetid("", RAISED_OPSET))


def _weights_are_no_inputs(model: Any) -> None:
    """Before IR 4 every weight had to be an input too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _raise_opset(model: Any, work: Work) -> Any:
    given = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), LEAST_OPSET)
    if given >= LEAST_OPSET or is_large(work.source_file(".onnx")):
        return model
    try:
        raised = version_converter.convert_version(model, RAISED_OPSET)
    except RuntimeError as error:  # an operator without an adapter: some steps can do without
        work.log(f"opset {given} stays: {str(error).strip().splitlines()[-1].rpartition('failed: ')[2]}")
        return model
    work.log(f"opset {given} was raised to {RAISED_OPSET}")
    return raised


def _name_nodes(model: Any) -> None:
    """Tools find nodes by their names."""
    counts = Counter(node.name for node in all_nodes(model))
    taken = set(counts)
    for number, node in enumerate(all_nodes(model)):
        if node.name and counts[node.name] == 1:
            continue
        name = f"{node.op_type}_{number}"
        while name in taken:
            name += "_"
        taken.add(name)
        node.name = name


def _part_biases(model: Any) -> None:
    """A bias that several nodes share gets a scale from each of them: copies, under names that nobody else has."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    taken = {*weights, *(name for node in all_nodes(model) for name in node.output)}
    seen: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm") or len(node.input) < 3 or node.input[2] not in weights:
            continue
        name = node.input[2]
        own = f"{name}/{node.name}"
        if name in seen and own not in taken:
            copy = model.graph.initializer.add()
            copy.CopyFrom(weights[name])
            copy.name = node.input[2] = own
        seen.add(name)
