"""The shape of one model format. Each format is a module with one `FORMAT`; `table` lists them.

`Format.find`, `inspect` and `load` get paths of the model folder (`model/` of a package), so the same functions serve
source packages and conversion results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Inspection
from modelyard_formats.errors import bad_source
from modelyard_formats.running import Runner

PrecisionHint = Literal["f32", "default"]
MODEL_FOLDER = "model"
UNKNOWN_RANK: tuple[str, ...] = ("...",)
MAX_TENSORS = 2_000
MAX_RANK = 32
MAX_NAME = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package: its path relative to the package, with `/`, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What inspecting found. `files` are all files the model needs, relative to the model folder, main file first."""

    inspection: Inspection
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Format:
    """How to tell, read and run one kind of model file.

    `find` gets the names of the files directly in the model folder and returns every model among them, each as its
    files, main file first. `hints` explains files that are nearly a model, for when there is none. `inspect` gets the
    model folder and one found model and never executes anything. `load` imports the native runtime.
    """

    name: str
    model_types: tuple[str, ...]
    wants: str
    find: Callable[[Sequence[str]], tuple[tuple[str, ...], ...]]
    hints: Callable[[Sequence[str]], tuple[Problem, ...]]
    inspect: Callable[[Path, tuple[str, ...]], Reading]
    load: Callable[[Path, int, PrecisionHint], Runner]


def within_bounds(inspection: Inspection, file: str) -> Inspection:
    """The same inspection, if it is small enough to travel in an event. Raises `BadSource` otherwise."""
    tensors = inspection.signature.inputs + inspection.signature.outputs
    names = [tensor.name for tensor in tensors] + list(inspection.operators) + list(inspection.opsets)
    names += [axis for tensor in tensors for axis in tensor.shape if isinstance(axis, str)]
    if len(tensors) > MAX_TENSORS or len(inspection.operators) > MAX_TENSORS or len(inspection.opsets) > MAX_TENSORS:
        rule = f"at most {MAX_TENSORS} inputs, outputs, operator kinds or domains"
        raise bad_source(f"{file} declares too much", file=file, rule=rule)
    if any(len(tensor.shape) > MAX_RANK for tensor in tensors) or any(len(name) > MAX_NAME for name in names):
        rule = f"at most {MAX_RANK} axes; names of at most {MAX_NAME} characters"
        raise bad_source(f"{file} declares a tensor that is out of bounds", file=file, rule=rule)
    return inspection
