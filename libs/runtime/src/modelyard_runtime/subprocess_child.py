"""The child's side of `subprocesses`: confine itself, run one function, write down how it went.

Started as `python -m modelyard_runtime.subprocess_child MODULE RESULT PARENT ORDER`; it confines itself before it
imports MODULE, whose last lines are `if __name__ == "__main__": serve(function)`.
"""

import io
import json
import runpy
import sys
from collections.abc import Callable
from typing import NoReturn

from modelyard_contracts.failures import Failure, FailureReply
from modelyard_runtime.confinement import confine
from modelyard_runtime.parent_death import die_with_parent
from modelyard_runtime.program_child import Function, Log, encoded, finish, mishap, say

__all__ = ["Function", "Log", "serve"]

wait_for_request: Callable[[], None] | None = None
"""Set where one process forks for each request (`preloaded_child`): returns in the child that has one."""


def serve(function: Function) -> NoReturn:
    """Call `function(request, log)` once and end the process. What it raises becomes the caller's exception:
    a `Failure` as it is, anything else as SubprocessFailed."""
    if wait_for_request is not None:
        wait_for_request()
    try:
        outcome = encoded({"result": function(json.load(sys.stdin), say)})
    except Failure as failure:
        outcome = encoded({"failure": FailureReply.of(failure).model_dump(mode="json")})
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent reports it
        outcome = mishap(error)
    finish(sys.argv[1], outcome)


def _main(module: str, result: str, parent: str, order: str) -> None:
    die_with_parent(int(parent))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # somebody is reading along
    sys.argv = [module, result]
    try:
        confine(json.loads(order))
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:  # noqa: BLE001 - it could not be confined, or not even be imported
        finish(result, mishap(error))


if __name__ == "__main__":
    _main(*sys.argv[1:])
