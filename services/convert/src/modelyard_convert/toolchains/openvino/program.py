"""ONNX to OpenVINO IR: what the rows of `table` name. Run by the refit child.

`Core.read_model` is used and not `openvino.convert_model`: the same front ends, without the telemetry of the latter.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelyard_convert.children.protocol import Changes, Samples, ToolchainFailed, UnsupportedOperators, Work
from modelyard_convert.toolchains.fp16_range import FP16_MAX, MASK_FROM, NEAR, NO_SAMPLES, unwatched

_UNCONVERTED = re.compile(r"No conversion rule found for operations:\s*([^\n]+)")
_FAILED = re.compile(
    r"^-- (?P<name>[\w.]+)-\d+ with a message:\n(?P<why>.*?)(?=^-- |^Summary:|\Z)", re.MULTILINE | re.DOTALL
)
_HALF = re.compile(r'type="Const"[^>]*>\s*<data element_type="f16"')
_OPSET_SUFFIX = re.compile(r"-\d+$")


def to_fp32(work: Work) -> Changes:
    model = _read_onnx(work)
    _save(model, work.result_file("model.xml"), half=False)
    count = len(model.get_ops())
    return Changes(count, f"{count} operations in OpenVINO IR, weights in fp32")


def to_fp16(work: Work) -> Changes:
    onnx_files = sorted((work.source / "model").glob("*.onnx"))
    model = _read_onnx(work) if onnx_files else _read(work.source_file(".xml"))
    notes = (*_clamped(model), *_watched(model, work))
    before = 0 if onnx_files else _half_constants(work.source_file(".xml"))
    result = work.result_file("model.xml")
    _save(model, result, half=True)
    count = _half_constants(result) - before
    return Changes(count, f"{count} weights are stored in fp16", notes)


def _clamped(model: Any) -> Iterator[str]:
    """Weights that fp16 does not hold: saving clamps them without a word."""
    import numpy as np

    for each in model.get_ops():
        if each.get_type_name() == "Constant" and each.get_element_type().to_string() in ("f32", "f64"):
            largest = float(np.abs(each.data).max(initial=0.0)) if each.data.size else 0.0
            if FP16_MAX < largest < MASK_FROM:
                yield (
                    f"`{each.get_friendly_name()}` reaches {largest:.4g} and fp16 ends at {FP16_MAX:.0f}: it becomes "
                    "that; onnx-fp16 keeps such weights in fp32"
                )


def _watched(model: Any, work: Work) -> tuple[str, ...]:
    """What overflows where fp16 is also computed in, which is not here. Nothing can be kept in fp32 for it."""
    if not len(work.samples):
        return (NO_SAMPLES,)
    try:
        name, largest = _largest(model, work.samples)
    except Exception as error:  # noqa: BLE001 - whatever the runtime raises: it is told, and the conversion goes on
        return (unwatched(error),)
    work.log(f"the largest magnitude inside, on {len(work.samples)} samples: {largest:.4g} (`{name}`)")
    if largest <= NEAR * FP16_MAX:
        return ()
    return (
        f"`{name}` reaches {largest:.4g}; a device that computes in fp16 ends at {FP16_MAX:.0f}: set its "
        "INFERENCE_PRECISION_HINT to f32",
    )


def _largest(model: Any, samples: Samples) -> tuple[str, float]:
    import numpy as np
    import openvino

    shown = model.clone()
    shown.add_outputs(
        [
            output
            for operation in shown.get_ordered_ops()
            if operation.get_type_name() not in ("Constant", "Result", "Parameter")
            for output in operation.outputs()
            if output.get_element_type() in (openvino.Type.f32, openvino.Type.f16)
        ]
    )
    names = [each.get_node().input_value(0).get_node().get_friendly_name() for each in shown.outputs]
    compiled = openvino.Core().compile_model(shown, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = dict.fromkeys(names, 0.0)
    for feed in samples:
        values = compiled(dict(enumerate(feed.values())))
        for place, name in enumerate(names):
            value = values[place]
            if value.dtype.kind == "f":
                numbers = np.abs(value[np.isfinite(value)].astype(np.float64))
                found[name] = max(found[name], float(numbers[numbers < MASK_FROM].max(initial=0.0)))
    return max(found.items(), key=lambda each: each[1])


def _read_onnx(work: Work) -> Any:
    """Classifiers of scikit-learn end in maps from class to score, which OpenVINO does not know: it gets the scores."""
    path = work.source_file(".onnx")
    try:
        return _read(path)
    except ToolchainFailed:
        import onnx

        model = onnx.load(path)
        if not (maps := {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "ZipMap"}):
            raise
        for node in [node for node in model.graph.node if node.op_type == "ZipMap"]:
            model.graph.node.remove(node)
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = [maps.get(name, name) for name in names]
        for output in model.graph.output:
            if output.name in maps.values():
                output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, None))
        del model.graph.value_info[:]
        onnx.save(model, work.scratch / path.name)
        return _read(work.scratch / path.name)


def _read(path: Path) -> Any:
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        operators = unconverted(str(error))
        if operators:
            raise UnsupportedOperators(*operators) from None
        raise ToolchainFailed(f"OpenVINO cannot read the model: {_reason(str(error))}") from error


def unconverted(message: str) -> tuple[str, ...]:
    """Names of the operators that a front end's report lists."""
    listed = [name for match in _UNCONVERTED.findall(message) for name in match.split(",")]
    return tuple(dict.fromkeys(_OPSET_SUFFIX.sub("", name.strip()) for name in listed if name.strip()))


def _reason(message: str) -> str:
    """Why each operator could not be converted, else the last line."""
    failed = [f"{each['name']}: {_last_line(each['why'])}" for each in _FAILED.finditer(message)]
    return "; ".join(dict.fromkeys(failed)) or _last_line(message)


def _last_line(message: str) -> str:
    return [line.strip() for line in message.splitlines() if line.strip()][-1]


def _save(model: Any, path: Path, *, half: bool) -> None:
    import openvino

    openvino.save_model(model, path, compress_to_fp16=half)  # it would compress unless told not to


def _half_constants(path: Path) -> int:
    """In bodies too, which a model does not list."""
    return len(_HALF.findall(path.read_text("utf-8")))
