"""ONNX with its weights in fp16."""

import warnings
from collections.abc import Iterator
from typing import Any

import onnx
from onnxruntime.transformers import float16
from onnxruntime.transformers.onnx_model import OnnxModel

from modelyard_convert.children.protocol import Changes, NotConvertible, Work
from modelyard_convert.toolchains.onnx.graph import float_weights, halves, save
from modelyard_convert.toolchains.onnx.preparing import prepared

FP16_MAX = 65504.0  # the largest finite value
MASK_FROM = 1e30
"""What is so large, or infinite, masks something out: after clamping it still does."""


def to_fp16(work: Work) -> Changes:
    model = onnx.load(prepared(work))
    notes = tuple(_clamped(model))
    before = halves(model)
    del model.graph.value_info[:]  # of float32; they are found again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every value that is too small for fp16; parity is what counts
        model = float16.convert_float_to_float16(
            model, keep_io_types=work.options["keep_io_types"], max_finite_val=FP16_MAX
        )
    OnnxModel(model).topological_sort()  # its casts stand at the end
    save(model, work.result_file("model.onnx"))
    count = halves(model) - before
    return Changes(count, f"{count} weights are stored in fp16", notes)


def _clamped(model: Any) -> Iterator[str]:
    """Raises NotConvertible for a weight that would not mean the same afterwards."""
    for name, largest in float_weights(model):
        if largest >= MASK_FROM:
            yield f"`{name}` masks with {largest:.4g}; in fp16 it is {FP16_MAX:.0f}, the most that there is"
        elif largest > FP16_MAX:
            most = f"fp16 holds at most {FP16_MAX:.0f}: it would be clamped silently"
            raise NotConvertible(f"weight `{name}` reaches {largest:.4g}, {most}")
