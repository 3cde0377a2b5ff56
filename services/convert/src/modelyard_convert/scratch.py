"""A folder per attempt, removed with it; and the sweep of what killed workers left. Used by job and bootstrap."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "modelyard-convert-"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Its name holds this process's id, so that others see whether it is still in use."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def sweep(parent: Path) -> int:
    """Remove the folders of processes that are gone; how many there were."""
    left = [path for path in parent.glob(f"{_PREFIX}*-*") if not _alive(path.name.removeprefix(_PREFIX))]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _alive(name: str) -> bool:
    pid = name.partition("-")[0]
    if not pid.isdecimal():
        return True  # not ours
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
