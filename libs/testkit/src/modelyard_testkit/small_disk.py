"""A disk that is quickly full, for tests of what happens then. Needs root; elsewhere the test is skipped."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BLOCK = b"\0" * 65536


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """An empty file system of this size at `folder`. Gone behind, also while somebody has files open on it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Not a byte is left. Room is made again by removing the file that it returns."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (_BLOCK, b"\0" * 512, b"\0"):
            try:
                while True:
                    file.write(block)
            except OSError:
                continue
    return filler
