"""Requests under way, by token and by project. Whoever asks more than its share waits for itself; `edge` comes here."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from modelyard_gateway.domain import Token
from modelyard_gateway.errors import TooManyRequests

MOST_WAITING: Final = 100  # of one token
PAUSE: Final = 1.0  # seconds before one more is told so: refusing is work too


class _Line:
    """`inside` are those under way and those who wait."""

    def __init__(self, limit: int) -> None:
        self.gate = asyncio.Semaphore(limit)
        self.inside = 0


class Lanes:
    """In the order they came, within each token and each project."""

    def __init__(self, per_token: int, per_project: int) -> None:
        self._per_token = per_token
        self._tokens = defaultdict[str, _Line](lambda: _Line(per_token))
        self._projects = defaultdict[str, _Line](lambda: _Line(per_project))

    async def enter(self, token: Token) -> "Lane":
        """Raises TooManyRequests when as many wait already as may."""
        if self._tokens[token.token_id].inside >= self._per_token + MOST_WAITING:
            await asyncio.sleep(PAUSE)
            raise TooManyRequests(MOST_WAITING)
        lane = Lane()
        try:
            await lane.take(self._tokens, token.token_id)
            await lane.take(self._projects, token.project)
        except BaseException:
            lane.leave()
            raise
        return lane


@dataclass
class Lane:
    """Of one request."""

    _taken: list[tuple[defaultdict[str, _Line], str]] = field(default_factory=list)

    async def take(self, lines: defaultdict[str, _Line], key: str) -> None:
        lines[key].inside += 1
        try:
            await lines[key].gate.acquire()
        except BaseException:
            _forget(lines, key)
            raise
        self._taken.append((lines, key))

    def leave(self) -> None:
        while self._taken:
            lines, key = self._taken.pop()
            lines[key].gate.release()
            _forget(lines, key)


def _forget(lines: defaultdict[str, _Line], key: str) -> None:
    """A line in which nobody is costs nothing."""
    lines[key].inside -= 1
    if not lines[key].inside:
        del lines[key]
