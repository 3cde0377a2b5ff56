"""So many handlers at once, and projects take turns for what becomes free. Used by `consume`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Line = deque[asyncio.Future[None]]


class Slots:
    """First come, first served within a project; a project that was served stands behind the others again."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lines: dict[str, Line] = {}

    @asynccontextmanager
    async def taken(self, project: str) -> AsyncIterator[None]:
        if self._free:
            self._free -= 1
        else:
            await self._wait(project)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, project: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(project, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it became ours in the moment in which it was given up
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._lines:
            project = next(iter(self._lines))
            line = self._lines.pop(project)
            turn = line.popleft()
            if line:
                self._lines[project] = line
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
