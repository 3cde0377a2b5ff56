"""A loaded model: checks what it is fed, then runs it. Made by `table.runner`; used by convert and evaluate workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_formats.errors import BadTensor

if TYPE_CHECKING:  # the import service recognises and checks packages without ever holding a tensor
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]
else:
    Array = Any


@dataclass(frozen=True, slots=True)
class Runner:
    """`name` is the runtime and its version; `precision` is what it computes in, as the runtime itself reports."""

    name: str
    precision: str
    signature: Signature
    call: Callable[[Mapping[str, Array]], dict[str, Array]]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All tensor outputs by name. Raises `BadTensor` for inputs that do not fit, `Failure` when the run fails."""
        check_inputs(self.signature, inputs)
        try:
            return self.call(inputs)
        except Exception as error:  # native runtimes raise types of their own
            message = f"{self.name} could not run the model: {error}"
            raise Failure(FailureKind.UNPROCESSABLE, codes.BAD_SOURCE, message) from error


def check_inputs(signature: Signature, inputs: Mapping[str, Array]) -> None:
    """Raises `BadTensor` naming the first input that is missing, unknown, or of another dtype or shape."""
    wanted = {spec.name: spec for spec in signature.inputs}
    for name in wanted.keys() - inputs.keys():
        raise BadTensor(f"input {name!r} is missing", name=name, rule="every input of the model is needed")
    for name, array in inputs.items():
        if name not in wanted:
            known = ", ".join(map(repr, wanted))
            raise BadTensor(f"the model has no input {name!r}", name=name, rule=f"the model's inputs are {known}")
        _check_input(wanted[name], array)


def _check_input(spec: TensorSpec, array: Array) -> None:
    if array.dtype.name != spec.dtype:
        message = f"input {spec.name!r} is {array.dtype.name}, the model needs {spec.dtype}"
        raise BadTensor(message, name=spec.name, rule=f"dtype {spec.dtype}")
    if not fits(spec.shape, array.shape):
        wanted = describe(spec.shape)
        message = f"input {spec.name!r} has shape {list(array.shape)}, the model needs {wanted}"
        raise BadTensor(message, name=spec.name, rule=f"shape {wanted}")


def fits(declared: tuple[int | str | None, ...], actual: tuple[int, ...]) -> bool:
    """Whether an array of shape `actual` can be fed where `declared` is wanted. Dynamic axes take any size."""
    if declared == ("...",):
        return True
    pairs = zip(declared, actual, strict=False)
    return len(declared) == len(actual) and all(not isinstance(want, int) or want == have for want, have in pairs)


def describe(shape: tuple[int | str | None, ...]) -> str:
    """`[N, 3, 224, ?]`"""
    return "[" + ", ".join("?" if axis is None else str(axis) for axis in shape) + "]"
