"""ONNX to int8, with onnxruntime's quantiser.

Settings are those that were measured (README.md): dynamic int8 leaves Conv alone because it made it five times
slower; x86 wants unsigned activations; "entropy" calibration is not offered because it equals min-max digit for digit.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from modelyard_convert.children.protocol import Changes, Samples, Work
from modelyard_convert.toolchains.onnx.graph import described, float_weights, is_large, operators, tensors, tidied
from modelyard_convert.toolchains.onnx.preparing import prepared as with_sound_names

MULTIPLYING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
MOVING = frozenset({"Concat", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
NEVER_INT8 = ("GRU", "RNN")
BODIES = ("If", "Loop", "Scan")
BOUNDED = frozenset({"Softmax", "Sigmoid", "Tanh", "HardSigmoid", "Greater", "Less", "Equal", "And", "Or", "Not"})
"""What ends a huge value."""
MASK_FROM = 1e4


def dynamic(work: Work) -> Changes:
    prepared = _prepared(work)
    if nothing := _nothing(prepared, {"MatMul", "Gemm", "LSTM"}):
        return nothing
    result = work.result_file("model.onnx")

    def quantise(per_channel: bool) -> None:
        quantize_dynamic(
            prepared,
            result,
            op_types_to_quantize=["MatMul", "Gemm", "LSTM"],
            per_channel=per_channel,
            weight_type=QuantType.QInt8,
            use_external_data_format=is_large(prepared),
            extra_options={"EnableSubgraph": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )

    notes = _by_channel(work, quantise)
    found = operators(tidied(result))
    count = found["MatMulInteger"] + found["DynamicQuantizeLSTM"]
    what = f"{count} MatMul/Gemm/LSTM nodes compute in int8 (the model has {described(prepared)})"
    return Changes(count, what, (*notes, *_left_in_float(prepared)))


def static(work: Work) -> Changes:
    prepared = _prepared(work)
    if nothing := _nothing(prepared, MULTIPLYING):
        return nothing
    result = work.result_file("model.onnx")
    signed = work.options["activation"] == "signed"
    work.log(f"calibrating on {len(work.samples)} samples, {work.options['calibration']}")

    def quantise(per_channel: bool) -> None:
        quantize_static(
            prepared,
            result,
            _Reader(work.samples),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[
                {"minmax": "MinMax", "percentile": "Percentile"}[work.options["calibration"]]
            ],
            use_external_data_format=is_large(prepared),
            nodes_to_exclude=[*joining_outputs(onnx.load(prepared))],
            extra_options={"ActivationSymmetric": signed, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )

    notes = _by_channel(work, quantise)
    count = _int8_nodes(tidied(result))
    what = f"{count} nodes compute in int8 (the model has {described(prepared)})"
    return Changes(count, what, (*notes, *_left_in_float(prepared, ("LSTM", *BODIES))))


def _by_channel(work: Work, quantise: Callable[[bool], None]) -> tuple[str, ...]:
    """The quantiser stumbles over some models where each channel has a scale of its own."""
    if work.options["per_channel"]:
        try:
            quantise(True)
        except Exception as error:  # noqa: BLE001 - whatever it is: without, it may do
            work.log(f"one scale per channel was too much for the quantiser: {type(error).__name__}: {error}")
        else:
            return ()
    quantise(False)
    return (
        ("one scale per tensor, for one per channel was too much for the quantiser",)
        if work.options["per_channel"]
        else ()
    )


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
    """BASIC optimisations done, as the quantiser wants it; shapes it infers itself."""
    prepared = work.scratch / "prepared.onnx"
    source = with_sound_names(work, widened=True)
    large = is_large(source)
    quant_pre_process(
        source,
        prepared,
        skip_symbolic_shape=True,
        skip_onnx_shape=True,
        save_as_external_data=large,
        all_tensors_to_one_file=large,
    )
    return prepared


def _nothing(prepared: Path, kinds: Collection[str]) -> Changes | None:
    """The quantiser does not say it so: some models end it with an error about something else."""
    model = onnx.load(prepared, load_external_data=False)
    if {each.data_type for each in tensors(model)} & {onnx.TensorProto.DOUBLE} and not _has_floats(model):
        return Changes(
            0, f"its weights are float64, and only float32 becomes int8 (the model has {described(prepared)})"
        )
    if operators(model).keys() & kinds:
        return None
    return Changes(0, f"it has none of {', '.join(sorted(kinds))}, only {described(prepared)}")


def _has_floats(model: Any) -> bool:
    return any(each.data_type == onnx.TensorProto.FLOAT for each in tensors(model))


def _int8_nodes(model: Any) -> int:
    """Nodes that multiply and are fed by DequantizeLinear: those that the runtime fuses into int8 arithmetic."""
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    fed = (node.input[0] for node in model.graph.node if node.op_type in MULTIPLYING)
    return sum(1 for name in fed if name in dequantised)


def joining_outputs(model: Any) -> Iterator[str]:
    """Nodes that stay in float: what joins or only moves values before an output, because one scale for boxes up to
    320 leaves nothing of scores up to 1; and what a mask's huge constant goes through, up to what bounds it."""
    makers = {name: node for node in model.graph.node for name in node.output}
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type in MOVING:
            yield node.name
            waiting.extend(node.input)
    huge = {name for name, largest in float_weights(model) if largest >= MASK_FROM}
    for node in model.graph.node:  # in the order that they compute
        if huge & {*node.input} and node.op_type not in MULTIPLYING:
            yield node.name
            if node.op_type not in BOUNDED:
                huge |= {*node.output}


def _left_in_float(prepared: Path, kinds: tuple[str, ...] = ()) -> tuple[str, ...]:
    found = operators(onnx.load(prepared, load_external_data=False))
    named = [f"{found[kind]} {kind}" for kind in (*NEVER_INT8, *kinds) if found[kind]]
    return (f"left in float: {', '.join(named)}",) if named else ()
