"""A real nats-server per test on a free loopback port, with the permissions of the catalogue, and buses into it."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer
from modelyard_bus.server_config import ServerConfig, render
from modelyard_contracts.catalogue import events_heard_by
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.permissions import IDENTITIES, OPERATOR

BINARY = Path(sys.prefix) / "bin" / "nats-server"


class Server:
    """nats-server as a child process; it keeps port and store over `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self.passwords = {identity: f"secret of {identity}" for identity in IDENTITIES}
        self._config = folder / "nats.conf"
        self._config.write_text(render(ServerConfig(store=folder / "store", passwords=self.passwords, port=self.port)))
        self._log = folder / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([BINARY, "-c", self._config, "-l", self._log])
        while self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError(self._log.read_text())

    def kill(self) -> None:
        """kill -9, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def settings(self, identity: str, password: str | None = None) -> BusSettings:
        return BusSettings(self.url, identity, identity, password or self.passwords[identity])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Running, nothing declared."""
    running = Server(tmp_path)
    running.start()
    yield running
    running.stop()


Connect = Callable[[str], Awaitable[Bus]]


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Connect]:
    """Connects as an identity; closes everything afterwards."""
    opened: list[Bus] = []

    async def open_bus(identity: str) -> Bus:
        bus = await Bus.connect(server.settings(identity))
        opened.append(bus)
        return bus

    yield open_bus
    for bus in opened:
        await bus.nats.close()


@pytest.fixture
async def operator(connect: Connect) -> Bus:
    """Streams and durables are declared."""
    bus = await connect(OPERATOR)
    await bus.declare()
    return bus


Until = Callable[[Callable[[], Any]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Waits for a condition."""

    async def wait(condition: Callable[[], Any]) -> None:
        while not condition():  # noqa: ASYNC110 - conditions of a server have no event to wait for
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def consumers() -> AsyncIterator[Callable[..., Awaitable[Consumer]]]:
    """Starts a consumer whose other events are taken without a word; stops it afterwards."""
    started: list[Consumer] = []

    async def ignore(envelope: Envelope, data: Any) -> None:
        pass

    async def start(bus: Bus, service: str, handlers: dict[Any, Any]) -> Consumer:
        consumer = Consumer(bus, service)
        for event in events_heard_by(service):
            consumer.on_event(event, handlers.get(event.subject, ignore))
        await consumer.start()
        started.append(consumer)
        return consumer

    yield start
    for consumer in started:
        await consumer.stop(grace=1)
