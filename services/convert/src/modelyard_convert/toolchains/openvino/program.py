"""ONNX to OpenVINO IR: what the rows of `table` name. Run by the refit child.

`Core.read_model` is used and not `openvino.convert_model`: the same front ends, without the telemetry of the latter.
"""

import re
from pathlib import Path
from typing import Any

from modelyard_convert.children.protocol import Changes, ToolchainFailed, UnsupportedOperators, Work

_UNCONVERTED = re.compile(r"(?:No conversion rule found for operations|Conversion is failed for):\s*([^\n]+)")
_OPSET_SUFFIX = re.compile(r"-\d+$")


def to_fp32(work: Work) -> Changes:
    model = _read(work.source_file(".onnx"))
    _save(model, work.result_file("model.xml"), half=False)
    count = len(model.get_ops())
    return Changes(count, f"{count} operations in OpenVINO IR, weights in fp32")


def to_fp16(work: Work) -> Changes:
    onnx_files = sorted((work.source / "model").glob("*.onnx"))
    model = _read(onnx_files[0] if onnx_files else work.source_file(".xml"))
    before = 0 if onnx_files else _half_constants(model)
    result = work.result_file("model.xml")
    _save(model, result, half=True)
    count = _half_constants(_read(result)) - before
    return Changes(count, f"{count} weights are stored in fp16")


def _read(path: Path) -> Any:
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        operators = unconverted(str(error))
        if operators:
            raise UnsupportedOperators(*operators) from None
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


def _half_constants(model: Any) -> int:
    import openvino

    constants = (operation for operation in model.get_ops() if operation.get_type_name() == "Constant")
    return sum(1 for constant in constants if constant.get_element_type() == openvino.Type.f16)
