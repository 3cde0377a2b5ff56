"""Work that may crash, hang or eat memory, in a process of its own. Called by import, convert and evaluate.

The child gets no secret (environment scrubbed), no more than its `Limits`, and does not outlive this process, however
that ends. It is not a sandbox: it runs as the same user and may read what that user may read.
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
from pathlib import Path
from typing import Any, BinaryIO, Final

from modelyard_contracts.failures import Failure
from modelyard_runtime.limits import Limits
from modelyard_runtime.log_lines import LogLines
from modelyard_runtime.metrics import SUBPROCESS_SECONDS
from modelyard_runtime.subprocess_outcome import SubprocessFailed, outcome_of

__all__ = ["Limits", "SubprocessFailed", "run_python"]

OnLine = Callable[[str], Awaitable[None]]
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "TZ")
_KEPT_PREFIXES: Final = ("OPENBLAS", "OMP_")
_CHUNK: Final = 1 << 16
_PIPE_ENDS_WITHIN: Final = 5.0  # seconds
_TAIL_LINES: Final = 20


async def run_python(
    module: str, request: dict[str, Any], *, workdir: Path, on_line: OnLine, limits: Limits | None = None
) -> dict[str, Any]:
    """Run `module` (which calls `subprocess_child.serve`) in `workdir` and return what its function returned.

    Lines it prints go to `on_line` while it runs. Raises the `Failure` that the function raised, or SubprocessFailed;
    when cancelled, or when `on_line` raises, the child and all it started are killed first.
    """
    limits = limits or Limits()
    begin = time.monotonic()
    outcome = "cancelled"
    try:
        result = await _run(module, request, workdir, on_line, limits)
        outcome = "ok"
    except SubprocessFailed as failed:
        outcome = failed.kind
        raise
    except Failure:
        outcome = "failure"
        raise
    finally:
        SUBPROCESS_SECONDS.labels(module, outcome).observe(time.monotonic() - begin)
    return result


async def _run(module: str, request: dict[str, Any], workdir: Path, on_line: OnLine, limits: Limits) -> dict[str, Any]:
    path = _result_path(workdir)
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    process, output = await _spawn(module, request, path, limits)
    try:
        async with asyncio.timeout(limits.wall_seconds) as deadline:
            code = await _follow(process, output, on_line, limits, tail)
        return await asyncio.to_thread(outcome_of, module, code, path, limits, tuple(tail))
    except TimeoutError:
        if deadline.expired():
            raise SubprocessFailed("timeout", f"did not finish within {limits.wall_seconds:g} s") from None
        raise
    finally:
        _kill_group(process)
        await process.wait()
        path.unlink(missing_ok=True)


async def _spawn(
    module: str, request: dict[str, Any], path: Path, limits: Limits
) -> tuple[asyncio.subprocess.Process, BinaryIO]:
    """The child and the read end of what it prints. A pipe of our own: asyncio's would hide the child's end for as long
    as anything the child started holds it open."""
    read_end, write_end = os.pipe()
    output = os.fdopen(read_end, "rb", 0)
    try:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(json.dumps(request).encode())
            stdin.seek(0)
            process = await asyncio.create_subprocess_exec(
                # -P: no file in the working directory can pose as a module. -s: none in a user's home either.
                *(sys.executable, "-P", "-s", "-m", "modelyard_runtime.subprocess_child"),
                *(module, str(path), str(os.getpid()), limits.model_dump_json()),
                cwd=path.parent,
                env=_environment(path.parent),
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
    return process, output


def _result_path(workdir: Path) -> Path:
    return workdir.absolute() / f".result-{secrets.token_hex(8)}.json"


def _environment(workdir: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in _KEPT_VARIABLES or k.startswith(_KEPT_PREFIXES)}
    modules = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(entry).is_absolute()]
    if modules:
        kept["PYTHONPATH"] = os.pathsep.join(modules)
    # Without it the C library reserves address space per core, and a limit that is right here is wrong elsewhere.
    return {"MALLOC_ARENA_MAX": "2", **kept, "HOME": str(workdir), "TMPDIR": str(workdir)}


async def _follow(
    process: asyncio.subprocess.Process, output: BinaryIO, on_line: OnLine, limits: Limits, tail: deque[str]
) -> int:
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


async def _ended(
    process: asyncio.subprocess.Process, pump: asyncio.Task[None], transport: asyncio.ReadTransport
) -> int:
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


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS says EPERM for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
