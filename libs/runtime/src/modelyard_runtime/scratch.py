"""A folder for one piece of work, removed with it, and the sweep of what killed workers left. Called by workers.

Its name holds the process id, so that a folder still in use is never taken for one that was left.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path, service: str) -> Iterator[Path]:
    """Raises OSError when the folder cannot be made."""
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{_name(service)}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def sweep(parent: Path, service: str) -> int:
    """Remove the service's folders of processes that are gone; how many there were."""
    left = [path for path in parent.glob(f"{_name(service)}*") if not _in_use(path, service)]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _name(service: str) -> str:
    return f"modelyard-{service}-"


def _in_use(path: Path, service: str) -> bool:
    number = path.name.removeprefix(_name(service)).split("-")[0]
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):  # not ours to judge
        return True
    return True
