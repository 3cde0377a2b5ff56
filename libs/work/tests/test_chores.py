"""Chores come again and again, whatever happens in one of them."""

import asyncio

from modelyard_work.chores import Chores


async def test_a_chore_that_fails_stops_neither_the_others_nor_itself() -> None:
    done, enough = list[str](), asyncio.Event()

    async def fails() -> None:
        done.append("fails")
        raise RuntimeError("the store is away")

    async def works() -> None:
        done.append("works")
        if len(done) >= 6:
            enough.set()

    chores = Chores((fails, works), every=0.001)
    await chores.start()
    await enough.wait()
    await chores.stop()
    assert done[:4] == ["fails", "works", "fails", "works"]
    await Chores((), every=1).stop()
