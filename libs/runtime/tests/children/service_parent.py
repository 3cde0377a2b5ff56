"""A service with a subprocess at work, for a test that kills the service: `service_parent.py WORKDIR`."""

import asyncio
import sys
from pathlib import Path

from modelyard_runtime.subprocesses import run_python


async def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


request = {"do": "wait_for", "file": "never"}
asyncio.run(run_python("runtime_child", request, workdir=Path(sys.argv[1]), on_line=show))
