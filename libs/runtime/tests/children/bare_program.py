"""A program of `run_program`: the standard library only."""

import ctypes
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

_PR_GET_PDEATHSIG = 2


def main(request: dict[str, Any], log: Callable[[str], None]) -> dict[str, Any]:
    log(f"asked to {request['do']}")
    if request["do"] == "raise":
        raise ValueError("not a number: x")
    if request["do"] == "die":
        os.kill(os.getpid(), request["signal"])
    signal = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(signal), 0, 0, 0)
    return {
        "prefix": sys.prefix,
        "ours": sorted(name for name in sys.modules if name.startswith(("modelyard", "pydantic"))),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "dies_with_parent": signal.value,
        "path": sys.path,
        "environment": dict(os.environ),
    }
