"""The shape of one model format. Each format is a module in `kinds` with one `FORMAT`; `table` lists them.

`Format.find`, `inspect` and `load` get paths of the model folder (`model/` of a package), so the same functions serve
source packages and conversion results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from modelyard_contracts.failures import Problem
from modelyard_contracts.keeping import dotted, misfits
from modelyard_contracts.shapes import Finding, Inspection
from modelyard_formats.errors import BadSource, bad_source
from modelyard_formats.running import Runner

PrecisionHint = Literal["f32", "default"]
MODEL_FOLDER = "model"
CUSTOM_CODE = "customize_service.py"
UNKNOWN_RANK: tuple[str, ...] = ("...",)
MAX_TENSORS = 2_000
MAX_RANK = 32
MAX_PARAMETERS = 2**63 - 1
MAX_NAME = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package: its path relative to the package, with `/`, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What inspecting found. `files` are all files the model needs, relative to the model folder, main file first.

    `findings` name files relative to the package; a dangerous one refuses the package.
    """

    inspection: Inspection
    files: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def never(file: str) -> bool:  # noqa: ARG001 - no file of most formats
    return False


def main_file(files: tuple[str, ...]) -> tuple[str, ...]:
    return files[:1]


@dataclass(frozen=True, slots=True)
class Format:
    """How to tell, read and run one kind of model file.

    `find` gets the paths of all files in the model folder, relative to it, and returns every model among them, each as
    its files, main file first. `hints` explains files that are nearly a model, for when there is none. `inspect` gets
    the model folder and one found model and never executes anything; `reads` says which of the found files it opens,
    so that the import service fetches no others. `load` imports the native runtime; None where none is built in.
    `by_type_only`: file names alone do not tell this format, config.json has to name its model type. `may_be_empty`
    says which of the model's files may have no bytes, or are judged by `inspect`.
    """

    name: str
    model_types: tuple[str, ...]
    wants: str
    find: Callable[[Sequence[str]], tuple[tuple[str, ...], ...]]
    hints: Callable[[Sequence[str]], tuple[Problem, ...]]
    inspect: Callable[[Path, tuple[str, ...]], Reading]
    load: Callable[[Path, int, PrecisionHint], Runner] | None = None
    reads: Callable[[tuple[str, ...]], tuple[str, ...]] = main_file
    by_type_only: bool = False
    may_be_empty: Callable[[str], bool] = never

    def read(self, folder: Path, files: tuple[str, ...]) -> Reading:
        """`inspect`, and nothing that it says cannot be stored. Raises `BadSource`."""
        file = f"{MODEL_FOLDER}/{files[0]}"
        try:
            return _storable(self.inspect(folder, files), file)
        except ValidationError as error:  # only half of a surrogate pair is no text to begin with
            fields = {".".join(map(str, each["loc"])) for each in error.errors(include_url=False)}
            message = f"{file} holds text that is no Unicode, in {', '.join(sorted(fields))}"
            raise bad_source(message, file=file, field=min(fields), rule="Unicode text") from error


def _storable(reading: Reading, file: str) -> Reading:
    """The same, if every store keeps it: names and what else is looked up by. What is only shown has been replaced.
    Raises `BadSource` with each place otherwise."""
    described = reading.inspection.model_dump(mode="python")
    wrong = tuple(misfits(described))
    if wrong:
        raise BadSource(
            Problem(message=f"{file}: {dotted(path)}: {message}", file=file, field=dotted(path), rule=rule)
            for path, message, rule in wrong
        )
    return reading


def at_top(names: Sequence[str], *suffixes: str) -> tuple[str, ...]:
    """The files directly in the model folder with one of these endings, sorted."""
    return tuple(sorted(name for name in names if "/" not in name and name.endswith(suffixes)))


def within_bounds(inspection: Inspection, file: str) -> Inspection:
    """The same inspection, if it is small enough to travel in an event. Raises `BadSource` otherwise."""
    tensors = inspection.signature.inputs + inspection.signature.outputs
    names = [tensor.name for tensor in tensors] + list(inspection.operators) + list(inspection.opsets)
    names += [axis for tensor in tensors for axis in tensor.shape if isinstance(axis, str)]
    if len(tensors) > MAX_TENSORS or len(inspection.operators) > MAX_TENSORS or len(inspection.opsets) > MAX_TENSORS:
        rule = f"at most {MAX_TENSORS} inputs, outputs, operator kinds or domains"
        raise bad_source(f"{file} declares too much", file=file, rule=rule)
    if not 0 <= inspection.parameter_count <= MAX_PARAMETERS:
        rule = f"at most {MAX_PARAMETERS:,} parameters"
        raise bad_source(f"{file} declares more parameters than there can be", file=file, rule=rule)
    if any(len(tensor.shape) > MAX_RANK for tensor in tensors) or any(len(name) > MAX_NAME for name in names):
        rule = f"at most {MAX_RANK} axes; names of at most {MAX_NAME} characters"
        raise bad_source(f"{file} declares a tensor that is out of bounds", file=file, rule=rule)
    return inspection
