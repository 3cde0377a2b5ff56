"""The life of a service: build, start, serve health, wait, drain. Every `__main__.py` calls `run(bootstrap.build)`.

The local stack runs all services in one loop and calls `supervise` for each instead.
"""

import asyncio
import logging as standard_logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import structlog
import uvloop
from structlog.contextvars import bound_contextvars

from modelyard_runtime import logging
from modelyard_runtime.health import ANSWER_WITHIN, Check, Readiness, health_app
from modelyard_runtime.http_server import HttpServer
from modelyard_runtime.metrics import ServiceMetrics
from modelyard_runtime.settings import ServiceSettings

Step = Callable[[], Awaitable[None]]
Build = Callable[[], Awaitable["Service"]]

_STEP_ENDS_WITHIN: Final = 10.0  # seconds
_THREADS_END_WITHIN: Final = 5.0
_FAILED: Final = 1
_TOLD_TWICE: Final = 130

log = structlog.get_logger()


@dataclass(frozen=True)
class Service:
    """What `bootstrap.build` returns: everything opened and bound, nothing running yet.

    `stop` runs in reverse, also after a `start` that failed half-way: a stop must bear that its start never came.
    `closed` is set by what the service cannot live without; then the process ends, for a supervisor to start it anew.
    """

    name: str
    checks: Mapping[str, Check] = field(default_factory=dict)
    start: Sequence[Step] = ()
    stop: Sequence[Step] = ()
    closed: asyncio.Event | None = None
    stats: Mapping[str, Any] = field(default_factory=dict)  # dataclasses of integers by prefix, for /metrics
    facts: Mapping[str, str] = field(default_factory=dict)  # what an operator shall see at start and in /readyz
    http_host: str = "127.0.0.1"
    http_port: int = 0
    answer_within: float = ANSWER_WITHIN  # seconds, for a check
    on_readiness: Callable[[Readiness], None] = lambda _: None  # who tells others whether it is ready


@dataclass(frozen=True)
class Running:
    """`port` is the one on which health is served."""

    service: Service
    port: int


def run(build: Build) -> NoReturn:
    """Own the process until it is told to stop. Exit code 0 after SIGTERM or SIGINT, 1 when it failed or lost what it
    lives on. A second signal ends it at once."""
    logging.configure(_name_of(build), ServiceSettings().log_level)
    leave(uvloop.run(_until_told(build)))


def leave(code: int) -> NoReturn:
    """End the process, when everything in it has been stopped. The interpreter would first take every library apart:
    a second of work, many on a busy machine, to free what the system frees anyway."""
    standard_logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


@asynccontextmanager
async def supervise(service: Service) -> AsyncIterator[Running]:
    """Started and ready inside, drained behind. Raises what a start step raised, after stopping."""
    metrics = ServiceMetrics(service.name, service.stats)
    readiness = Readiness(service.checks, metrics, service.answer_within)
    service.on_readiness(readiness)
    health = HttpServer(health_app(readiness, metrics, service.facts), service.http_host, service.http_port)
    try:
        with bound_contextvars(service=service.name):  # tasks started in here keep the name
            await health.start()
            for step in service.start:
                await step()
            log.info("started", health=f"http://{health.host}:{health.port}", **service.facts)
        readiness.phase = "running"
        yield Running(service, health.port)
    finally:
        readiness.phase = "stopping"
        with bound_contextvars(service=service.name):
            for step in reversed(service.stop):
                await _stop(step)
            await _stop(health.stop)
            log.info("stopped")


async def _stop(step: Step) -> None:
    try:
        async with asyncio.timeout(_STEP_ENDS_WITHIN):
            await step()
    except Exception:
        log.exception("a stop step failed", step=getattr(step, "__qualname__", str(step)))


async def _until_told(build: Build) -> int:
    work = asyncio.create_task(_work(build))
    told = False

    def tell() -> None:
        nonlocal told
        if told:
            os._exit(_TOLD_TWICE)
        told = True
        work.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, tell)
    await asyncio.wait({work})
    code = 0 if told else _FAILED
    _leave_threads_behind(code)
    return code


async def _work(build: Build) -> None:
    try:
        service = await build()
        async with supervise(service):
            await (service.closed or asyncio.Event()).wait()
            log.error("lost what it lives on", service=service.name)
    except Exception:
        log.exception("ended by an error")


def _leave_threads_behind(code: int) -> None:
    """A blocked thread (a transfer that hangs) would keep Python from exiting for ever."""
    timer = threading.Timer(_THREADS_END_WITHIN, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _name_of(build: Build) -> str:
    return build.__module__.split(".")[0].removeprefix("modelyard_")
