"""How the parts of a stack start and end together; the whole is tested in tests/e2e."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from modelyard_local import stack
from modelyard_local.child import ChildServer
from modelyard_local.configuration import SERVICES
from modelyard_runtime.process import Service


def ignore(message: str) -> None:
    raise AssertionError(message)


async def test_services_end_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to be told waits here until the last has been told."""
    started: list[str] = []
    ended: list[str] = []
    all_told = asyncio.Barrier(3)

    async def built(service: str, fields: dict[str, Any]) -> Service:
        async def start() -> None:
            started.append(service)

        async def stop() -> None:
            await all_told.wait()
            ended.append(service)

        return Service(service, start=[start], stop=[stop])

    monkeypatch.setattr(stack, "_built", built)
    async with AsyncExitStack() as running:
        await stack._start_inside(running, {"version": {}, "convert": {}, "gateway": {}}, ignore, asyncio.Event())
        assert started == ["version", "convert", "gateway"]
    assert sorted(ended) == sorted(started)


@pytest.mark.parametrize("processes", [False, True])
async def test_each_child_has_the_patience_that_was_asked_for(
    processes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That of the services too, when they are processes."""
    asked: dict[str, float] = {}

    async def start(self: ChildServer) -> None:
        self.ports = self._draw_ports()
        asked[self.name] = self.patience

    async def nothing(*_: object) -> None:
        pass

    monkeypatch.setattr(ChildServer, "start", start)
    for name in ("_declare", "_make_buckets", "_start_inside"):
        monkeypatch.setattr(stack, name, nothing)
    async with stack.running_stack(tmp_path, 0, ignore, processes=processes, patience=7):
        pass
    services = {f"modelyard-{service}" for service in SERVICES} if processes else set()
    assert asked == dict.fromkeys({"nats-server", "weed", *services}, 7)
