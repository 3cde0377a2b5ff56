"""Which files of a folder are a dataset's, and the digest that says whether any of them changed. Used by who keeps
datasets and by whoever reads one later."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

_NOT_DATA = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One object; `path` is relative to the dataset's folder, `size` in bytes."""

    path: str
    size: int
    etag: str


def is_data(path: str) -> bool:
    """False for what operating systems and tools leave behind: dot files, folder markers, thumbnails."""
    return not path.endswith("/") and not any(
        segment.startswith(".") or segment in _NOT_DATA for segment in path.split("/")
    )


def in_order(listed: Iterable[Listed]) -> tuple[Listed, ...]:
    """What is data, sorted by path."""
    return tuple(sorted((file for file in listed if is_data(file.path)), key=lambda file: file.path))


def digest_of(files: Iterable[Listed]) -> str:
    """`sha256:…` over path, size and ETag of each file, in this order."""
    lines = "".join(f"{file.path}\0{file.size}\0{file.etag}\n" for file in files)
    return f"sha256:{hashlib.sha256(lines.encode('utf-8', 'surrogatepass')).hexdigest()}"
