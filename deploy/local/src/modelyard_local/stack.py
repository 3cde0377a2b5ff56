"""The whole yard on one machine: embedded NATS and S3, six services, one folder. For `up`, `demo` and the tests."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.server_config import ServerConfig, move_streams, render
from modelyard_contracts.permissions import OPERATOR
from modelyard_local.child import ChildServer
from modelyard_local.configuration import BUCKETS, SERVICES, connection_of, environment_of, settings_of
from modelyard_local.credentials import Credentials, write_private
from modelyard_local.ports import free_port
from modelyard_local.processes import ServiceProcess
from modelyard_local.servers import NatsServer, S3Server
from modelyard_local.stream_keeping import StreamKeeper
from modelyard_runtime.process import Service, supervise
from modelyard_runtime.tasks import cancelled
from modelyard_store.objects import Objects, ObjectSettings

CONNECTION_FILE = "connection.json"
Report = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """A running stack. `lost` is set when a service lost what it lives on and the stack must be started anew."""

    connection: dict[str, Any]
    connection_file: Path
    lost: asyncio.Event


@asynccontextmanager
async def running_stack(
    data_dir: Path, port: int, report: Report, *, processes: bool = False, patience: float = ChildServer.patience
) -> AsyncIterator[Stack]:
    """Everything is ready inside and gone behind, child processes included.

    Raises ServerFailed when a server cannot start or does nothing for `patience` seconds while it starts, and OSError
    when the port is taken.
    """
    credentials = Credentials.of(data_dir)
    port = port or _kept_port(data_dir) or free_port()
    async with AsyncExitStack() as stack:
        nats = NatsServer(data_dir / "nats", partial(_nats_config, credentials))
        s3 = S3Server(data_dir / "s3", credentials.s3_access_key, credentials.s3_secret_key)
        await _start_children(stack, (nats, s3), report, patience)
        async with asyncio.TaskGroup() as preparing:
            preparing.create_task(_declare(nats.url, credentials))
            preparing.create_task(_make_buckets(s3.endpoint, credentials))
        keeper = StreamKeeper(nats, lambda: _as_operator(nats.url, credentials), report)
        stack.push_async_callback(cancelled, asyncio.create_task(keeper.run(), name="streams"))
        lost = asyncio.Event()
        settings = {service: settings_of(service, data_dir, credentials, nats.url, s3.endpoint) for service in SERVICES}
        settings["gateway"]["api_port"] = port
        if processes:
            await _start_children(stack, [_process(data_dir, *each) for each in settings.items()], report, patience)
        else:
            await _start_inside(stack, settings, report, lost)
        connection = connection_of(credentials, f"http://127.0.0.1:{port}", nats.url, s3.endpoint)
        file = data_dir / CONNECTION_FILE
        write_private(file, json.dumps(connection, indent=2) + "\n")
        yield Stack(connection, file, lost)


def _kept_port(data_dir: Path) -> int | None:
    """The gateway keeps its address over restarts, so that scripts and bookmarks stay right."""
    try:
        url = json.loads((data_dir / CONNECTION_FILE).read_text("utf-8"))["gateway_url"]
        return int(url.rsplit(":", 1)[1])
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _nats_config(credentials: Credentials, store: Path, port: int) -> str:
    """Asked for before each start of the server."""
    move_streams(store)
    return render(ServerConfig(store=store, passwords=credentials.nats, port=port))


async def _start_children(
    stack: AsyncExitStack, children: Sequence[ChildServer], report: Report, patience: float
) -> None:
    """Side by side, and so is their end."""
    for child in children:
        child.patience, child.beside = patience, children

    async def stop() -> None:
        await asyncio.gather(*(child.stop() for child in children))

    stack.push_async_callback(stop)
    async with asyncio.TaskGroup() as starting:
        for child in children:
            starting.create_task(child.start())
    for child in children:
        stack.push_async_callback(cancelled, asyncio.create_task(child.keep_running(report)))


async def _as_operator(nats_url: str, credentials: Credentials) -> Bus:
    return await Bus.connect(BusSettings(nats_url, OPERATOR, OPERATOR, credentials.nats[OPERATOR]))


async def _declare(nats_url: str, credentials: Credentials) -> None:
    bus = await _as_operator(nats_url, credentials)
    try:
        await bus.declare()
    finally:
        await bus.close()


async def _make_buckets(endpoint: str, credentials: Credentials) -> None:
    settings = ObjectSettings(endpoint, credentials.s3_access_key, credentials.s3_secret_key, secure=False)
    objects = Objects.connect(settings)
    await asyncio.gather(*(objects.ensure_bucket(bucket) for bucket in BUCKETS.values()))


async def _start_inside(
    stack: AsyncExitStack, settings: dict[str, dict[str, Any]], report: Report, lost: asyncio.Event
) -> None:
    """All services in this process and loop, in order: the gateway is last, when all whom it asks are there. They end
    side by side, as processes would: one that still works on something holds up no other."""
    each = {service: AsyncExitStack() for service in settings}

    async def stop() -> None:
        await asyncio.gather(*(own.aclose() for own in each.values()))

    stack.push_async_callback(stop)
    for service, fields in settings.items():
        running = await each[service].enter_async_context(supervise(await _built(service, fields)))
        if running.service.closed is not None:
            watching = asyncio.create_task(_tell_loss(service, running.service.closed, report, lost))
            stack.push_async_callback(cancelled, watching)


async def _built(service: str, fields: dict[str, Any]) -> Service:
    """Services are known by name only here, so that the stack needs no list of their classes."""
    settings_class = getattr(import_module(f"modelyard_{service}.settings"), f"{service.capitalize()}Settings")
    build: Callable[[Any], Awaitable[Service]] = import_module(f"modelyard_{service}.bootstrap").build
    return await build(settings_class(**fields))


def _process(data_dir: Path, service: str, fields: dict[str, Any]) -> ServiceProcess:
    return ServiceProcess(data_dir / "services" / service, service, environment_of(fields))


async def _tell_loss(service: str, closed: asyncio.Event, report: Report, lost: asyncio.Event) -> None:
    await closed.wait()
    report(f"the {service} service lost what it lives on")
    lost.set()
