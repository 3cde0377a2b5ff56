"""Turns a listing of a folder into samples, or refuses it by naming every file that breaks a rule.

Called when a dataset is created and again before each run, when the digest tells whether anything changed meanwhile.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from modelyard_contracts.failures import FailureKind, Problem
from modelyard_evaluate.errors import DatasetRefused

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
MOST_CLASS_NAME = 200  # characters, as many as a label in config.json may have
_NOT_DATA = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One object; `path` is relative to the dataset's folder, `size` in bytes."""

    path: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Limits:
    """`most_bytes` counts all files together; `most_image_bytes` one image file."""

    most_samples: int = 200_000
    most_classes: int = 10_000
    most_bytes: int = 50 << 30
    most_image_bytes: int = 100 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """`files` are sorted by path; `digest` covers path, size and ETag of each."""

    files: tuple[Listed, ...]
    size: int
    digest: str


def is_data(path: str) -> bool:
    """False for what operating systems and tools leave behind: dot files, folder markers, thumbnails."""
    return not path.endswith("/") and not any(
        segment.startswith(".") or segment in _NOT_DATA for segment in path.split("/")
    )


def scan_images(listed: Iterable[Listed], limits: Limits, place: str) -> Scan:
    """`<class>/<image>` and nothing else. Raises DatasetRefused."""
    files = _sorted(listed)
    problems = [problem for file in files if (problem := _image_problem(file, limits))]
    if problems:
        raise DatasetRefused(tuple(problems))
    if not files:
        message = f"there is no image in a class folder below {place!r}"
        raise DatasetRefused((Problem(message=message, field="source", rule="<class>/<image>, at least one"),))
    scan = _scan(files)
    _check_bounds(len(files), len({class_of(file) for file in files}), scan.size, limits)
    return scan


def scan_npz(listed: Iterable[Listed], limits: Limits, place: str) -> Scan:
    """Exactly one `.npz` file and nothing else. Raises DatasetRefused."""
    files = _sorted(listed)
    if len(files) != 1 or PurePosixPath(files[0].path).suffix.lower() != ".npz":
        found = ", ".join(repr(file.path) for file in files[:3]) + (", …" if len(files) > 3 else "")
        message = f"{place!r} must hold exactly one .npz file; it holds {found or 'nothing'}"
        raise DatasetRefused((Problem(message=message, field="source", rule="one .npz"),))
    scan = _scan(files)
    _check_bounds(0, 0, scan.size, limits)
    return scan


def class_of(file: Listed) -> str:
    return file.path.split("/", 1)[0]


def count_classes(names: Iterable[str]) -> dict[str, int]:
    """Samples per class, by name."""
    return dict(sorted(Counter(names).items()))


def check_samples(samples: int, classes: int, limits: Limits) -> None:
    """For an npz, whose samples are known only after it was opened. Raises DatasetRefused."""
    _check_bounds(samples, classes, 0, limits)


def _image_problem(file: Listed, limits: Limits) -> Problem | None:
    folders = file.path.split("/")[:-1]
    suffix = PurePosixPath(file.path).suffix.lower()
    if not folders:
        return _problem(file, "lies outside the class folders", "<class>/<image>")
    if len(folders) > 1:
        return _problem(file, f"lies deeper than the class folder {folders[0]!r}", "<class>/<image>")
    if suffix not in IMAGE_SUFFIXES:
        return _problem(file, "is not an image", f"one of {', '.join(sorted(IMAGE_SUFFIXES))}")
    if len(folders[0]) > MOST_CLASS_NAME or not folders[0].isprintable():
        return _problem(
            file, "lies in a folder whose name cannot be a class", f"printable, ≤ {MOST_CLASS_NAME} characters"
        )
    if not 0 < file.size <= limits.most_image_bytes:
        return _problem(file, f"has {file.size} bytes", f"1 to {limits.most_image_bytes} bytes")
    return None


def _problem(file: Listed, what: str, rule: str) -> Problem:
    return Problem(message=f"{file.path!r} {what}", file=file.path, field="source", rule=rule)


def _sorted(listed: Iterable[Listed]) -> list[Listed]:
    return sorted((file for file in listed if is_data(file.path)), key=lambda file: file.path)


def _scan(files: Sequence[Listed]) -> Scan:
    lines = "".join(f"{file.path}\0{file.size}\0{file.etag}\n" for file in files)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()
    return Scan(tuple(files), sum(file.size for file in files), f"sha256:{digest}")


def _check_bounds(samples: int, classes: int, size: int, limits: Limits) -> None:
    bounds = (
        ("samples", samples, limits.most_samples),
        ("classes", classes, limits.most_classes),
        ("bytes", size, limits.most_bytes),
    )
    for what, found, most in bounds:
        if found > most:
            problem = Problem(
                message=f"{found} {what}, at most {most} are allowed", field="source", rule=f"≤ {most} {what}"
            )
            raise DatasetRefused((problem,), kind=FailureKind.TOO_LARGE)
