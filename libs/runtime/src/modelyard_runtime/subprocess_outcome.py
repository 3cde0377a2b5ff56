"""How a confined subprocess ended: the result it wrote, or the reason there is none. Called by `subprocesses`."""

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from modelyard_contracts.failures import FailureReply
from modelyard_runtime.limits import Limits
from modelyard_runtime.program_child import OUT_OF_MEMORY

Kind = Literal["crashed", "timeout", "memory", "refused"]

log = structlog.get_logger()


class SubprocessFailed(Exception):
    """`kind`: "crashed", "timeout" (wall or processor time), "memory", "refused" (a size limit). `code`: the exit code,
    negative for a signal, None if it still ran. `message` is fit for users and tells nothing of the machine."""

    def __init__(self, kind: Kind, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.kind: Final = kind
        self.message: Final = message
        self.code: Final = code


def outcome_of(module: str, code: int, path: Path, limits: Limits, tail: tuple[str, ...]) -> dict[str, Any]:
    """What the function returned. Raises the Failure it raised, or SubprocessFailed."""
    written = _read(path, limits.result_bytes) if code == 0 else None
    match written:
        case {"result": dict(result)}:
            return result
        case {"failure": failure}:
            raise FailureReply.model_validate(failure).to_failure()
    raise _reason(module, written, code, limits, tail)


def _reason(module: str, written: Any, code: int, limits: Limits, tail: tuple[str, ...]) -> SubprocessFailed:
    match written:
        case None:
            log.error("subprocess died", module=module, code=code, tail=tail)
            return _death(code, limits, tail)
        case {"error": {"kind": "crashed" | "memory" | "refused" as kind, "message": str(message), "traceback": trace}}:
            log.error("subprocess failed", module=module, kind=kind, traceback=trace)
            return SubprocessFailed(kind, message, code)
    return SubprocessFailed("refused", "its result has the wrong form", code)


def _read(path: Path, limit: int) -> Any:
    """The JSON at `path`, None if there is no file. The child may have put anything there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SubprocessFailed("refused", "its result is not a file", 0)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise SubprocessFailed("refused", f"its result is larger than {limit} bytes", 0)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise SubprocessFailed("refused", "its result is not JSON", 0) from None


def _death(code: int, limits: Limits, tail: tuple[str, ...]) -> SubprocessFailed:
    if OUT_OF_MEMORY.search("\n".join(tail)):
        limit = f" (limit {limits.memory_bytes} bytes of address space)" if limits.memory_bytes else ""
        return SubprocessFailed("memory", f"ran out of memory{limit}", code)
    if code >= 0:
        return SubprocessFailed("crashed", f"exited with code {code} and no result", code)
    number = signal.Signals(-code)
    if number == signal.SIGXCPU:
        return SubprocessFailed("timeout", f"used more than {limits.cpu_seconds} s of processor time", code)
    if number == signal.SIGXFSZ:
        return SubprocessFailed("refused", f"wrote a file larger than {limits.file_bytes} bytes", code)
    hint = "; the machine may have run out of memory" if number == signal.SIGKILL else ""
    return SubprocessFailed("crashed", f"killed by {number.name}{hint}", code)
