"""ONNX to int8, with onnxruntime's quantiser.

Settings are those that were measured (README.md): dynamic int8 leaves Conv alone because it made it five times
slower; x86 wants unsigned activations; "entropy" calibration is not offered because it equals min-max digit for digit.
"""

from pathlib import Path
from typing import Any

from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from modelyard_convert.children.protocol import Changes, Samples, Work
from modelyard_convert.toolchains.onnx.graph import described, is_large, operators, tidied

MULTIPLYING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def dynamic(work: Work) -> Changes:
    prepared = _prepared(work)
    result = work.result_file("model.onnx")
    quantize_dynamic(
        prepared,
        result,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=work.options["per_channel"],
        weight_type=QuantType.QInt8,
        use_external_data_format=is_large(prepared),
    )
    count = operators(tidied(result))["MatMulInteger"]
    return Changes(count, f"{count} MatMul/Gemm nodes compute in int8 (the model has {described(prepared)})")


def static(work: Work) -> Changes:
    prepared = _prepared(work)
    result = work.result_file("model.onnx")
    signed = work.options["activation"] == "signed"
    work.log(f"calibrating on {len(work.samples)} samples, {work.options['calibration']}")
    quantize_static(
        prepared,
        result,
        _Reader(work.samples),
        quant_format=QuantFormat.QDQ,
        per_channel=work.options["per_channel"],
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[
            {"minmax": "MinMax", "percentile": "Percentile"}[work.options["calibration"]]
        ],
        use_external_data_format=is_large(prepared),
        extra_options={"ActivationSymmetric": signed},
    )
    count = _int8_nodes(tidied(result))
    return Changes(count, f"{count} nodes compute in int8 (the model has {described(prepared)})")


class _Reader:
    """What ORT's calibrator pulls samples from."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._rest = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._rest, None)

    def rewind(self) -> None:
        self._rest = iter(self._samples)


def _prepared(work: Work) -> Path:
    """Shapes inferred and BASIC optimisations done, as the quantiser wants it."""
    prepared = work.scratch / "prepared.onnx"
    source = work.source_file(".onnx")
    large = is_large(source)
    quant_pre_process(
        source, prepared, skip_symbolic_shape=True, save_as_external_data=large, all_tensors_to_one_file=large
    )
    return prepared


def _int8_nodes(model: Any) -> int:
    """Nodes that multiply and are fed by DequantizeLinear: those that the runtime fuses into int8 arithmetic."""
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    fed = (node.input[0] for node in model.graph.node if node.op_type in MULTIPLYING)
    return sum(1 for name in fed if name in dequantised)
