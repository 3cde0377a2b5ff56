"""How labelled samples lie in a folder, and how many there are of each class: `image-folder` and `npz`.

Both stand in the task's row. A folder that is none is refused by naming every file that breaks a rule.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from modelyard_contracts.dataset import Listed, in_order
from modelyard_contracts.failures import Problem
from modelyard_evaluate.domain.listing import Counted, Limits, Scan, check_bounds, scan_of
from modelyard_evaluate.errors import DatasetRefused

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
MOST_CLASSES = 10_000
MOST_CLASS_NAME = 200  # characters, as many as a label in config.json may have


def scan_images(listed: Iterable[Listed], limits: Limits, place: str) -> Scan:
    """`<class>/<image>` and nothing else. Raises DatasetRefused."""
    files = in_order(listed)
    problems = [problem for file in files if (problem := _image_problem(file, limits))]
    if problems:
        raise DatasetRefused(tuple(problems))
    if not files:
        message = f"there is no image in a class folder below {place!r}"
        raise DatasetRefused((Problem(message=message, field="source", rule="<class>/<image>, at least one"),))
    scan = scan_of(files)
    check_bounds(
        ("samples", len(files), limits.most_samples),
        ("classes", len({class_of(file.path) for file in files}), MOST_CLASSES),
        ("bytes", scan.size, limits.most_bytes),
    )
    return scan


def count_images(scan: Scan, read: Sequence[Path], limits: Limits) -> Counted:  # noqa: ARG001 - the names say it all
    return _counted(class_of(file.path) for file in scan.files)


def scan_npz(listed: Iterable[Listed], limits: Limits, place: str) -> Scan:
    """Exactly one `.npz` file and nothing else. Raises DatasetRefused."""
    files = in_order(listed)
    if len(files) != 1 or PurePosixPath(files[0].path).suffix.lower() != ".npz":
        found = ", ".join(repr(file.path) for file in files[:3]) + (", …" if len(files) > 3 else "")
        message = f"{place!r} must hold exactly one .npz file; it holds {found or 'nothing'}"
        raise DatasetRefused((Problem(message=message, field="source", rule="one .npz"),))
    scan = scan_of(files, to_read=files)
    check_bounds(("bytes", scan.size, limits.most_bytes))
    return scan


def count_npz(scan: Scan, read: Sequence[Path], limits: Limits) -> Counted:  # noqa: ARG001 - the file says it all
    """Raises DatasetRefused."""
    from modelyard_evaluate.tasks.classification import npz  # brings numpy, which the service needs for nothing else

    counted = _counted(npz.read_labels(read[0]))
    check_bounds(
        ("samples", counted.samples, limits.most_samples),
        ("classes", len(counted.counts), MOST_CLASSES),
    )
    return counted


def class_of(path: str) -> str:
    """Of an image, by its path in the dataset."""
    return path.split("/", 1)[0]


def _counted(classes: Iterable[str]) -> Counted:
    counts = Counter(classes)
    return Counted(counts.total(), dict(sorted(counts.items())))


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
