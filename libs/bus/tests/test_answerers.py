"""Who waits for an answer, and for how long: as long as the work takes, and no longer than anybody is there."""

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from modelyard_bus import answerers
from modelyard_bus.answerers import PROBE
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Failure, FailureKind

from .conftest import Until
from .test_calls import ASK, CONTEXT, OTHER, Ask, Told, Wire, echo, wire

__all__ = ["wire"]
pytestmark = pytest.mark.servers
LONG = 25.0  # seconds: past what a test may take


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answerers, "_LOOK_EVERY", 0.02)


async def refused(wire: Wire, call: Any = ASK) -> str:
    with pytest.raises(Failure) as caught:
        await wire.client(call, CONTEXT, Ask(number=7), timeout=LONG)
    assert caught.value.kind is FailureKind.UNAVAILABLE
    return caught.value.message


class Frozen:
    """A process that does not run any more: what it subscribed to is still delivered to it."""

    def __init__(self) -> None:
        self.heard: list[Msg] = []

    async def hear(self, message: Msg) -> None:
        self.heard.append(message)

    @property
    def questions(self) -> int:
        return sum(PROBE not in (message.headers or {}) for message in self.heard)


async def test_a_frozen_service_is_noticed_and_then_told_at_once_until_it_is_back(wire: Wire) -> None:
    frozen = Frozen()
    bus = wire.buses[0]
    subscriptions = [await bus.nats.subscribe(c.subject, queue="evaluate", cb=frozen.hear) for c in (ASK, OTHER)]
    await bus.nats.flush()
    assert await refused(wire) == "the evaluate service does not answer"
    assert frozen.questions == 1
    assert await refused(wire, OTHER) == "the evaluate service does not answer"
    assert frozen.questions == 1, "who is known to be silent is asked nothing but whether it hears"
    for subscription in subscriptions:
        await subscription.unsubscribe()
    await wire.answering(echo)
    assert (await wire.client(ASK, CONTEXT, Ask(number=7))).text.endswith(" 7")


async def test_slow_work_is_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    probes, enough = 0, asyncio.Event()
    heard = answerers.Answerers.hears

    async def counted(*args: Any, **options: Any) -> bool:
        nonlocal probes
        probes += 1
        if probes == 3:
            enough.set()
        return await heard(*args, **options)

    monkeypatch.setattr(answerers.Answerers, "hears", counted)

    async def slow(context: CallContext, request: Ask) -> Told:
        await enough.wait()
        return Told(text="done")

    await wire.answering(slow)
    assert (await wire.client(ASK, CONTEXT, Ask(number=7), timeout=LONG)).text == "done"


async def test_a_service_that_is_full_is_still_there(wire: Wire, until: Until) -> None:
    """More than it does at once: the rest waits its turn, and probes are answered meanwhile."""
    begun, go = 0, asyncio.Event()

    async def slow(context: CallContext, request: Ask) -> Told:
        nonlocal begun
        begun += 1
        await go.wait()
        return Told(text="done")

    await wire.answering(slow)
    asking = [asyncio.create_task(wire.client(ASK, CONTEXT, Ask(number=7), timeout=LONG)) for _ in range(20)]
    await until(lambda: begun == 8)
    assert await wire.client.answered(ASK)
    go.set()
    assert {told.text for told in await asyncio.gather(*asking)} == {"done"}


async def test_a_lost_connection_is_told_to_who_waits_and_to_who_comes(wire: Wire, server: Any, until: Until) -> None:
    begun = asyncio.Event()

    async def forever(context: CallContext, request: Ask) -> Told:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    await wire.answering(forever)
    waiting = asyncio.create_task(refused(wire))
    await begun.wait()
    server.kill()
    assert await waiting == "evaluate.ask was not answered: the connection to NATS is lost"
    await until(lambda: not wire.buses[1].nats.is_connected)
    assert await refused(wire) == "evaluate.ask cannot be asked: no connection to NATS"
    server.start()
    await until(lambda: all(bus.nats.is_connected for bus in wire.buses))


async def test_a_short_interruption_is_waited_out(wire: Wire, server: Any, until: Until) -> None:
    bus = wire.buses[1]
    assert await bus.connected(0)
    server.kill()
    await until(lambda: not bus.nats.is_connected)
    assert not await bus.connected(0.01)
    waiting = asyncio.create_task(bus.connected(LONG))
    server.start()
    assert await waiting
