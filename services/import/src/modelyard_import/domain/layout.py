"""Where the files of a package lie, and where they belong in the artifact. Used by the fetch job before it copies.

A package folder either contains `model/` or is the model root itself. In the artifact the model always lies in `model/`
and calibration samples in `calibration_data/`, so that nobody downstream has to ask. A template says for each of its
inputs which folder of the artifact it becomes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.failures import Problem

_KEPT: Final = ("model/", "calibration_data/")
_MOST_NAME: Final = 255  # bytes of one name in the file systems that packages are unpacked on
_MOST_PROBLEMS: Final = 50


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One listed object; `path` is relative to the source folder."""

    bucket: str
    key: str
    path: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """`path` is relative to the artifact's folder."""

    source: SourceFile
    path: str


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One that lies nowhere yet, as a template's config.json: the import writes it."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Layout:
    files: tuple[PlannedFile, ...]
    left_out: tuple[str, ...] = ()
    written: tuple[WrittenFile, ...] = ()

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.sizes)

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """Path and bytes of every file that the artifact will have."""
        return (
            *((file.path, file.source.size) for file in self.files),
            *((file.path, len(file.data)) for file in self.written),
        )


def lay_out(listed: Iterable[SourceFile]) -> Layout:
    files = _real(listed)
    if any(file.path.startswith("model/") for file in files):
        kept = tuple(PlannedFile(file, file.path) for file in files if file.path.startswith(_KEPT))
        return Layout(kept, tuple(file.path for file in files if not file.path.startswith(_KEPT)))
    return Layout(tuple(PlannedFile(file, _below_model(file.path)) for file in files))


def placed(listed: Iterable[SourceFile], folder: str) -> tuple[PlannedFile, ...]:
    """Everything below one folder of the artifact, which ends with `/`."""
    return tuple(PlannedFile(file, folder + file.path) for file in _real(listed))


def moved(layout: Layout) -> tuple[str, ...]:
    """Files whose path in the artifact is not the one they have below the source folder."""
    return tuple(file.source.path for file in layout.files if file.source.path != file.path)


def unplaceable(layout: Layout) -> tuple[Problem, ...]:
    """Object stores keep what a file system cannot: a name that is a file and a folder at once, or is too long."""
    paths = [path for path, _ in layout.sizes]
    folders = {folder for path in paths for folder in _folders(path)}
    clashing = (path for path in paths if path in folders)
    long = (path for path in paths if any(len(name.encode()) > _MOST_NAME for name in path.split("/")))
    return (
        *(Problem(message=f"{path} is a file and a folder", file=path, rule="one of both") for path in clashing),
        *(
            Problem(message=f"a name in {path[:100]} is too long", file=path, rule=f"at most {_MOST_NAME} bytes")
            for path in long
        ),
    )[:_MOST_PROBLEMS]


def _real(listed: Iterable[SourceFile]) -> list[SourceFile]:
    """Folder markers (empty objects whose key ends in `/`) are nobody's files and are passed over silently."""
    return sorted((file for file in listed if file.path and not file.path.endswith("/")), key=lambda file: file.path)


def _folders(path: str) -> Iterator[str]:
    for at, character in enumerate(path):
        if character == "/":
            yield path[:at]


def _below_model(path: str) -> str:
    return path if path.startswith("calibration_data/") else f"model/{path}"
