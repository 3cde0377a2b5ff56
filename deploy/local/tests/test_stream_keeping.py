"""What a person would do by hand when NATS has lost its streams or stores nothing, done by the stack itself."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.errors import BusError
from modelyard_bus.server_config import ServerConfig, render
from modelyard_contracts.permissions import IDENTITIES, OPERATOR
from modelyard_local import stream_keeping
from modelyard_local.servers import NatsServer
from modelyard_local.stream_keeping import StreamKeeper
from modelyard_runtime.tasks import cancelled
from modelyard_testkit.small_disk import fill, small_disk

pytestmark = pytest.mark.servers

PASSWORDS = {identity: f"secret of {identity}" for identity in IDENTITIES}


class Kept:
    """A server with its keeper; `told` is what the keeper reports."""

    def __init__(self, server: NatsServer) -> None:
        self.server = server
        self.told: list[str] = []

    async def connect(self) -> Bus:
        return await Bus.connect(BusSettings(self.server.url, OPERATOR, OPERATOR, PASSWORDS[OPERATOR]))

    async def missing(self) -> str | None:
        """None once every stream is there and stores."""
        try:
            bus = await self.connect()
        except BusError as error:
            return str(error)
        try:
            return await bus.check()
        finally:
            await bus.close()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    while not await condition():  # noqa: ASYNC110 - what is waited for happens in a server
        await asyncio.sleep(0.05)


@asynccontextmanager
async def keeping(folder: Path) -> AsyncIterator[Kept]:
    def configure(store: Path, port: int) -> str:
        return render(ServerConfig(store=store, passwords=PASSWORDS, port=port))

    server = NatsServer(folder, configure)
    await server.start()
    kept = Kept(server)
    bus = await kept.connect()
    await bus.declare()
    await bus.close()
    tasks = [
        asyncio.create_task(server.keep_running(kept.told.append)),
        asyncio.create_task(StreamKeeper(server, kept.connect, kept.told.append).run()),
    ]
    try:
        yield kept
    finally:
        await cancelled(*tasks)
        await server.stop()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_keeping, "EVERY", 0.1)
    monkeypatch.setattr(stream_keeping, "BETWEEN_RESTARTS", 1.0)


async def test_streams_come_back_when_their_folder_is_lost(tmp_path: Path) -> None:
    async with keeping(tmp_path / "nats") as kept:

        async def whole() -> bool:
            return await kept.missing() is None and any("declared anew" in line for line in kept.told)

        shutil.rmtree(kept.server.store)
        await until(whole)
        assert kept.told.count("the folder of NATS is gone; starting it again") == 1


async def test_a_server_that_stores_nothing_is_started_again_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "nats" / "jetstream", 32) as disk:
        async with keeping(tmp_path / "nats") as kept:

            async def stuck() -> bool:
                return "does not store" in str(await kept.missing())

            async def whole() -> bool:
                return await kept.missing() is None

            pid = kept.server.pid
            filler = fill(disk)
            await until(stuck)
            assert kept.server.pid == pid, "while there is no room, another start would not help"
            filler.unlink()
            await until(whole)
            assert kept.server.pid != pid
            assert any("although there is room" in line for line in kept.told)
