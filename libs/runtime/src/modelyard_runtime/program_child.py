"""The child's side of `run_program`: confine itself, run `main` of a file, write down how it went.

Started by path as `PYTHON -I program_child.py PROGRAM RESULT PARENT ORDER` in an interpreter where nothing of ours need
be installed: it imports the standard library, and files beside it that do the same. `subprocess_child` is the same for
our own modules; both take what they share from here.
"""

import ctypes
import errno
import importlib.util
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

Log = Callable[[str], None]
Function = Callable[[dict[str, Any], Log], dict[str, Any]]

OUT_OF_MEMORY = re.compile(r"bad.?alloc|failed to allocate|cannot allocate memory|out of memory", re.IGNORECASE)


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


def _only_a_folder() -> None:
    """Of our package no more than where it lies."""
    package = sys.modules["modelyard_runtime"] = ModuleType("modelyard_runtime")
    package.__path__ = [os.path.dirname(__file__)]  # noqa: PTH120 - pathlib takes 10 ms to import


def _main(program: str, result: str, parent: str, order: str) -> None:
    _only_a_folder()
    from modelyard_runtime.confinement import confine
    from modelyard_runtime.parent_death import die_with_parent

    die_with_parent(int(parent))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text file: somebody is reading along
    try:
        confine(json.loads(order))
        outcome = encoded({"result": _function(program)(json.load(sys.stdin), say)})
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reports it
        outcome = mishap(error)
    finish(result, outcome)


if __name__ == "__main__":
    _main(*sys.argv[1:])
