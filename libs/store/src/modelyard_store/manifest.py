"""One digest over all files of an artifact. Called when an artifact is made and when it is read back."""

import hashlib
from collections.abc import Iterable

from modelyard_contracts.shapes import FileEntry


def manifest_digest(files: Iterable[FileEntry]) -> str:
    """`sha256:` and the hexadecimal sha256 of one line per file: `<sha256> <size> <path>`, in UTF-8, each line ended by
    a newline, sorted by the bytes of the path. So `sort` and `sha256sum` can check it (see the README).

    Raises ValueError for two files with one path and for a line break in a path.
    """
    entries = sorted(files, key=lambda file: file.path.encode())
    if len({file.path for file in entries}) < len(entries):
        raise ValueError("two files of a manifest have the same path")
    if any("\n" in file.path for file in entries):
        raise ValueError("a path in a manifest must not contain a line break")
    lines = "".join(f"{file.sha256} {file.size} {file.path}\n" for file in entries)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
