"""The child's side of `run_program`: confine itself, run `main` of a file, write down how it went.

Started by path as `PYTHON -I program_child.py PROGRAM RESULT LIMITS` in an interpreter where nothing of ours need be
installed: it imports the standard library only. `subprocess_child` does the same for our own modules; both take what
they share from here.
"""

import ctypes
import errno
import importlib.util
import json
import os
import re
import resource
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

Log = Callable[[str], None]
Function = Callable[[dict[str, Any], Log], dict[str, Any]]

OUT_OF_MEMORY = re.compile(r"bad.?alloc|failed to allocate|cannot allocate memory|out of memory", re.IGNORECASE)
_CPU_GRACE = 5  # seconds from SIGXCPU to SIGKILL


def confine(limits: dict[str, Any]) -> None:
    """Apply `modelyard_runtime.limits.Limits` to this process, for good. A limit the system already set lower stays."""
    if limits["memory_bytes"] is not None:
        _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + _CPU_GRACE)
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold the model and whatever else was in memory
    with suppress(OSError):  # Linux only: when the machine runs out of memory, take this process, not the service
        Path("/proc/self/oom_score_adj").write_text("500")


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(what)[1]
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    with suppress(ValueError):  # macOS refuses RLIMIT_AS
        resource.setrlimit(what, (soft, hard))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def encoded(outcome: dict[str, Any]) -> bytes:
    return json.dumps(outcome, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def mishap(error: BaseException) -> bytes:
    """The outcome of a function that raised something other than a refusal."""
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    trace = "".join(traceback.format_exception(error))
    return encoded({"error": {"kind": _kind(error), "message": message[:2000], "traceback": trace[-20_000:]}})


def _kind(error: BaseException) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or code == errno.ENOMEM or OUT_OF_MEMORY.search(str(error)):
        return "memory"
    return "refused" if code == errno.EFBIG else "crashed"


def finish(path: str, outcome: bytes) -> NoReturn:
    """Write and leave, without tearing native libraries down: some crash there, after the work was done."""
    with open(path, "xb") as file:  # noqa: PTH123 - "x": what lies there already is not the result
        file.write(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what C libraries printed
    os._exit(0)


def _function(program: str) -> Function:
    spec = importlib.util.spec_from_file_location("program", program)
    if spec is None or spec.loader is None:
        raise ImportError(f"{program} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["program"] = module
    spec.loader.exec_module(module)
    function: Function = module.main
    return function


def _main(program: str, result: str, limits: str) -> None:
    confine(json.loads(limits))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text file: somebody is reading along
    try:
        outcome = encoded({"result": _function(program)(json.load(sys.stdin), say)})
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reports it
        outcome = mishap(error)
    finish(result, outcome)


if __name__ == "__main__":
    _main(*sys.argv[1:])
