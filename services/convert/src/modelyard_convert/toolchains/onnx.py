"""ONNX to ONNX: quantise, halve, simplify. The functions run only in the conversion subprocess.

Settings are those that were measured (README.md): dynamic int8 leaves Conv alone because it made it five
times slower; x86 wants unsigned activations; only ORT's BASIC optimisations are portable; "entropy" calibration is
not offered because it equals min-max digit for digit.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard_contracts.catalogue import CONVERT_ONNX
from modelyard_contracts.shapes import Tolerance
from modelyard_convert.errors import BadResult, NotConvertible
from modelyard_convert.toolchains.target import Changes, Target, Toolchain, Work

if TYPE_CHECKING:
    from modelyard_convert.calibration import Feed

EXTERNAL_DATA_FROM = 1_500_000_000  # bytes; a protobuf message ends at 2 GiB
MULTIPLYING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
FP16_MAX = 65504.0  # the largest finite value


def quantise_dynamic(work: Work) -> Changes:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    prepared = _prepared(work)
    result = work.result_file("model.onnx")
    quantize_dynamic(
        prepared,
        result,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=work.options["per_channel"],
        weight_type=QuantType.QInt8,
        use_external_data_format=_is_large(prepared),
    )
    count = _operators(_tidied(result))["MatMulInteger"]
    return Changes(count, f"{count} MatMul/Gemm nodes compute in int8 (the model has {_described(prepared)})")


def quantise_static(work: Work) -> Changes:
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

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
        use_external_data_format=_is_large(prepared),
        extra_options={"ActivationSymmetric": signed},
    )
    count = _int8_nodes(_tidied(result))
    return Changes(count, f"{count} nodes compute in int8 (the model has {_described(prepared)})")


def to_fp16(work: Work) -> Changes:
    import onnx
    from onnxconverter_common import float16

    model = onnx.load(work.source_file(".onnx"))
    name, largest = max(_float_weights(model), key=lambda weight: weight[1], default=("", 0.0))
    if largest > FP16_MAX:
        raise NotConvertible(
            f"weight `{name}` reaches {largest:.4g}, fp16 holds at most {FP16_MAX:.0f}: it would be clamped silently"
        )
    before = _halves(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every value that is too small for fp16; parity is what counts
        model = float16.convert_float_to_float16(
            model, keep_io_types=work.options["keep_io_types"], max_finite_val=FP16_MAX, check_fp16_ready=False
        )
    _save(model, work.result_file("model.onnx"))
    count = _halves(model) - before
    return Changes(count, f"{count} weights are stored in fp16, the largest value is {largest:.4g}")


def optimise(work: Work) -> Changes:
    import onnx

    source = work.source_file(".onnx")
    result = work.result_file("model.onnx")
    _run_basic_optimiser(source, result)
    before = onnx.load(source, load_external_data=False)
    after = _tidied(result)
    foreign = _domains(after) - _domains(before)
    if foreign:
        raise BadResult(f"the optimiser put in operators of {', '.join(sorted(foreign))}")
    old, new = _operators(before), _operators(after)
    count = sum(((old - new) + (new - old)).values())
    return Changes(count, f"{sum(old.values())} nodes became {sum(new.values())}, {count} of them removed or put in")


class _Reader:
    """What ORT's calibrator pulls samples from."""

    def __init__(self, samples: Any) -> None:
        self._samples = samples
        self._rest: Iterator[Feed] = iter(samples)

    def get_next(self) -> "Feed | None":
        return next(self._rest, None)

    def rewind(self) -> None:
        self._rest = iter(self._samples)


def _prepared(work: Work) -> Path:
    """Shapes inferred and BASIC optimisations done, as the quantiser wants it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = work.scratch / "prepared.onnx"
    source = work.source_file(".onnx")
    large = _is_large(source)
    quant_pre_process(
        source, prepared, skip_symbolic_shape=True, save_as_external_data=large, all_tensors_to_one_file=large
    )
    return prepared


def _run_basic_optimiser(source: Path, result: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(result)
    options.log_severity_level = 3
    if _is_large(source):
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "model.onnx.data")
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def _tidied(path: Path) -> Any:
    """ORT imports every domain it has ever heard of; other readers stumble over them, so only used ones stay."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    used = _domains(model) | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    path.write_bytes(model.SerializeToString())
    return model


