"""A confined child that was started ahead and waits for its request. Called by import, whose jobs are short.

Starting Python and importing what reads models takes longer than reading a small model. Each child still serves one
request and ends, so nothing of one request reaches the next; only the waiting for its start is over before it counts.
"""

import asyncio
import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from modelyard_runtime.limits import Limits
from modelyard_runtime.subprocesses import Child, OnLine, conclude, discard, spawn

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    child: Child
    request: BinaryIO
    folder: tempfile.TemporaryDirectory[str]

    async def drop(self) -> None:
        self.request.close()
        if self.child.process.returncode is None:
            await discard(self.child)
        self.child.output.close()
        await asyncio.to_thread(self.folder.cleanup)


class SparePython:
    """`run_python` for one module, with one child kept waiting. Its work folder is its own and empty, so paths in a
    request are absolute. A request that comes while the spare one serves another starts a child of its own."""

    def __init__(self, module: str, limits: Limits | None = None) -> None:
        self._module = module
        self._limits = limits or Limits()
        self._next: asyncio.Task[_Waiting] | None = None
        self._stopped = False

    async def start(self) -> None:
        """Returns at once; the first child comes up beside whatever else is starting."""
        self._prepare()

    async def stop(self) -> None:
        self._stopped = True
        if waiting := await self._take():
            await waiting.drop()

    async def run(self, request: dict[str, Any], *, on_line: OnLine) -> dict[str, Any]:
        """Raises as `run_python` does."""
        waiting = await self._take() or await self._start()
        try:
            await asyncio.to_thread(_hand_over, waiting.request, request)
            return await conclude(waiting.child, on_line)
        finally:
            await waiting.drop()
            self._prepare()  # only now: before, it would compete with the work itself

    def _prepare(self) -> None:
        if self._next is None and not self._stopped:
            self._next = asyncio.create_task(self._start(), name=f"spare {self._module}")

    async def _take(self) -> _Waiting | None:
        """The waiting child, None when there is none or it has died waiting."""
        task, self._next = self._next, None
        if task is None:
            return None
        try:
            waiting = await task
        except OSError as error:
            log.warning("spare process did not start", module=self._module, error=str(error))
            return None
        if waiting.child.process.returncode is None:
            return waiting
        await waiting.drop()
        return None

    async def _start(self) -> _Waiting:
        folder = tempfile.TemporaryDirectory(prefix="modelyard-spare-", ignore_cleanup_errors=True)
        read_end, write_end = os.pipe()
        try:
            child = await spawn(self._module, read_end, Path(folder.name), self._limits)
        except BaseException:
            os.close(write_end)
            folder.cleanup()
            raise
        finally:
            os.close(read_end)
        return _Waiting(child, os.fdopen(write_end, "wb"), folder)


def _hand_over(pipe: BinaryIO, request: dict[str, Any]) -> None:
    with suppress(BrokenPipeError), pipe:  # a child that died says so by its exit code
        pipe.write(json.dumps(request).encode())
