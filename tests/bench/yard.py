"""`modelyard up` as a process of its own, as a user would start it, and what belongs to it."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from modelyard import Client
from modelyard.connection import find_connection
from modelyard_bus.connection import Bus, BusSettings
from modelyard_local.ports import free_port
from modelyard_store.objects import Objects, ObjectSettings

_PATIENCE = 180.0


@dataclass(frozen=True)
class Yard:
    """`up_seconds`: from the start of the program to the first time that the gateway says it is ready."""

    data: Path
    process: subprocess.Popen[bytes]
    up_seconds: float

    @property
    def details(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.data / "connection.json").read_text())
        return loaded

    @property
    def passwords(self) -> dict[str, str]:
        """Of the NATS identities."""
        found: dict[str, str] = json.loads((self.data / "credentials.json").read_text())["nats"]
        return found

    def client(self) -> Client:
        return Client(find_connection(self.data / "connection.json"))

    def objects(self) -> Objects:
        s3 = self.details["s3"]
        return Objects.connect(ObjectSettings(s3["endpoint"], s3["access_key"], s3["secret_key"], s3["secure"]))

    async def bus(self, identity: str) -> Bus:
        return await Bus.connect(BusSettings(self.details["nats_url"], identity, identity, self.passwords[identity]))

    def tree(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@asynccontextmanager
async def running_yard(data: Path, *options: str) -> AsyncIterator[Yard]:
    """Stopped by Ctrl-C behind."""
    port = _known_port(data) or free_port()
    program = str(Path(sys.executable).with_name("modelyard"))
    data.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - as below
    started = time.perf_counter()
    with (data / "output.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs in this loop meanwhile
            [program, "up", "--data", str(data), "--port", str(port), *options], stdout=log, stderr=log
        )
    try:
        while not await _ready(port):
            if process.poll() is not None or time.perf_counter() - started > _PATIENCE:
                raise RuntimeError(f"the stack did not come up, see {data}/output.log")
            await asyncio.sleep(0.01)
        yield Yard(data, process, time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait)


def _known_port(data: Path) -> int | None:
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads((data / "connection.json").read_text())["gateway_url"].rsplit(":", 1)[1])
    return None


async def _ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status = await reader.readline()
        writer.close()
    except OSError:
        return False
    return b" 200 " in status
