"""Whose turn it is, without a server."""

import asyncio
from collections.abc import Callable

import pytest

from modelyard_bus.slots import Slots


class Work:
    """Everybody lines up in the order of `names`, whose first letter is the project; `order` is who came in when."""

    def __init__(self, slots: Slots) -> None:
        self.slots, self.order = slots, list[str]()
        self.doors: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def line_up(self, *names: str) -> None:
        for name in names:
            self.doors[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._one(name))
        await settled()

    async def _one(self, name: str) -> None:
        async with self.slots.taken(name[0]):
            self.order.append(name)
            await self.doors[name].wait()

    async def finish(self) -> list[str]:
        for door in self.doors.values():
            door.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        return self.order


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_projects_take_turns_and_each_keeps_its_order() -> None:
    work = Work(Slots(1))
    await work.line_up("a0", "a1", "a2", "a3", "b0", "c0", "c1")
    assert work.order == ["a0"]
    assert await work.finish() == ["a0", "a1", "b0", "c0", "a2", "c1", "a3"]


async def test_as_many_as_there_are_slots() -> None:
    work = Work(Slots(3))
    await work.line_up("a0", "a1", "a2", "a3", "b0")
    assert work.order == ["a0", "a1", "a2"]
    work.doors["a1"].set()
    await settled()
    assert work.order == ["a0", "a1", "a2", "a3"]
    await work.finish()


def before(work: Work) -> None:
    """While it waits."""


def at_the_moment(work: Work) -> None:
    """It has just been given the slot, and does not know yet."""
    work.doors["a0"].set()


@pytest.mark.parametrize("happens", [before, at_the_moment])
async def test_who_gives_up_holds_no_slot(happens: Callable[[Work], None]) -> None:
    work = Work(Slots(1))
    await work.line_up("a0", "a1", "b0")
    happens(work)
    for _ in range(2 if work.doors["a0"].is_set() else 0):
        await asyncio.sleep(0)
    work.tasks["a1"].cancel()
    assert (await work.finish())[-1] == "b0"
    await work.line_up("c0")
    assert (await work.finish())[-1] == "c0", "it is free again"


async def test_what_fails_gives_its_slot_back() -> None:
    slots = Slots(1)
    for _ in range(2):
        with pytest.raises(KeyError):
            async with slots.taken("a"):
                raise KeyError("surprise")
    async with asyncio.timeout(20), slots.taken("b"):
        pass
