"""Work that may crash, hang or eat memory, in a process of its own. Called by import, convert and evaluate.

The child gets no secret (environment scrubbed), no more than its `Limits`, opens nothing beyond its `Reach`, has no
network and no other process (`confinement`), and does not outlive this process, however that ends.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from modelyard_contracts.failures import Failure
from modelyard_runtime.limits import Limits, Reach
from modelyard_runtime.log_lines import LogLines
from modelyard_runtime.metrics import SUBPROCESS_SECONDS
from modelyard_runtime.subprocess_outcome import SubprocessFailed, outcome_of

__all__ = ["Limits", "Reach", "SubprocessFailed", "run_program", "run_python"]

OnLine = Callable[[str], Awaitable[None]]
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "TZ")
_KEPT_PREFIXES: Final = ("OPENBLAS", "OMP_")
_CHUNK: Final = 1 << 16
_PIPE_ENDS_WITHIN: Final = 5.0  # seconds
_TAIL_LINES: Final = 20
_PROGRAM_CHILD: Final = Path(__file__).with_name("program_child.py")


async def run_python(
    module: str,
    request: dict[str, Any],
    *,
    workdir: Path,
    on_line: OnLine,
    limits: Limits | None = None,
    reach: Reach | None = None,
) -> dict[str, Any]:
    """Run `module` (which calls `subprocess_child.serve`) in `workdir` and return what its function returned. Beside
    that folder and its libraries it can open what is in its `reach`.

    Lines it prints go to `on_line` while it runs. Raises the `Failure` that the function raised, or SubprocessFailed;
    when cancelled, or when `on_line` raises, the child and all it started are killed first.
    """
    limits, result = limits or Limits(), result_path(workdir)
    # -P: no file in the working directory can pose as a module. -s: none in a user's home either.
    command = [sys.executable, "-P", "-s", "-m", "modelyard_runtime.subprocess_child"]
    command += [module, str(result), str(os.getpid()), json.dumps(order(limits, reach, workdir))]
    return await conclude(await _start(module, command, request, result, limits), on_line)


async def run_program(
    program: Path,
    request: dict[str, Any],
    *,
    python: Path | None = None,
    workdir: Path,
    on_line: OnLine,
    limits: Limits | None = None,
    reach: Reach | None = None,
) -> dict[str, Any]:
    """As `run_python`, for the function `main(request, log)` of a file (an absolute path) and in the interpreter
    `python`, where nothing of ours need be installed (None: in this one). What it raises becomes SubprocessFailed."""
    limits, result = limits or Limits(), result_path(workdir)
    if python and not os.access(python, os.X_OK):
        raise SubprocessFailed("crashed", "its interpreter is not there")
    # -I: neither the environment nor the working directory says what is imported.
    command = [str(python or sys.executable), "-I", str(_PROGRAM_CHILD)]
    command += [str(program), str(result), str(os.getpid()), json.dumps(order(limits, reach, workdir, program))]
    return await conclude(await _start(program.stem, command, request, result, limits), on_line)


class Running(Protocol):
    """A process that leads a group of its own. `wait` may be asked again; a negative exit code is a signal's."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Child:
    """A running child: `output` is the read end of what it prints, `path` where its result will lie."""

    module: str
    limits: Limits
    process: Running
    output: BinaryIO
    path: Path


async def conclude(child: Child, on_line: OnLine) -> dict[str, Any]:
    """Follow a child that has its request to its end, as `run_python` does."""
    begin = time.monotonic()
    outcome = "cancelled"
    try:
        result = await _follow_to_result(child, on_line)
        outcome = "ok"
    except SubprocessFailed as failed:
        outcome = failed.kind
        raise
    except Failure:
        outcome = "failure"
        raise
    finally:
        SUBPROCESS_SECONDS.labels(child.module, outcome).observe(time.monotonic() - begin)
    return result


