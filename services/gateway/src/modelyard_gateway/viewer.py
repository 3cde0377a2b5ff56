"""One open page of a watched entity: what it has not been sent yet. `watching` fills it, its stream empties it."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from modelyard_gateway.streams import Event

MOST_LINES: Final = 1000  # announcements that wait for one page


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at an entity: its whole view, as the JSON that pages are sent, and whether that is how it ended."""

    view: str
    final: bool


class Viewer:
    """A slow page misses states that are over and announcements beyond the bound, never the newest state."""

    def __init__(self, seen: Seen) -> None:
        self._newest = seen
        self._unsent = True
        self._lines: deque[str] = deque()
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._news.set()

    def see(self, seen: Seen) -> None:
        if seen.view != self._newest.view:
            self._newest, self._unsent = seen, True
            self._news.set()

    def hear(self, line: str) -> None:
        if len(self._lines) < MOST_LINES:
            self._lines.append(line)
            self._news.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._news.set()

    async def events(self) -> AsyncGenerator[Event, None]:
        """The first at once; ends behind the final state. Raises what the viewer was failed with."""
        while True:
            await self._news.wait()
            self._news.clear()
            while event := self._next():
                yield event
            if self._error is not None:
                raise self._error
            if self._newest.final:
                return

    def _next(self) -> Event | None:
        if self._lines:
            return {"event": "progress", "data": self._lines.popleft()}
        if self._unsent:
            self._unsent = False
            return {"event": "state", "data": self._newest.view}
        return None
