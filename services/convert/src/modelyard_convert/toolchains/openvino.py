"""ONNX to OpenVINO IR. The functions run only in the conversion subprocess.

`Core.read_model` is used and not `openvino.convert_model`: the same front ends, without the telemetry of the latter.
"""

import re
from pathlib import Path
from typing import Any

from defusedxml import ElementTree

from modelyard_contracts.catalogue import CONVERT_OPENVINO
from modelyard_contracts.shapes import Tolerance
from modelyard_convert.errors import ToolchainFailed, UnsupportedOperators
from modelyard_convert.toolchains.target import Changes, Target, Toolchain, Work

_UNCONVERTED = re.compile(r"(?:No conversion rule found for operations|Conversion is failed for):\s*([^\n]+)")
_OPSET_SUFFIX = re.compile(r"-\d+$")


def to_fp32(work: Work) -> Changes:
    model = _read(work.source_file(".onnx"))
    _save(model, work.result_file("model.xml"), half=False)
    count = len(model.get_ops())
    return Changes(count, f"{count} operations in OpenVINO IR, weights in fp32")


def to_fp16(work: Work) -> Changes:
    onnx_files = sorted((work.source / "model").glob("*.onnx"))
    source = onnx_files[0] if onnx_files else work.source_file(".xml")
    before = 0 if onnx_files else _half_constants(source)
    result = work.result_file("model.xml")
    _save(_read(source), result, half=True)
    count = _half_constants(result) - before
    return Changes(count, f"{count} weights are stored in fp16")


def _read(path: Path) -> Any:
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        operators = unconverted(str(error))
        if operators:
            raise UnsupportedOperators("openvino", operators) from None
        raise ToolchainFailed(f"OpenVINO cannot read the model: {_last_line(str(error))}") from error


def unconverted(message: str) -> tuple[str, ...]:
    """Names of the operators that a front end's report lists."""
    listed = [name for match in _UNCONVERTED.findall(message) for name in match.split(",")]
    return tuple(dict.fromkeys(_OPSET_SUFFIX.sub("", name.strip()) for name in listed if name.strip()))


def _last_line(message: str) -> str:
    return [line.strip() for line in message.splitlines() if line.strip()][-1]


def _save(model: Any, path: Path, *, half: bool) -> None:
    import openvino

    openvino.save_model(model, path, compress_to_fp16=half)  # it would compress unless told not to


def _half_constants(path: Path) -> int:
    layers = ElementTree.fromstring(path.read_bytes()).iter("layer")
    constants = (layer.find("data") for layer in layers if layer.get("type") == "Const")
    return sum(1 for data in constants if data is not None and data.get("element_type") == "f16")


TARGETS = (
    Target(
        target="openvino-fp32",
        source_formats=("onnx",),
        result_format="openvino",
        description="OpenVINO IR, weights in fp32",
        tolerance=Tolerance(max_rel_error=0.001, min_cosine=0.99999, min_top1_agreement=0.99),
        convert=to_fp32,
    ),
    Target(
        target="openvino-fp16",
        source_formats=("onnx", "openvino"),
        result_format="openvino",
        description="OpenVINO IR, weights in fp16: half the size",
        tolerance=Tolerance(max_rel_error=0.02, min_cosine=0.9999, min_top1_agreement=0.99),
        convert=to_fp16,
    ),
)

TOOLCHAIN = Toolchain("openvino", CONVERT_OPENVINO, ("openvino",), TARGETS)
