"""ONNX with its weights in fp16."""

import warnings
from collections.abc import Iterator
from typing import Any

import onnx
from onnxruntime.transformers import float16

from modelyard_convert.children.protocol import Changes, Work
from modelyard_convert.toolchains.fp16_range import FP16_MAX, MASK_FROM, NEAR, NO_SAMPLES, TOO_LARGE, unwatched
from modelyard_convert.toolchains.onnx.graph import all_nodes, float_weights, halves, in_order, is_large, save
from modelyard_convert.toolchains.onnx.optimising import run_basic_optimiser
from modelyard_convert.toolchains.onnx.preparing import prepared
from modelyard_convert.toolchains.onnx.watching import magnitudes

QUANTISING = (
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "QuantizeLinear",
)
"""What is quantised already takes float32 only, before opset 19."""


def to_fp16(work: Work) -> Changes:
    path = prepared(work)
    model = onnx.load(path)
    beyond = _beyond(model)
    if beyond:  # a variance, perhaps, that folds into the weights before it
        folded = work.scratch / "folded.onnx"
        run_basic_optimiser(path, folded)
        model = onnx.load(folded)
        beyond = _beyond(model)
    heavy = {name for name, largest in beyond if largest < MASK_FROM}
    kept, told = _too_large(model, work)
    kept = [*kept, *(node.name for node in model.graph.node if heavy & {*node.input})]
    told = (*_weights_told(beyond), *told)
    before = halves(model)
    del model.graph.value_info[:]  # of float32; they are found again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every value that is too small for fp16; parity is what counts
        model = float16.convert_float_to_float16(
            model,
            keep_io_types=work.options["keep_io_types"],
            max_finite_val=FP16_MAX,
            op_block_list=[*float16.DEFAULT_OP_BLOCK_LIST, *QUANTISING],
            node_block_list=kept,
        )
    _without_ways_through_fp16(model)
    in_order(model.graph)  # its casts stand at the end
    save(model, work.result_file("model.onnx"))
    count = halves(model) - before
    return Changes(count, f"{count} weights are stored in fp16", told)


def _too_large(model: Any, work: Work) -> tuple[list[str], tuple[str, ...]]:
    """Nodes that would make or take what fp16 does not hold, and what is to be said of it."""
    if not len(work.samples) or is_large(work.source_file(".onnx")):
        return [], (TOO_LARGE if len(work.samples) else NO_SAMPLES,)
    try:
        seen = magnitudes(model, work.samples, work.scratch)
    except Exception as error:  # noqa: BLE001 - whatever the runtime raises: it is told, and the conversion goes on
        return [], (unwatched(error),)
    found = {name: value for name, value in seen.items() if value < MASK_FROM}
    if not found:
        return [], ()
    name, largest = max(found.items(), key=lambda each: each[1])
    work.log(f"the largest magnitude inside, on {len(work.samples)} samples: {largest:.4g} (`{name}`)")
    over = {name for name, value in found.items() if value > FP16_MAX}
    kept = [node.name for node in model.graph.node if over & {*node.input, *node.output}]
    if over:
        names = ", ".join(f"`{each}`" for each in kept[:5]) + (f" and {len(kept) - 5} more" if len(kept) > 5 else "")
        told = f"kept in fp32, because `{name}` reaches {largest:.4g} and fp16 ends at {FP16_MAX:.0f}: nodes {names}"
        return kept, (told,)
    if largest > NEAR * FP16_MAX:
        return [], (f"`{name}` reaches {largest:.4g} on the samples; fp16 ends at {FP16_MAX:.0f}",)
    return [], ()


def _without_ways_through_fp16(model: Any) -> None:
    """Between two nodes that stay in fp32 the converter casts there and back, which would overflow all the same."""
    graph = model.graph
    made = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    for node in graph.node:
        for place, name in enumerate(node.input):
            half = name.removesuffix("_cast_to_fp32")
            if (
                half != name
                and name in made
                and (there := made.get(half))
                and there.name == f"{half}_cast_to_fp16_node"
            ):
                node.input[place] = there.input[0]
    for node in (made[value.name] for value in graph.output if value.name in made):
        there = made.get(node.input[0])
        while there and any(each.name == "to" and each.i == onnx.TensorProto.FLOAT16 for each in there.attribute):
            node.input[0] = there.input[0]
            there = made.get(node.input[0])
    wanted = {name for node in all_nodes(model) for name in node.input} | {value.name for value in graph.output}
    for node in [node for node in graph.node if node.op_type == "Cast" and node.output[0] not in wanted]:
        graph.node.remove(node)


def _beyond(model: Any) -> list[tuple[str, float]]:
    """Weights that fp16 does not hold: the converter would clamp them without a word."""
    return [(name, largest) for name, largest in float_weights(model) if largest > FP16_MAX]


def _weights_told(beyond: list[tuple[str, float]]) -> Iterator[str]:
    for name, largest in beyond:
        if largest >= MASK_FROM:
            yield f"`{name}` masks with {largest:.4g}; in fp16 it is {FP16_MAX:.0f}, the most that there is"
        else:
            yield f"`{name}` reaches {largest:.4g} and fp16 ends at {FP16_MAX:.0f}: what takes it is kept in fp32"
