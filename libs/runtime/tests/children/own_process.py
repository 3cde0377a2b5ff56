"""A service in its own process, for tests that send it signals: `own_process.py MODE`."""

import asyncio
import atexit
import sys
import threading
from collections.abc import Awaitable, Callable

from modelyard_runtime import process
from modelyard_runtime.process import Service

MODE = sys.argv[1]
process._THREADS_END_WITHIN = 0.5  # type: ignore[misc]  # no test waits as long as an operator would


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if MODE == "say what is taken apart":
    atexit.register(say, "taken apart")


async def build() -> Service:
    if MODE == "fail":
        raise ConnectionError("no NATS at nats://u:hush@host:4222")
    if MODE == "build for ever":
        say("building")
        await asyncio.Event().wait()
    closed = asyncio.Event()

    async def start() -> None:
        say("started")
        if MODE == "close":
            closed.set()
        if MODE == "block a thread":
            asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)

    async def stop() -> None:
        if MODE == "drain for ever":
            say("draining")
            await asyncio.Event().wait()
        say("drained")

    return Service("version", start=[start], stop=[stop], closed=closed)


build.__module__ = "modelyard_version.bootstrap"
named: Callable[[], Awaitable[Service]] = build
process.run(named)
