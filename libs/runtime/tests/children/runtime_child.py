"""A child process that does what its request names: everything a worker's child may do to us."""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelyard_contracts.failures import Code, Failure, FailureKind, Problem
from modelyard_runtime.subprocess_child import Log, serve


def act(request: dict[str, Any], log: Log) -> dict[str, Any]:
    return ACTS[request["do"]](request, log)


def echo(request: dict[str, Any], log: Log) -> dict[str, Any]:
    log("first line")
    sys.stderr.write("a warning\n")
    ctypes.CDLL(None).puts(b"from C")
    return request


def surroundings(request: dict[str, Any], log: Log) -> dict[str, Any]:
    names = ("AS", "CPU", "FSIZE", "NOFILE", "CORE")
    limits = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in names}
    return {
        "environment": dict(os.environ),
        "limits": limits,
        "cwd": str(Path.cwd()),
        "session": os.getsid(0) == os.getpid(),
        "json": json.__file__,
        "here": sorted(str(Path(entry)) for entry in sys.path if Path(entry) in (Path(), Path.cwd())),
    }


def refuse(request: dict[str, Any], log: Log) -> dict[str, Any]:
    problems = (Problem(message="no", file="config.json", field="a.b", rule="r"), Problem(message="nor this"))
    raise Failure(FailureKind.UNPROCESSABLE, Code("ModelArts.1234"), "bad package", problems=problems)


def stumble(request: dict[str, Any], log: Log) -> dict[str, Any]:
    raise ValueError("not a number: x")


def die(request: dict[str, Any], log: Log) -> dict[str, Any]:
    log("about to die")
    os.kill(os.getpid(), request["signal"])
    return {}


def leave(request: dict[str, Any], log: Log) -> dict[str, Any]:
    os._exit(request["code"])


def eat(request: dict[str, Any], log: Log) -> dict[str, Any]:
    return {"size": len(bytearray(request["bytes"]))}


def abort_like_native_code(request: dict[str, Any], log: Log) -> dict[str, Any]:
    sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def spin(request: dict[str, Any], log: Log) -> dict[str, Any]:
    while True:
        pass


def write(request: dict[str, Any], log: Log) -> dict[str, Any]:
    Path("big").write_bytes(bytes(request["bytes"]))
    return {}


def answer_big(request: dict[str, Any], log: Log) -> dict[str, Any]:
    return {"text": "x" * request["bytes"]}


def answer_nan(request: dict[str, Any], log: Log) -> dict[str, Any]:
    return {"value": float("nan")}


def talk(request: dict[str, Any], log: Log) -> dict[str, Any]:
    sys.stdout.write(request["text"])
    return {}


def wait_for(request: dict[str, Any], log: Log) -> dict[str, Any]:
    """Says its pid and, where it may have one, that of a child of its own; then waits until the file is there."""
    pids = [os.getpid()]
    with suppress(PermissionError):
        pids.append(fork_a_sleeper())
    log(" ".join(map(str, pids)))
    while not Path(request["file"]).exists():
        time.sleep(0.01)
    return {}


def leave_a_daemon(request: dict[str, Any], log: Log) -> dict[str, Any]:
    """Something that left the group and still holds the pipe."""
    return {"pid": fork_a_sleeper(os.setsid)}


def fork_a_sleeper(first: Callable[[], object] = lambda: None) -> int:
    if pid := os.fork():
        return pid
    first()
    time.sleep(600)
    os._exit(0)


def fake(request: dict[str, Any], log: Log) -> dict[str, Any]:
    Path(sys.argv[1]).symlink_to(request["target"])
    os._exit(0)


def write_result(request: dict[str, Any], log: Log) -> dict[str, Any]:
    Path(sys.argv[1]).write_text(request["text"])
    os._exit(0)


ACTS = {f.__name__: f for f in (
    echo, surroundings, refuse, stumble, die, leave, eat, abort_like_native_code, spin, write, answer_big, answer_nan,
    talk, wait_for, leave_a_daemon, fake, write_result,
)}  # fmt: skip

if __name__ == "__main__":
    signal.alarm(25)  # a test that fails must not leave this behind
    serve(act)