async def discard(child: Child) -> None:
    """End a child without a result."""
    _kill_group(child.process)
    await child.process.wait()
    child.output.close()
    child.path.unlink(missing_ok=True)


async def _follow_to_result(child: Child, on_line: OnLine) -> dict[str, Any]:
    limits, tail = child.limits, deque[str](maxlen=_TAIL_LINES)
    try:
        async with asyncio.timeout(limits.wall_seconds) as deadline:
            code = await _follow(child.process, child.output, on_line, limits, tail)
        return await asyncio.to_thread(outcome_of, child.module, code, child.path, limits, tuple(tail))
    except TimeoutError:
        if deadline.expired():
            raise SubprocessFailed("timeout", f"did not finish within {limits.wall_seconds:g} s") from None
        raise
    finally:
        await discard(child)


async def _start(name: str, command: list[str], request: dict[str, Any], result: Path, limits: Limits) -> Child:
    """A pipe of our own for what it prints: asyncio's would hide the child's end for as long as anything the child
    started holds it open."""
    read_end, write_end = os.pipe()
    output = os.fdopen(read_end, "rb", 0)
    try:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=result.parent,
                env=environment(result.parent),
                stdin=stdin,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
    except BaseException:
        output.close()
        raise
    finally:
        os.close(write_end)
    return Child(name, limits, process, output, result)


def result_path(workdir: Path) -> Path:
    return workdir.absolute() / f".result-{secrets.token_hex(8)}.json"


def order(limits: Limits, reach: Reach | None, workdir: Path, *read: Path) -> dict[str, Any]:
    """What a child confines itself by (`confinement.confine`)."""
    reach = reach or Reach()
    paths = Reach(read=(*read, *reach.read), write=(workdir.absolute(), *reach.write))
    return {"limits": limits.model_dump(), **paths.model_dump(mode="json")}


def environment(workdir: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in _KEPT_VARIABLES or k.startswith(_KEPT_PREFIXES)}
    modules = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(entry).is_absolute()]
    if modules:
        kept["PYTHONPATH"] = os.pathsep.join(modules)
    # Without it the C library reserves address space per core, and a limit that is right here is wrong elsewhere.
    # And joblib tries for shared memory, to warn that it has none.
    return {
        "MALLOC_ARENA_MAX": "2",
        "JOBLIB_MULTIPROCESSING": "0",
        **kept,
        "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime would tell its maker of every model, and log that it could not
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
    }


async def _follow(process: Running, output: BinaryIO, on_line: OnLine, limits: Limits, tail: deque[str]) -> int:
    """The exit code, once everything printed has been passed on."""
    reader = asyncio.StreamReader(limit=_CHUNK)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    pump = loop.create_task(_pump(reader, LogLines(limits.line_bytes, limits.log_bytes), on_line, tail))
    ended = loop.create_task(_ended(process, pump, transport))
    try:
        await asyncio.wait({pump, ended}, return_when=asyncio.FIRST_EXCEPTION)
        if pump.done():
            pump.result()  # raises what on_line raised, while the child still runs
        return await ended
    finally:
        pump.cancel()
        ended.cancel()
        transport.close()
        await asyncio.gather(pump, ended, return_exceptions=True)


async def _ended(process: Running, pump: asyncio.Task[None], transport: asyncio.ReadTransport) -> int:
    code = await process.wait()
    _kill_group(process)  # what it started is not waited for
    await asyncio.wait({pump}, timeout=_PIPE_ENDS_WITHIN)
    transport.close()  # ends the pump even if something that left the group still holds the pipe
    await asyncio.wait({pump})
    return code


async def _pump(reader: asyncio.StreamReader, lines: LogLines, on_line: OnLine, tail: deque[str]) -> None:
    while chunk := await reader.read(_CHUNK):
        for line in lines.feed(chunk):
            tail.append(line)
            await on_line(line)
    for line in lines.end():
        tail.append(line)
        await on_line(line)


def _kill_group(process: Running) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
