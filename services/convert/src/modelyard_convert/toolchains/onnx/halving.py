"""ONNX with its weights in fp16."""

import warnings

import onnx
from onnxconverter_common import float16

from modelyard_convert.children.protocol import Changes, NotConvertible, Work
from modelyard_convert.toolchains.onnx.graph import float_weights, halves, save

FP16_MAX = 65504.0  # the largest finite value


def to_fp16(work: Work) -> Changes:
    model = onnx.load(work.source_file(".onnx"))
    name, largest = max(float_weights(model), key=lambda weight: weight[1], default=("", 0.0))
    if largest > FP16_MAX:
        raise NotConvertible(
            f"weight `{name}` reaches {largest:.4g}, fp16 holds at most {FP16_MAX:.0f}: it would be clamped silently"
        )
    before = halves(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every value that is too small for fp16; parity is what counts
        model = float16.convert_float_to_float16(
            model, keep_io_types=work.options["keep_io_types"], max_finite_val=FP16_MAX, check_fp16_ready=False
        )
    save(model, work.result_file("model.onnx"))
    count = halves(model) - before
    return Changes(count, f"{count} weights are stored in fp16, the largest value is {largest:.4g}")
