"""Confined children that need not start: one process has imported a module and forks for every request.

Called by import, whose jobs are short: starting Python and importing what reads models costs half a second of
processor time, a fork a few milliseconds. Each child serves one request and ends, so nothing of one reaches the next.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

import structlog

from modelyard_runtime.limits import Limits, Reach
from modelyard_runtime.preloaded_child import MESSAGE
from modelyard_runtime.subprocesses import Child, OnLine, SubprocessFailed, conclude, environment, order, result_path

log = structlog.get_logger()

_KILLED: Final = -9
_TRIES: Final = 3


@dataclass(slots=True)
class _Forked:
    """A child of the preloaded process; ended with it."""

    started: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    ended: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def pid(self) -> int:
        return self.started.result()

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)


class _Gone(Exception):
    """The preloaded process has ended."""


class _Preloaded:
    """The running process and the talk with it."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self._children: dict[str, _Forked] = {}
        self.gone = False
        asyncio.get_running_loop().add_reader(channel, self._hear)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def fork(self, result: Path, confined: dict[str, Any], request: int, output: int) -> _Forked:
        """Raises _Gone."""
        if self.gone:
            raise _Gone
        child = self._children[str(result)] = _Forked()
        message = json.dumps({"result": str(result), "folder": str(result.parent), **confined}).encode()
        try:
            await asyncio.to_thread(socket.send_fds, self._channel, [message], [request, output])
        except OSError:
            self._end()
        await asyncio.wait({child.started, child.ended}, return_when=asyncio.FIRST_COMPLETED)
        if not child.started.done():
            raise _Gone
        return child

    async def stop(self) -> None:
        self._end()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._channel.close()

    def _hear(self) -> None:
        try:
            data = self._channel.recv(MESSAGE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        match json.loads(data):
            case {"result": result, "pid": pid}:
                self._children[result].started.set_result(pid)
            case {"result": result, "code": code}:
                self._children.pop(result).ended.set_result(code)

    def _end(self) -> None:
        """Its children die with it."""
        if self.gone:
            return
        self.gone = True
        asyncio.get_running_loop().remove_reader(self._channel)
        for child in self._children.values():
            child.ended.set_result(_KILLED)
        self._children.clear()


class PreloadedPython:
    """`run_python` for one module that ends with `serve(function)`. The work folder of a request is its own and empty,
    so paths in a request are absolute."""

    def __init__(self, module: str, limits: Limits | None = None) -> None:
        self._module = module
        self._limits = limits or Limits()
        self._coming: asyncio.Task[_Preloaded] | None = None
        self._home = tempfile.TemporaryDirectory(prefix="modelyard-preloaded-", ignore_cleanup_errors=True)

    async def start(self) -> None:
        """Returns at once; the process comes up beside whatever else is starting."""
        self._coming = asyncio.create_task(self._start(), name=f"preload {self._module}")

    async def stop(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            with suppress(OSError):
                await (await coming).stop()
        await asyncio.to_thread(self._home.cleanup)

    async def run(self, request: dict[str, Any], *, on_line: OnLine, reach: Reach | None = None) -> dict[str, Any]:
        """Raises as `run_python` does."""
        with tempfile.TemporaryDirectory(prefix="modelyard-forked-", ignore_cleanup_errors=True) as folder:
            child, pipe = await self._fork(Path(folder), reach)
            handing = asyncio.create_task(asyncio.to_thread(_hand_over, pipe, request))
            try:
                return await conclude(child, on_line)
            finally:
                await handing  # ends when the child has: then nobody reads

    async def _fork(self, folder: Path, reach: Reach | None) -> tuple[Child, BinaryIO]:
        for _ in range(_TRIES):
            preloaded = await self._living()
            request_read, request_write = os.pipe()
            output_read, output_write = os.pipe()
            path = result_path(folder)
            pipe, output = os.fdopen(request_write, "wb"), os.fdopen(output_read, "rb", 0)
            try:
                forked = await preloaded.fork(path, order(self._limits, reach, folder), request_read, output_write)
                return Child(self._module, self._limits, forked, output, path), pipe
            except BaseException as error:
                pipe.close()
                output.close()
                if not isinstance(error, _Gone):
                    raise
            finally:
                os.close(request_read)
                os.close(output_write)
        raise SubprocessFailed("crashed", "the process that prepares the work ends again and again")

    async def _living(self) -> _Preloaded:
        """The process; a new one when it has died. Whoever comes meanwhile waits for the same one."""
        if self._coming is None:
            await self.start()
        coming = self._coming
        preloaded = await asyncio.shield(coming) if coming else None
        if preloaded is not None and not preloaded.gone:
            return preloaded
        if self._coming is coming:
            log.warning("the preloaded process had died", module=self._module)
            if preloaded is not None:
                await preloaded.stop()
            if self._coming is coming:
                await self.start()
        return await self._living()

    async def _start(self) -> _Preloaded:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-s", "-m", "modelyard_runtime.preloaded_child"),
                *(self._module, str(os.getpid()), str(its.fileno())),
                cwd=self._home.name,
                # Threads of a numeric library do not survive a fork.
                env=environment(Path(self._home.name)) | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(its.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            its.close()
        return _Preloaded(process, ours)


def _hand_over(pipe: BinaryIO, request: dict[str, Any]) -> None:
    with suppress(BrokenPipeError), pipe:  # a child that died says so by its exit code
        pipe.write(json.dumps(request).encode())
