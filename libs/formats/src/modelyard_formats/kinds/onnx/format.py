"""ONNX: one `*.onnx` directly in the model folder, external data files beside it. Run by onnxruntime on the CPU."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_formats.format import Format, PrecisionHint, Reading, at_top
from modelyard_formats.running import Array, Runner

_MAPS = "seq(map("
_SESSION_DTYPES = {"float": "float32", "double": "float64", "string": "object"}


def _find(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((name,) for name in at_top(names, ".onnx"))


def _inspect(folder: Path, files: tuple[str, ...]) -> Reading:
    from modelyard_formats.kinds.onnx.inspection import (
        read_onnx,  # brings the onnx library: not for those who only list
    )

    return read_onnx(folder, files[0], FORMAT.name)


def _load(path: Path, threads: int, precision: PrecisionHint) -> Runner:  # noqa: ARG001 - this runtime keeps to f32
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, when it is imported; nobody is told what runs here
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    signature = Signature(inputs=_session_specs(session.get_inputs()), outputs=_session_specs(session.get_outputs()))
    outputs = [spec.name for spec in signature.outputs]

    def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {name: _array(value) for name, value in zip(outputs, session.run(outputs, dict(inputs)), strict=True)}

    return Runner(f"onnxruntime {onnxruntime.__version__}", "f32", signature, call)


def _session_specs(arguments: Iterable[Any]) -> tuple[TensorSpec, ...]:
    """Tensors, and sequences of maps from class to score (ZipMap), which come as scores [n, classes]."""
    return tuple(
        TensorSpec(name=a.name, dtype="float32", shape=(None, None))
        if a.type.startswith(_MAPS)
        else TensorSpec(name=a.name, dtype=_session_dtype(a.type), shape=tuple(a.shape))
        for a in arguments
        if a.type.startswith(("tensor(", _MAPS))
    )


def _array(value: Any) -> Array:
    """A column for each class, in the order of the first map."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        import numpy as np

        classes = [*value[0]]
        return np.array([[each[name] for name in classes] for each in value], dtype=np.float32)
    return value  # type: ignore[no-any-return]  # the runtime's own array


def _session_dtype(kind: str) -> str:
    name = kind.removeprefix("tensor(").removesuffix(")")
    return _SESSION_DTYPES.get(name, name)


FORMAT = Format(
    name="onnx",
    model_types=("ONNX", "Scikit_Learn", "XGBoost", "LightGBM"),
    wants="one *.onnx",
    find=_find,
    hints=lambda names: (),  # noqa: ARG005 - a single file is a model or it is none
    inspect=_inspect,
    load=_load,
)
