"""The child's side of `subprocesses`: confine itself, run one function, write down how it went.

Started as `python -m modelyard_runtime.subprocess_child MODULE RESULT PARENT LIMITS`; it confines itself before it
imports MODULE, whose last lines are `if __name__ == "__main__": serve(function)`.
"""

import ctypes
import errno
import io
import json
import os
import re
import runpy
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from modelyard_contracts.failures import Failure, FailureReply
from modelyard_runtime.limits import Limits, confine
from modelyard_runtime.parent_death import die_with_parent

Log = Callable[[str], None]
Function = Callable[[dict[str, Any], Log], dict[str, Any]]

wait_for_request: Callable[[], None] | None = None
"""Set where one process forks for each request (`preloaded_child`): returns in the child that has one."""

OUT_OF_MEMORY = re.compile(r"bad.?alloc|failed to allocate|cannot allocate memory|out of memory", re.IGNORECASE)


def serve(function: Function) -> NoReturn:
    """Call `function(request, log)` once and end the process. What it raises becomes the caller's exception:
    a `Failure` as it is, anything else as SubprocessFailed."""
    if wait_for_request is not None:
        wait_for_request()
    try:
        outcome = _encode({"result": function(json.load(sys.stdin), _log)})
    except Failure as failure:
        outcome = _encode({"failure": FailureReply.of(failure).model_dump(mode="json")})
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reports it
        outcome = _encode({"error": _describe(error)})
    _finish(outcome)


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _encode(outcome: dict[str, Any]) -> bytes:
    return json.dumps(outcome, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _describe(error: BaseException) -> dict[str, Any]:
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    trace = "".join(traceback.format_exception(error))
    return {"kind": _kind(error), "message": message[:2000], "traceback": trace[-20_000:]}


def _kind(error: BaseException) -> str:
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or code == errno.ENOMEM or OUT_OF_MEMORY.search(str(error)):
        return "memory"
    return "refused" if code == errno.EFBIG else "crashed"


def _finish(outcome: bytes) -> NoReturn:
    """Write and leave, without tearing native libraries down: some crash there, after the work was done."""
    with open(sys.argv[1], "xb") as file:  # noqa: PTH123 - "x": what lies there already is not the result
        file.write(outcome)
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what C libraries printed
    os._exit(0)


def _main(module: str, result: str, parent: str, limits: str) -> None:
    die_with_parent(int(parent))
    confine(Limits.model_validate_json(limits))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # somebody is reading along
    sys.argv = [module, result]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:  # noqa: BLE001 - it could not even be imported
        _finish(_encode({"error": _describe(error)}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