def _nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of sub-graphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _all_nodes(model: Any) -> Iterator[Any]:
    yield from _nodes(model.graph)
    for function in model.functions:
        yield from _nodes(function)


def _operators(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in _all_nodes(model))


def _int8_nodes(model: Any) -> int:
    """Nodes that multiply and are fed by DequantizeLinear: those that the runtime fuses into int8 arithmetic."""
    dequantised = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    fed = (node.input[0] for node in model.graph.node if node.op_type in MULTIPLYING)
    return sum(1 for name in fed if name in dequantised)


def _domains(model: Any) -> set[str]:
    return {"" if node.domain == "ai.onnx" else node.domain for node in _all_nodes(model)}


def _described(path: Path) -> str:
    import onnx

    common = _operators(onnx.load(path, load_external_data=False)).most_common(6)
    return ", ".join(f"{count} {name}" for name, count in common) or "no nodes"


def _tensors(model: Any) -> Iterator[Any]:
    yield from model.graph.initializer
    for node in _all_nodes(model):
        for attribute in node.attribute:
            yield from (attribute.g.initializer if attribute.HasField("g") else ())
            if attribute.HasField("t"):
                yield attribute.t


def _float_weights(model: Any) -> Iterator[tuple[str, float]]:
    import numpy as np
    from onnx import TensorProto, numpy_helper

    for tensor in _tensors(model):
        if tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE):
            values = numpy_helper.to_array(tensor)
            yield tensor.name, float(np.abs(values).max()) if values.size else 0.0


def _halves(model: Any) -> int:
    from onnx import TensorProto

    return sum(1 for tensor in _tensors(model) if tensor.data_type == TensorProto.FLOAT16)


def _is_large(path: Path) -> bool:
    return sum(file.stat().st_size for file in path.parent.iterdir() if file.is_file()) > EXTERNAL_DATA_FROM


def _save(model: Any, path: Path) -> None:
    import onnx

    large = sum(len(tensor.raw_data) for tensor in _tensors(model)) > EXTERNAL_DATA_FROM
    onnx.save_model(model, path, save_as_external_data=large, location=f"{path.name}.data" if large else None)


_PER_CHANNEL = {
    "type": "boolean",
    "default": False,
    "description": "one scale per output channel of a weight: more exact, a little larger",
}
_INT8 = Tolerance(max_rel_error=0.25, min_cosine=0.99, min_top1_agreement=0.97)
_FP16 = Tolerance(max_rel_error=0.02, min_cosine=0.9999, min_top1_agreement=0.99)
_EXACT = Tolerance(max_rel_error=0.001, min_cosine=0.99999, min_top1_agreement=0.99)

TARGETS = (
    Target(
        target="onnx-int8-dynamic",
        source_formats=("onnx",),
        result_format="onnx",
        description="Weights of MatMul and Gemm in int8, activations quantised at run time; needs no calibration data",
        tolerance=_INT8,
        convert=quantise_dynamic,
        options={"per_channel": _PER_CHANNEL},
        float_sources_only=True,
    ),
    Target(
        target="onnx-int8-static",
        source_formats=("onnx",),
        result_format="onnx",
        description="Weights and activations in int8 (QDQ), scales from calibration data: the fastest one on a CPU",
        tolerance=_INT8,
        convert=quantise_static,
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
        convert=to_fp16,
        options={
            "keep_io_types": {
                "type": "boolean",
                "default": True,
                "description": "inputs and outputs stay float32; false makes them float16 too",
            }
        },
    ),
    Target(
        target="onnx-optimized",
        source_formats=("onnx",),
        result_format="onnx",
        description="Constants folded and nodes fused at the level that stays portable between machines",
        tolerance=_EXACT,
        convert=optimise,
    ),
)

TOOLCHAIN = Toolchain("onnx", CONVERT_ONNX, ("onnx", "onnxruntime", "onnxconverter_common"), TARGETS)
