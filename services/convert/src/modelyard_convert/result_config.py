"""`config.json` of a conversion's result: the source's own, with what changed. Used by `conversion`."""

from typing import get_args

from modelyard_contracts.package import PackageConfig, Preprocessing
from modelyard_contracts.shapes import Signature

MODEL_TYPES = {"onnx": "ONNX", "openvino": "OpenVINO"}
_FED_TYPES = frozenset(get_args(Preprocessing.model_fields["dtype"].annotation))


def result_config(config: PackageConfig, result_format: str, source: Signature, result: Signature) -> PackageConfig:
    """Names follow the position of inputs and outputs; the type fed to an input follows the result's."""
    inputs = {old.name: new for old, new in zip(source.inputs, result.inputs, strict=True)}
    outputs = {old.name: new.name for old, new in zip(source.outputs, result.outputs, strict=True)}
    entries = []
    for entry in config.preprocessing:
        fed = inputs.get(entry.input or source.inputs[0].name)
        if fed is None:
            continue
        dtype = fed.dtype if fed.dtype in _FED_TYPES else entry.dtype
        entries.append(entry.model_copy(update={"input": fed.name if entry.input else None, "dtype": dtype}))
    axes = [each.model_copy(update={"name": inputs[each.name].name}) for each in config.inputs if each.name in inputs]
    roles = [role.model_copy(update={"name": outputs[role.name]}) for role in config.outputs if role.name in outputs]
    return config.model_copy(
        update={
            "model_type": MODEL_TYPES[result_format],
            "runtime": None,
            "preprocessing": tuple(entries),
            "inputs": tuple(axes),
            "outputs": tuple(roles),
        }
    )
