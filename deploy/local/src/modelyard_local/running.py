"""What `commands` runs: the stack until it is told to stop, or for as long as the demo takes."""

import asyncio
import errno
import logging
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from modelyard.cli.operations import Telling
from modelyard.cli.session import err, out
from modelyard.client import Client
from modelyard.connection import Connection
from modelyard.errors import ModelyardError
from modelyard_local.child import ServerFailed
from modelyard_local.folder import owned
from modelyard_local.stack import Stack, running_stack
from modelyard_runtime.logging import configure

_FAILED = 1


def run_stack(data_dir: Path, port: int, processes: bool, patience: float) -> int:
    """Exit code 0 after Ctrl-C or SIGTERM, 1 when the stack could not start or lost a part for good."""
    return uvloop.run(_guarded(data_dir, lambda: _stay(data_dir, port, processes, patience)))


def run_demo(data_dir: Path, patience: float) -> int:
    """Exit code 0 only when everything that the demo claims is true."""
    return uvloop.run(_guarded(data_dir, lambda: _demonstrate(data_dir, patience)))


async def _guarded(data_dir: Path, work: Callable[[], Awaitable[int]]) -> int:
    """Errors that a user can act on, without a traceback. Start-up runs in task groups, hence the group."""
    try:
        with owned(data_dir):
            return await work()
    except* (ServerFailed, OSError, ValueError, ModelyardError) as group:
        for error in _leaves(group):
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            words = f"{error}; choose another port with --port" if taken else str(error)
            err.print(words, style="red", highlight=False, markup=False)
    return _FAILED


def _leaves(group: BaseExceptionGroup[Exception]) -> list[BaseException]:
    return [
        leaf
        for error in group.exceptions
        for leaf in (_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


async def _stay(data_dir: Path, port: int, processes: bool, patience: float) -> int:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    started = time.monotonic()
    _log_to(data_dir / "modelyard.log")
    async with running_stack(data_dir, port, _warn, processes=processes, patience=patience) as stack:
        _say_where(stack, data_dir, time.monotonic() - started)
        await _first(told, stack.lost)
        out.print("stopping …")
    return _FAILED if stack.lost.is_set() else 0


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _say_where(stack: Stack, data_dir: Path, seconds: float) -> None:
    connection = stack.connection
    out.print(f"[bold]modelyard is up[/bold] ({seconds:.1f} s). Ctrl-C stops it.\n")
    for what, where in (
        ("gateway", connection["gateway_url"]),
        ("API docs", f"{connection['gateway_url']}/docs"),
        ("NATS", connection["nats_url"]),
        ("S3", f"http://{connection['s3']['endpoint']}"),
        ("connection", stack.connection_file),
        ("log", data_dir / "modelyard.log"),
    ):
        out.print(f"  {what:<11} {where}", highlight=False)
    out.print(f"\n  export MODELYARD_CONNECTION={stack.connection_file}", highlight=False)
    out.print("  modelyard models list")


async def _demonstrate(data_dir: Path, patience: float) -> int:
    from modelyard_local.demo import report, scenario
    from modelyard_local.demo.watching import DemoFailed

    _log_to(data_dir / "modelyard.log")
    started = time.monotonic()
    async with running_stack(data_dir, 0, _warn, patience=patience) as stack:
        out.print(f"stack up in {time.monotonic() - started:.1f} s: {stack.connection['gateway_url']}")
        details = stack.connection
        with Client(Connection(details["gateway_url"], details["token"], details["project"], details)) as client:
            _tail(client)
            try:
                outcome = await scenario.run(client, out.print, patience)
            except DemoFailed as failed:
                err.print(f"the demo failed: {failed}\nlog: {data_dir / 'modelyard.log'}", style="red", markup=False)
                return _FAILED
            holds = report.show(outcome)
    out.print(f"\nKeep it: [bold]modelyard up --data {data_dir}[/bold] starts this stack again.")
    return 0 if holds else _FAILED


def _tail(client: Client) -> None:
    """Print what the services say, live, until the stack stops."""

    def follow() -> None:
        telling = Telling(client)
        try:
            for kind, event in client.events():
                fact = kind.removeprefix("modelyard.evt.").removesuffix(".v1")
                line = f"  [dim]{event['time'][11:23]}[/dim] {fact:<28} {telling(event['data'])}"
                out.print(line, highlight=False)
        except ModelyardError:
            return  # the stack is stopping

    threading.Thread(target=follow, name="event-tail", daemon=True).start()


def _warn(message: str) -> None:
    err.print(message, style="yellow", highlight=False, markup=False)


def _log_to(path: Path) -> None:
    """JSON lines go to a file: the terminal is for the person in front of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    configure("local")
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(path.open("a", encoding="utf-8"))
