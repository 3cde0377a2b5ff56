"""A folder per attempt, removed with it, and what killed workers left behind. Used by the job and `bootstrap`.

Its name holds the process id, so that a folder still in use is never taken for one that was left.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = "modelyard-evaluate-"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{_NAME}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def sweep(parent: Path) -> int:
    """Remove the folders of processes that are gone; how many there were."""
    left = [path for path in parent.glob(f"{_NAME}*") if not _in_use(path)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _in_use(path: Path) -> bool:
    number = path.name.removeprefix(_NAME).split("-")[0]
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):  # not ours to judge
        return True
    return True
