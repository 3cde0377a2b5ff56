"""Whether a service has heard all that was said to it, on a real server and with the service's own permissions."""

import asyncio
from typing import Any

import pytest

from modelyard_bus.backlog import caught_up
from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import IMPORT_FAILED
from modelyard_contracts.envelope import Envelope

from .conftest import Connect

pytestmark = pytest.mark.servers


def failed(number: int) -> Envelope:
    data = {"import_id": f"i{number}", "model_id": f"m{number}", "code": "ModelArts.3017", "reason": "gone"}
    return Envelope(source="import", type="t", subject=f"m{number}", project="p1", data=data)


async def test_not_before_what_waits_is_handled(operator: Bus, connect: Connect, consumers: Any) -> None:
    version, importer = await connect("version"), await connect("import")
    assert await caught_up(version, "version", 0)
    for number in range(3):
        await importer.publish(IMPORT_FAILED.subject, failed(number))
    assert not await caught_up(version, "version", 0.2)

    go_on, holding = asyncio.Event(), asyncio.Event()

    async def hold(envelope: Envelope, data: Any) -> None:
        holding.set()
        await go_on.wait()

    await consumers(version, "version", {IMPORT_FAILED.subject: hold})
    await holding.wait()
    assert not await caught_up(version, "version", 0.2)
    go_on.set()
    assert await caught_up(version, "version", 3600)


async def test_what_is_said_later_does_not_count(operator: Bus, connect: Connect, consumers: Any) -> None:
    version, importer = await connect("version"), await connect("import")

    async def take(envelope: Envelope, data: Any) -> None:
        number = int(envelope.subject.removeprefix("m")) + 1
        if not enough.is_set():
            await importer.publish(IMPORT_FAILED.subject, failed(number))

    enough = asyncio.Event()
    await consumers(version, "version", {IMPORT_FAILED.subject: take})
    await importer.publish(IMPORT_FAILED.subject, failed(0))
    assert await caught_up(version, "version", 3600)
    enough.set()
