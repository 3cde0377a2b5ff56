import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from modelyard_bus.connection import Bus
from modelyard_bus.errors import MessageTooLarge
from modelyard_contracts.catalogue import EVENTS, VERSION_FAILED
from modelyard_contracts.envelope import Envelope

from .conftest import Connect

pytestmark = pytest.mark.servers


def said(number: int) -> Envelope:
    return Envelope(source="version", type="t", subject=f"m{number}", project="p1", data={"n": number})


async def take(events: AsyncGenerator[Envelope, None], count: int) -> list[int]:
    return [(await anext(events)).data["n"] for _ in range(count)]


async def consumers_of(operator: Bus) -> int:
    return len(await operator.js.consumers_info(EVENTS.name))


async def test_progress_reaches_who_watches_and_nobody_else(connect: Connect, until: Callable[..., Any]) -> None:
    convert, gateway = await connect("convert"), await connect("gateway")
    await convert.announce("conversion", "c1", {"percent": 1})
    await convert.nats.flush()
    seen: list[dict[str, Any]] = []
    ready = asyncio.Event()

    async def watch() -> None:
        async for progress in gateway.watch_live("conversion", "c1"):
            seen.append(progress)
            ready.set()

    watching = asyncio.create_task(watch())
    while not ready.is_set():  # until the subscription exists
        await convert.announce("conversion", "c1", {"percent": 2})
        await convert.nats.flush()
    await convert.announce("conversion", "c2", {"percent": 3})
    await convert.announce("conversion", "c1", {"percent": 4})
    await until(lambda: seen[-1] == {"percent": 4})
    assert {"percent": 3} not in seen
    assert {"percent": 1} not in seen
    await gateway.close()
    await watching  # ends with the bus


async def test_progress_names_one_thing(connect: Connect) -> None:
    bus = await connect("convert")
    for name in ("*", "a.b", ">", "", "a b"):
        with pytest.raises(ValueError, match="not a subject token"):
            await bus.announce("conversion", name, {})
    with pytest.raises(MessageTooLarge):
        await bus.announce("conversion", "c1", {"text": "x" * 2_000_000})


async def test_progress_while_disconnected_is_dropped(server: Any, connect: Connect, until: Callable[..., Any]) -> None:
    bus = await connect("convert")
    server.kill()
    await until(lambda: not bus.nats.is_connected)
    await bus.announce("conversion", "c1", {"percent": 1})


async def test_events_since_an_instant_in_order_then_live(operator: Bus, connect: Connect) -> None:
    version, gateway = await connect("version"), await connect("gateway")
    before = datetime.now(UTC)
    for number in range(500):
        await version.publish(VERSION_FAILED.subject, said(number))
    events = gateway.watch_events(since=before)
    assert await take(events, 500) == list(range(500))
    await version.publish(VERSION_FAILED.subject, said(500))
    assert await take(events, 1) == [500]
    await events.aclose()


async def test_without_an_instant_only_what_comes(operator: Bus, connect: Connect, until: Callable[..., Any]) -> None:
    version, gateway = await connect("version"), await connect("gateway")
    declared = await consumers_of(operator)
    await version.publish(VERSION_FAILED.subject, said(0))
    events = gateway.watch_events()
    first = asyncio.create_task(take(events, 1))
    while await consumers_of(operator) == declared:
        pass
    await version.publish(VERSION_FAILED.subject, said(1))
    assert await first == [1]
    await events.aclose()


async def test_nothing_is_missed_or_doubled_over_a_kill_of_the_broker(
    server: Any, operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    version, gateway = await connect("version"), await connect("gateway")
    for number in range(10):
        await version.publish(VERSION_FAILED.subject, said(number))
    events = gateway.watch_events(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert await take(events, 5) == [0, 1, 2, 3, 4]
    server.kill()
    server.start()
    await until(lambda: version.nats.is_connected and version.stats.reconnects == 1)
    for number in range(10, 20):
        await version.publish(VERSION_FAILED.subject, said(number))
    assert await take(events, 15) == list(range(5, 20))
    await events.aclose()


async def test_what_is_no_envelope_is_passed_over(operator: Bus, connect: Connect) -> None:
    version, gateway = await connect("version"), await connect("gateway")
    await version.store(VERSION_FAILED.subject, b"junk", {}, 1000)
    await version.publish(VERSION_FAILED.subject, said(1))
    events = gateway.watch_events(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert await take(events, 1) == [1]
    await events.aclose()
