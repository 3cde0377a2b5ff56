"""What the refit child and a toolchain's program say to each other. The standard library only: both run in the
toolchain's interpreter, where nothing of ours need be installed.

A program is a file; its functions, named by the rows of its table, take a `Work` and return `Changes`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Refusal(Exception):
    """What is wrong with the model or the result; anything else that a program raises is a mishap. The service raises
    the error of the same name (`modelyard_convert.errors`)."""


class NotConvertible(Refusal):
    """With the reason."""


class UnsupportedOperators(Refusal):
    """With the names of the operators."""


class ToolchainFailed(Refusal):
    """With the reason."""


class BadResult(Refusal):
    """With the reason."""


@dataclass(frozen=True)
class Changes:
    """How much a conversion did. Zero means that it did nothing, which counts as failed. `notes` stand beside the
    verdict: what was left as it was, or could go wrong elsewhere, and why."""

    count: int
    what: str
    notes: tuple[str, ...] = ()


class Samples:
    """Runs of a model that lie in an `.npz`, read one at a time: every input by name, batch axis first. `names` are the
    inputs in the order of the file (`arrays.write`). Only who reads one needs numpy."""

    def __init__(self, path: Path, names: Sequence[str], count: int) -> None:
        self._path = path
        self._names = names
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        import numpy as np

        with np.load(self._path) as arrays:
            for row in range(self._count):
                yield {name: arrays[f"{row}/{column}"] for column, name in enumerate(self._names)}


@dataclass(frozen=True)
class Work:
    """One conversion as a program sees it. `source` and `result` are package roots; the model lies in `model/`.
    `samples` calibrate; there are none unless the target needs calibration."""

    source: Path
    result: Path
    scratch: Path
    options: dict[str, Any]
    samples: Samples
    log: Callable[[str], None]

    def source_file(self, suffix: str) -> Path:
        return next(iter(sorted((self.source / "model").glob(f"*{suffix}"))))

    def result_file(self, name: str) -> Path:
        folder = self.result / "model"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name
