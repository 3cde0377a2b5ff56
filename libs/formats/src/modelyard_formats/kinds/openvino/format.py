"""OpenVINO IR: one `X.xml` with its `X.bin` in the model folder. Read as XML; run by openvino on the CPU."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_formats.format import MODEL_FOLDER, UNKNOWN_RANK, Format, PrecisionHint, Reading, at_top, within_bounds
from modelyard_formats.kinds.openvino.ir import DTYPES, loop_findings, primary_name, read_ir
from modelyard_formats.running import Array, Runner


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    present = set(names)
    stems = (name.removesuffix(".xml") for name in at_top(names, ".xml"))
    return tuple((f"{stem}.xml", f"{stem}.bin") for stem in stems if f"{stem}.bin" in present)


def _hints(names: Sequence[str]) -> tuple[Problem, ...]:
    rule = "an OpenVINO model is X.xml and X.bin"
    return tuple(
        Problem(message=f"{name} has no {name[:-4]}.bin beside it", file=f"{MODEL_FOLDER}/{name}", rule=rule)
        for name in at_top(names, ".xml")
    )


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    name = f"{MODEL_FOLDER}/{files[0]}"
    weights_size = (folder / files[1]).stat().st_size
    inspection = read_ir(folder / files[0], name, weights_size, FORMAT.name)
    return Reading(within_bounds(inspection, name), files, loop_findings(inspection.operators, name))


def _load(path: Path, threads: int, precision: PrecisionHint) -> Runner:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    signature = Signature(inputs=_specs(model.inputs), outputs=_specs(model.outputs))
    settings: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if precision == "f32":  # 0: activations are not quantised beside weights that are
        settings |= {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        request.infer({index: inputs[spec.name] for index, spec in enumerate(signature.inputs)})
        return {spec.name: request.get_output_tensor(i).data.copy() for i, spec in enumerate(signature.outputs)}

    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    version = openvino.__version__.split("-")[0]
    return Runner(f"openvino {version}", used, signature, call)


def _specs(ports: Iterable[Any]) -> tuple[TensorSpec, ...]:
    return tuple(_spec(port) for port in ports)


def _spec(port: Any) -> TensorSpec:
    shape = port.get_partial_shape()
    axes: tuple[int | str | None, ...] = UNKNOWN_RANK
    if shape.rank.is_static:
        axes = tuple(axis.get_length() if axis.is_static else None for axis in shape)
    name = primary_name(port.get_names(), port.get_node().get_friendly_name())
    return TensorSpec(name=name, dtype=DTYPES[port.get_element_type().get_type_name()][0], shape=axes)


FORMAT = Format(
    name="openvino",
    model_types=("OpenVINO",),
    wants="one .xml and its .bin",
    find=_find,
    hints=_hints,
    inspect=_inspect,
    load=_load,
    may_be_empty=lambda file: file.endswith(".bin"),  # of a model without constants
)
