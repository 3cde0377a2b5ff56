"""Throw-away NATS, S3 and MongoDB-wire servers, one of each for a whole test run. Loaded by the root `conftest.py`.

Each starts when the first test asks for it and keeps its data in a temporary folder. Tests share them: use your own
bucket, database or project name. A test that breaks a server starts its own (`modelyard_local.servers`).
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelyard_bus.server_config import ServerConfig, render
from modelyard_contracts.permissions import IDENTITIES
from modelyard_local.child import ChildServer, program
from modelyard_local.ports import free_port
from modelyard_local.servers import NatsServer, S3Server

_MONGO_URI = "MODELYARD_TEST_MONGO_URI"


@dataclass(frozen=True)
class RunningNats:
    """`passwords` by user name; `url` without credentials."""

    url: str
    passwords: Mapping[str, str] = field(repr=False)


class MongoWireServer(ChildServer):
    """nx-27017: speaks the MongoDB wire protocol on SQLite. Each database is a file of its own in the folder."""

    name = "nx-27017"

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/"

    def _draw_ports(self) -> dict[str, int]:
        return {"main": free_port()}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        folder = self.data_dir / "databases"
        folder.mkdir(exist_ok=True)
        files = ["--data-dir", str(folder), "--log-file", str(self.log_file), "--pid-file", str(self.data_dir / "pid")]
        script = program(self.name, self.name)
        return [sys.executable, script, "--host", "127.0.0.1", "--port", str(self.port), *files], {}

    async def _answers(self) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        return True

    def _clean(self, ports: Mapping[str, int]) -> None:
        """Leaves nothing outside its folder."""


@contextmanager
def running(server: ChildServer) -> Iterator[None]:
    """Start and stop a server from synchronous code, without touching the current event loop."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(server.start())
        try:
            yield
        finally:
            runner.run(server.stop())


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3: `endpoint` ("host:port", plain HTTP), `access_key`, `secret_key`; region us-east-1; no buckets."""
    server = S3Server(tmp_path_factory.mktemp("s3"), "test-access-key", secrets.token_urlsafe(24))
    with running(server):
        yield server


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNats]:
    """A running JetStream with one user per identity and the permissions of the catalogue; no streams yet."""
    passwords = {identity: secrets.token_urlsafe(24) for identity in IDENTITIES}

    def configure(store: Path, port: int) -> str:
        return render(ServerConfig(store=store, passwords=passwords, port=port))

    server = NatsServer(tmp_path_factory.mktemp("nats"), configure)
    with running(server):
        yield RunningNats(server.url, passwords)


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB: the one in MODELYARD_TEST_MONGO_URI, otherwise nx-27017."""
    if given := os.environ.get(_MONGO_URI):
        yield given
        return
    server = MongoWireServer(tmp_path_factory.mktemp("mongo"), port=0)
    with running(server):
        yield server.uri
