"""A child that dies in the middle of its work. As a program: it says its process id, and waits to be killed."""

import os
import signal
from typing import Any

from modelyard_runtime.subprocess_child import Log, serve
from modelyard_runtime.subprocesses import OnLine, run_python

__all__ = ["killed_at_work"]


async def killed_at_work(module: str, request: dict[str, Any], *, on_line: OnLine, **more: Any) -> dict[str, Any]:
    """As `run_python`, but what runs in place of `module` is this one, and gets SIGKILL."""
    del module

    async def kill(line: str) -> None:
        await on_line("working")
        os.kill(int(line), signal.SIGKILL)

    return await run_python(__name__, request, on_line=kill, **more)


def _wait(_request: dict[str, Any], log: Log) -> dict[str, Any]:
    log(str(os.getpid()))
    while True:
        signal.pause()


if __name__ == "__main__":
    serve(_wait)
