"""Large pages, one after the other: each is tens of milliseconds in which nobody else is answered. Used by the routes
that list models."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from fastapi import Response

from modelyard_bus.slots import Slots

LARGE: Final = 256 * 1024  # bytes
REST: Final = 2.0  # times what the page took, for everybody else


class LargePages:
    """A project whose last page was large takes turns with others of its kind. After each page everybody else has a
    turn, while its caller has the answer already."""

    def __init__(self) -> None:
        self._slots = Slots(1)
        self._large: set[str] = set()
        self._resting: set[asyncio.Task[None]] = set()

    async def __call__(self, project: str, ask: Callable[[], Awaitable[Response]]) -> Response:
        async with AsyncExitStack() as turn:
            if project in self._large:
                await turn.enter_async_context(self._slots.taken(project))
            began = time.monotonic()
            page = await ask()
            if len(page.body) < LARGE:
                self._large.discard(project)
                return page
            self._large.add(project)
            rest = asyncio.create_task(_rest(turn.pop_all(), REST * (time.monotonic() - began)))
            self._resting.add(rest)
            rest.add_done_callback(self._resting.discard)
        return page


async def _rest(turn: AsyncExitStack, seconds: float) -> None:
    async with turn:
        await asyncio.sleep(seconds)
