"""A loaded model as a function of arrays. The runtimes are the user's own: each is imported when it is needed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from modelyard.errors import NotUsable

_AS_PROVED = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}  # OpenVINO's own choice differs
_TYPES = {"float": "float32", "double": "float64"}  # ONNX Runtime's words for them; its others are numpy's


@dataclass(frozen=True, slots=True)
class Tensor:
    """What goes in or comes out. `dtype` is numpy's name for it, or the runtime's for what is no array.

    A dynamic axis of `shape` is its name or None; `shape` is None where the rank is not known.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


class Runner:
    """Call it with the arrays by input name, or with the one array where there is one input: outputs by name.

    >>> runner({"image": pixels})["scores"]
    """

    def __init__(
        self,
        runtime: str,
        inputs: tuple[Tensor, ...],
        outputs: tuple[Tensor, ...],
        run: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        self.runtime, self.inputs, self.outputs, self._run = runtime, inputs, outputs, run

    def __repr__(self) -> str:
        return f"Runner({self.runtime}, inputs={self.inputs}, outputs={self.outputs})"

    def __call__(self, arrays: Any = None, /, **named: Any) -> dict[str, Any]:
        """Numbers of another type are cast where that loses no kind (float64 to float32, not float to int).

        Raises ValueError naming the inputs when others are given, or arrays of another shape than the model takes, and
        TypeError for another kind of numbers.
        """
        names = [tensor.name for tensor in self.inputs]
        given = dict(arrays) if isinstance(arrays, Mapping) else {} if arrays is None else {names[0]: arrays}
        given |= named
        if set(given) != set(names):
            raise ValueError(f"the inputs are {', '.join(names)}, given were {', '.join(map(str, given)) or 'none'}")
        return self._run({tensor.name: _array(given[tensor.name], tensor) for tensor in self.inputs})


def runner(folder: Path, model_format: str) -> Runner:
    """Raises NotUsable with what to install, or with what can be run."""
    for pattern, runtimes in (("*.onnx", (_onnxruntime, _openvino)), ("*.xml", (_openvino,))):
        for file in sorted(folder.glob(pattern)):
            for start in runtimes:
                try:
                    return start(file)
                except ModuleNotFoundError:
                    continue
            names = " or ".join(f"pip install {start.__name__[1:]}" for start in runtimes)
            raise NotUsable(f"nothing here runs {file.name}: {names}")
    raise NotUsable(
        f"this is {model_format}, and what can be run here is ONNX and OpenVINO; 'modelyard conversions targets' says "
        "whether it can be converted to one of them, and load(…, target=…) then takes that"
    )


def _array(value: Any, tensor: Tensor) -> Any:
    numpy = import_module("numpy")
    array = numpy.asarray(value)
    try:
        wanted = numpy.dtype(tensor.dtype)
    except TypeError:  # a text, a sequence: as it is given
        return array
    if tensor.shape is not None and not _fits(array.shape, tensor.shape):
        shape = ", ".join("any" if length is None else str(length) for length in tensor.shape)
        raise ValueError(f"{tensor.name} takes {tensor.dtype}[{shape}], given was {array.dtype}{list(array.shape)}")
    return array.astype(wanted, casting="same_kind", copy=False)


def _fits(given: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> bool:
    axes = zip(given, wanted, strict=False)
    return len(given) == len(wanted) and all(not isinstance(length, int) or length == had for had, length in axes)


def _onnxruntime(file: Path) -> Runner:
    session = import_module("onnxruntime").InferenceSession(str(file), providers=["CPUExecutionProvider"])
    inputs, outputs = (tuple(map(_of_onnx, side)) for side in (session.get_inputs(), session.get_outputs()))
    names = [tensor.name for tensor in outputs]
    return Runner(
        "onnxruntime", inputs, outputs, lambda arrays: dict(zip(names, session.run(names, arrays), strict=True))
    )


def _of_onnx(value: Any) -> Tensor:
    said = str(value.type)
    dtype = said.removeprefix("tensor(").removesuffix(")") if said.startswith("tensor(") else said
    return Tensor(value.name, _TYPES.get(dtype, dtype), tuple(value.shape) if dtype != said else None)


def _openvino(file: Path) -> Runner:
    compiled = import_module("openvino").Core().compile_model(str(file), "CPU", _AS_PROVED)
    inputs, outputs = (
        tuple(_of_openvino(place, port) for place, port in enumerate(side))
        for side in (compiled.inputs, compiled.outputs)
    )

    def run(arrays: dict[str, Any]) -> dict[str, Any]:
        found = compiled([arrays[tensor.name] for tensor in inputs])
        return {tensor.name: found[place] for place, tensor in enumerate(outputs)}

    return Runner("openvino", inputs, outputs, run)


def _of_openvino(place: int, port: Any) -> Tensor:
    shape = port.partial_shape
    axes = None if shape.rank.is_dynamic else tuple(axis.get_length() if axis.is_static else None for axis in shape)
    name = port.any_name if port.names else f"tensor{place}"
    return Tensor(name, str(import_module("numpy").dtype(port.element_type.to_dtype())), axes)
