"""ONNX to OpenVINO IR. What `program` offers; nothing heavy is imported here."""

from pathlib import Path

from modelyard_contracts.catalogue import CONVERT_OPENVINO
from modelyard_contracts.shapes import Tolerance
from modelyard_convert.toolchains.target import Target, Toolchain

TARGETS = (
    Target(
        target="openvino-fp32",
        source_formats=("onnx",),
        result_format="openvino",
        description="OpenVINO IR, weights in fp32",
        tolerance=Tolerance(max_rel_error=0.001, min_cosine=0.99999, min_top1_agreement=0.999),
        convert="to_fp32",
    ),
    Target(
        target="openvino-fp16",
        source_formats=("onnx", "openvino"),
        result_format="openvino",
        description="OpenVINO IR, weights in fp16: half the size",
        tolerance=Tolerance(max_rel_error=0.02, min_cosine=0.9999, min_top1_agreement=0.99),
        convert="to_fp16",
        watched=16,
    ),
)

TOOLCHAIN = Toolchain(
    name="openvino",
    job=CONVERT_OPENVINO,
    modules=("openvino",),
    targets=TARGETS,
    program=Path(__file__).with_name("program.py"),
    environment="openvino",
)
