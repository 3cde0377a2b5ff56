"""Wrong tokens and signatures, by address: they are logged, and whoever goes on guessing is answered slowly. A right
one always passes, as honest callers may share an address with the one who guesses."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from modelyard_gateway.errors import TooManyAttempts, Unauthenticated

FREE: Final = 20  # wrong ones at once; then one per second
_MOST_ADDRESSES: Final = 10_000
_PAUSE: Final = 1.0  # seconds
_LOG_EVERY: Final = 10_000  # ms, of one address that guesses

log = structlog.get_logger()


async def _second() -> None:
    await asyncio.sleep(_PAUSE)


@dataclass
class _Wrong:
    """`level` sinks by one a second. Instants are ms."""

    level: float
    seen: int
    logged: float = float("-inf")
    unlogged: int = 0


class Attempts:
    """`now` in ms; `pause` is how long who guesses has to wait for each answer."""

    def __init__(self, now: Callable[[], int], pause: Callable[[], Awaitable[None]] = _second) -> None:
        self._now = now
        self._pause = pause
        self._wrong: OrderedDict[str, _Wrong] = OrderedDict()

    async def refuse(self, address: str, refusal: Unauthenticated) -> Unauthenticated | TooManyAttempts:
        """What to answer to a wrong token or signature, when it is time to."""
        wrong = self._noted(address)
        many = wrong.level > FREE
        if not many or self._now() - wrong.logged >= _LOG_EVERY:
            log.warning("token.wrong", address=address, times=wrong.unlogged, slowed_down=many)
            wrong.logged, wrong.unlogged = self._now(), 0
        if not many:
            return refusal
        await self._pause()
        return TooManyAttempts()

    def _noted(self, address: str) -> _Wrong:
        now = self._now()
        wrong = self._wrong.setdefault(address, _Wrong(0, now))
        self._wrong.move_to_end(address)
        if len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        wrong.level = min(max(0.0, wrong.level - (now - wrong.seen) / 1000), FREE) + 1
        wrong.seen = now
        wrong.unlogged += 1
        return wrong
