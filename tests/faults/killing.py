"""Who is killed, and how it is seen that it happened in the middle of the work. By process id only."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import process_of

CHILDREN = {
    "convert": "modelyard_convert.children",
    "evaluate": "modelyard_evaluate.tasks.classification.child",
}


def kill(yard: Yard, server: str) -> None:
    """As `kill -9`. The supervisor starts it again; `back` waits for that."""
    process = process_of(yard, server)
    process.kill()
    eventually(lambda: not alive(process), f"the end of {server}")


def back(yard: Yard, server: str, was: int) -> None:
    """Waits until another process stands where `was` stood."""

    def other() -> bool:
        try:
            process = process_of(yard, server)
        except (KeyError, ValueError, psutil.NoSuchProcess):
            return False
        return process.pid != was and alive(process)

    eventually(other, f"another {server}")


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def worker_of(yard: Yard, service: str) -> psutil.Process | None:
    """The process in which the service converts or measures just now."""
    try:
        children = process_of(yard, service).children(recursive=True)
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return None
    for child in children:
        try:
            if alive(child) and _works(child, CHILDREN[service]):
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def _works(child: psutil.Process, module: str) -> bool:
    """Not the process that is only there to be forked from."""
    command, parent = child.cmdline(), child.parent()
    forked = parent is not None and parent.cmdline() == command
    return module in command and (forked or "modelyard_runtime.preloaded_child" not in command)


@contextmanager
def held(yard: Yard, server: str) -> Iterator[psutil.Process]:
    """Connections stay open and nothing is answered."""
    with stopped(process_of(yard, server)) as process:
        yield process


@contextmanager
def stopped(process: psutil.Process) -> Iterator[psutil.Process]:
    """As by SIGSTOP: it does not get on."""
    process.suspend()
    try:
        yield process
    finally:
        if alive(process):
            process.resume()
