"""A stream whose disk was full stores nothing until the server is restarted, while its neighbours do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import EVENTS, JOBS
from modelyard_testkit.small_disk import fill, small_disk

from .conftest import Connect, Server

pytestmark = pytest.mark.servers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with small_disk(tmp_path / "store", 8):
        running = Server(tmp_path)
        running.start()
        yield running
        running.stop()


async def test_readiness_knows_each_stream_that_does_not_store(
    server: Server, operator: Bus, connect: Connect, tmp_path: Path, until: Callable[..., Any]
) -> None:
    version = await connect("version")
    assert await version.check() is None
    filler = fill(tmp_path / "store")
    full = await version.check()
    assert full is not None
    assert EVENTS.name in full
    filler.unlink()
    still = await version.check()
    assert still is not None
    assert EVENTS.name in still
    assert "restart NATS" in still
    server.kill()
    await until(lambda: not version.nats.is_connected)
    server.start()
    await until(lambda: version.nats.is_connected)
    assert await version.check() is None


async def test_what_shows_that_it_stores_does_not_stay(operator: Bus, until: Callable[..., Any]) -> None:
    for _ in range(3):
        assert await operator.check() is None
    kept = (await operator.js.stream_info(JOBS.name, subjects_filter=JOBS.subjects[1])).config
    assert kept.allow_msg_ttl
    raw = await operator.js.get_last_msg(JOBS.name, JOBS.probe("operator"))
    assert (raw.headers or {})["Nats-TTL"] == "5s"
