"""A process of a service in the place of its own: with fewer roles, or with a clock that jumps."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock

import psutil

from modelyard_testkit.yard import Yard
from modelyard_testkit.yard_inside import process_of

from ..killing import alive, stopped

_ONE = Lock()
"""Whoever ends first would let the supervisor go on."""


@contextmanager
def stand_in(yard: Yard, service: str, environment: dict[str, str]) -> Iterator[None]:
    """The service's own process dies, and its supervisor sees nothing of it meanwhile. Afterwards it starts another."""
    assert yard.process is not None
    with _ONE, stopped(psutil.Process(yard.process.pid)), (yard.data / f"{service}-stand-in.log").open("ab") as log:
        own = process_of(yard, service)
        command, folder, variables = own.cmdline(), own.cwd(), own.environ()
        own.kill()
        with ExitStack() as ending:
            other = subprocess.Popen(
                command, cwd=folder, env=variables | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            ending.callback(other.wait)
            ending.callback(_killed, psutil.Process(other.pid))
            yield


def _killed(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        for each in (*process.children(recursive=True), process):
            if alive(each):
                each.kill()


@cache
def shifting_clock() -> Path | None:
    """The library for LD_PRELOAD. None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = Path(mkdtemp(prefix="campaign-clock-")) / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True, stdin=subprocess.DEVNULL)
    return library
