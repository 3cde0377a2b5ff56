"""Whose request is worked on next, of those that `lanes` let in: one process answers all, and each request that is
worked on at the same time slows the others. `edge` comes here."""

import asyncio
import time
from typing import Final

from modelyard_gateway.domain import Token
from modelyard_gateway.lanes import Lane, Lanes

HOLD: Final = 0.025  # seconds; what takes longer waits for a store or a service
LARGE: Final = 64 * 1024  # bytes of an answer
REST: Final = 2.0  # times what a large answer took
ALONE: Final = 1.0  # seconds since another token asked


class Turns:
    """While several tokens ask, each is worked on one request at a time, and each project two; what waits for somebody
    else gives its turn away. After a large answer its caller rests. Who asks alone needs no turns."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._working = Lanes(per_token=1, per_project=2)
        self._last: str | None = None
        self._shared_at = -ALONE

    async def enter(self, token: Token) -> "Turn":
        """Raises TooManyRequests, as `Lanes`."""
        lane = await self._lanes.enter(token)
        if self._alone(token):
            return Turn(lane)
        try:
            return Turn(lane, await self._working.enter(token))
        except BaseException:
            lane.leave()
            raise

    def _alone(self, token: Token) -> bool:
        now = time.monotonic()
        if token.token_id != self._last:
            self._last, self._shared_at = token.token_id, now
        return now - self._shared_at >= ALONE


class Turn:
    """Of one request."""

    def __init__(self, lane: Lane, working: Lane | None = None) -> None:
        self._lane = lane
        self._working = working
        self._began = time.monotonic()
        self._over = asyncio.get_running_loop().call_later(HOLD, working.leave) if working else None

    def leave(self, sent: int) -> None:
        """`sent` bytes were answered."""
        self._lane.leave()
        if self._working is None or self._over is None or self._over.cancelled():
            return
        self._over.cancel()
        if sent < LARGE:
            self._working.leave()
        else:
            rest = REST * (time.monotonic() - self._began)
            asyncio.get_running_loop().call_later(rest, self._working.leave)
