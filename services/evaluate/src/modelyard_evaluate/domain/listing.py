"""What a folder holds, whatever it is measured with: listed, bounded and known again by its digest.

Used by the tasks, which say how samples lie there, when a dataset is created and again before each run, when the digest
tells whether anything changed meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard_contracts.dataset import Listed, digest_of
from modelyard_contracts.failures import FailureKind, Problem
from modelyard_evaluate.errors import DatasetRefused


@dataclass(frozen=True, slots=True)
class Limits:
    """`most_bytes` counts all files together; `most_image_bytes` one image file."""

    most_samples: int = 200_000
    most_bytes: int = 50 << 30
    most_image_bytes: int = 100 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """`files` are sorted by path; `digest` covers path, size and ETag of each. `to_read` are those that must be opened
    before the samples can be counted."""

    files: tuple[Listed, ...]
    size: int
    digest: str
    to_read: tuple[Listed, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """`counts` is what the task counts in a dataset, by name; people see it with the dataset."""

    samples: int
    counts: dict[str, int]


def scan_of(files: Sequence[Listed], to_read: Sequence[Listed] = ()) -> Scan:
    """Of files `in_order` that broke no rule."""
    return Scan(tuple(files), sum(file.size for file in files), digest_of(files), tuple(to_read))


def check_bounds(*bounds: tuple[str, int, int]) -> None:
    """Of what, how many there are, how many there may be. Raises DatasetRefused."""
    for what, found, most in bounds:
        if found > most:
            message = f"{found} {what}, at most {most} are allowed"
            problem = Problem(message=message, field="source", rule=f"≤ {most} {what}")
            raise DatasetRefused((problem,), kind=FailureKind.TOO_LARGE)
