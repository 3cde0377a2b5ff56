"""A folder for one piece of work, removed with it, and the sweep of what killed workers left. Called by workers.

Whoever uses a folder holds a lock on it (flock on the folder itself), which ends with its process, however that ends.
So several processes, also in containers with process ids of their own, may share one volume.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path, service: str) -> Iterator[Path]:
    """Raises OSError when the folder cannot be made."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        path = Path(tempfile.mkdtemp(prefix=_name(service), dir=parent))
        with suppress(FileNotFoundError):  # swept before it was locked
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                break
            os.close(lock)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def written(folder: Path) -> dict[str, Path]:
    """What lies below a folder into which a child wrote, by relative name. Files only, and no link is followed: where
    nothing kept the child from making one, it could lead the service to a file of its own."""
    found = {}
    for path in [] if folder.is_symlink() else sorted(folder.rglob("*")):
        if stat.S_ISREG(path.lstat().st_mode):
            found[path.relative_to(folder).as_posix()] = path
    return found


def sweep(parent: Path, service: str) -> int:
    """Remove the service's folders that nobody uses; how many there were."""
    return sum(_removed(path) for path in parent.glob(f"{_name(service)}*"))


def _name(service: str) -> str:
    return f"modelyard-{service}-"


def _removed(path: Path) -> bool:
    with suppress(OSError):  # in use, or not ours to judge
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)
        return not path.exists()
    return False
