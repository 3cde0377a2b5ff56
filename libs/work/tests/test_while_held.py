"""Work goes on for as long as its claim can be renewed, and no longer."""

import asyncio

import pytest

from modelyard_store.claims import Lost
from modelyard_store.documents import StoreUnavailable
from modelyard_work.held import while_held


class Renewals:
    """Fails the given renewals; tells when a certain number was made."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = {int(number.removeprefix("at_")): error for number, error in failures.items()}
        self.count = 0
        self.made = asyncio.Condition()

    async def __call__(self) -> None:
        async with self.made:
            self.count += 1
            self.made.notify_all()
        if error := self.failures.get(self.count):
            raise error

    async def reach(self, count: int) -> str:
        async with self.made:
            await self.made.wait_for(lambda: self.count >= count)
        return "done"


async def test_the_result_comes_back_and_the_claim_was_kept_meanwhile() -> None:
    renewals = Renewals()
    assert await while_held(renewals.reach(3), renewals, 0.001) == "done"


async def test_a_lost_claim_ends_the_work() -> None:
    renewals, ended = Renewals(at_2=Lost("gone")), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Lost):
        await while_held(work(), renewals, 0.001)
    assert ended.is_set()


async def test_a_store_that_is_away_does_not_end_the_work() -> None:
    renewals = Renewals(at_1=StoreUnavailable("away"), at_2=StoreUnavailable("away"))
    assert await while_held(renewals.reach(3), renewals, 0.001) == "done"


async def test_what_the_work_raises_comes_out() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await while_held(work(), Renewals(), 0.001)


async def test_cancelling_cancels_the_work() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    holding = asyncio.create_task(while_held(work(), Renewals(), 0.001))
    await started.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert ended.is_set()
