"""ONNX to ONNX: quantise, halve, simplify. What `program` offers; nothing heavy is imported here."""

from pathlib import Path

from modelyard_contracts.catalogue import CONVERT_ONNX
from modelyard_contracts.shapes import Tolerance
from modelyard_convert.toolchains.target import Target, Toolchain

_PER_CHANNEL = {
    "type": "boolean",
    "default": True,
    "description": "one scale per output channel of a weight: more exact, a little larger",
}
_INT8 = Tolerance(max_rel_error=0.25, min_cosine=0.99, min_top1_agreement=0.97)
_FP16 = Tolerance(max_rel_error=0.02, min_cosine=0.9999, min_top1_agreement=0.99)
_EXACT = Tolerance(max_rel_error=0.001, min_cosine=0.99999, min_top1_agreement=0.999)

TARGETS = (
    Target(
        target="onnx-int8-dynamic",
        source_formats=("onnx",),
        result_format="onnx",
        description="Weights of MatMul and Gemm in int8, activations quantised at run time; needs no calibration data",
        tolerance=_INT8,
        convert="quantise_dynamic",
        check="full_check",
        options={"per_channel": _PER_CHANNEL},
        float_sources_only=True,
    ),
    Target(
        target="onnx-int8-static",
        source_formats=("onnx",),
        result_format="onnx",
        description="Weights and activations in int8 (QDQ), scales from calibration data: the fastest one on a CPU",
        tolerance=_INT8,
        convert="quantise_static",
        check="full_check",
        options={
            "activation": {
                "enum": ["unsigned", "signed"],
                "default": "unsigned",
                "description": "unsigned for x86, signed (and symmetric) for ARM and TensorRT",
            },
            "calibration": {
                "enum": ["minmax", "percentile"],
                "default": "minmax",
                "description": "percentile ignores rare extremes, but keeps every activation in memory",
            },
            "samples": {
                "type": "integer",
                "minimum": 1,
                "maximum": 512,
                "default": 100,
                "description": "how many calibration samples to use at most",
            },
            "per_channel": _PER_CHANNEL,
        },
        needs_calibration=True,
        float_sources_only=True,
    ),
    Target(
        target="onnx-fp16",
        source_formats=("onnx",),
        result_format="onnx",
        description="Weights in fp16: half the size; on x86 it is computed in fp32",
        tolerance=_FP16,
        convert="to_fp16",
        check="full_check",
        options={
            "keep_io_types": {
                "type": "boolean",
                "default": True,
                "description": "inputs and outputs stay float32; false makes them float16 too",
            }
        },
        watched=16,
    ),
    Target(
        target="onnx-optimized",
        source_formats=("onnx",),
        result_format="onnx",
        description="Constants folded and nodes fused at the level that stays portable between machines",
        tolerance=_EXACT,
        convert="optimise",
        check="full_check",
    ),
)

TOOLCHAIN = Toolchain(
    name="onnx",
    job=CONVERT_ONNX,
    modules=("onnx", "onnxruntime"),
    targets=TARGETS,
    program=Path(__file__).with_name("program.py"),
    environment="onnx",
)
