"""The data folder of a stack: one `up` at a time, and words for what is wrong with it. Called by `running`."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard_local.child import ServerFailed

_LOCK = "lock"
_OF_THE_FOLDER = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOTDIR}


@contextmanager
def owned(data_dir: Path) -> Iterator[None]:
    """Nobody else has the folder inside; a process that ends lets go of it, however it ends. Raises ServerFailed when
    the folder is in use or of no use, and what is raised inside."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        _take(lock, data_dir)
        yield
    except OSError as error:
        if error.errno in _OF_THE_FOLDER:
            raise _unusable(data_dir, error) from error
        raise
    finally:
        os.close(lock)


def _take(lock: int, data_dir: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        text = (
            f"{data_dir} is in use by another `modelyard up` or `demo`; stop that, or choose another folder with --data"
        )
        raise ServerFailed(text) from error


def _unusable(data_dir: Path, error: OSError) -> ServerFailed:
    where = error.filename or data_dir
    return ServerFailed(
        f"{where}: {os.strerror(error.errno or 0)}. The stack keeps everything in {data_dir}: "
        "give it room and let it be written, or choose another folder with --data"
    )
