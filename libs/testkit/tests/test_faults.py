"""Ports that fail on purpose fail where the test says, and nowhere else."""

import pytest

from modelyard_store.objects import ObjectStoreUnavailable
from modelyard_testkit.faults import ALWAYS, Faults, meanwhile
from modelyard_testkit.objects import MemoryObjects


async def test_calls_pass_then_fail_then_happen_and_fail() -> None:
    real, faults = MemoryObjects("b"), Faults("put", passing=1, away=1, lost=1, error=ObjectStoreUnavailable)
    objects = faults.before(real)
    await objects.put("b", "passed", b"")
    for key in ("away", "lost"):
        with pytest.raises(ObjectStoreUnavailable, match="the store is away"):
            await objects.put("b", key, b"")
    await objects.put("b", "again", b"")
    assert [found.key async for found in objects.list("b", "")] == ["again", "lost", "passed"]
    assert faults.seen == 4


async def test_without_names_all_calls_fail_until_they_need_not() -> None:
    faults = Faults(away=ALWAYS, error=ObjectStoreUnavailable)
    objects = faults.before(MemoryObjects("b"))
    for _ in range(3):
        with pytest.raises(ObjectStoreUnavailable):
            await objects.stat("b", "x")
    faults.away = 0
    assert await objects.stat("b", "x") is None


async def test_somebody_comes_in_between() -> None:
    real = MemoryObjects("b")

    async def overwrite() -> None:
        await real.put("b", "x", b"theirs")

    objects = meanwhile(real, overwrite, "read")
    await objects.put("b", "x", b"ours")
    assert await objects.read("b", "x", 10) == b"theirs"
