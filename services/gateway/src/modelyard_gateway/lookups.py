"""The token behind a secret, the access key behind an id, as long as the documents answer. While they are known not to,
nobody waits for them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from modelyard_contracts.failures import Away
from modelyard_gateway.domain import AccessKey, Token
from modelyard_gateway.repository import AccessRepository

FoundT = TypeVar("FoundT")
WITHIN: Final = 3.0  # seconds
_AGAIN_AFTER: Final = 1_000  # ms


@dataclass
class Lookups:
    """`now` in ms. After a look-up that failed one a second is tried, and all others are refused at once."""

    access: AccessRepository
    now: Callable[[], int]
    _next: int = 0

    async def token_of(self, secret: str) -> Token | None:
        """Raises Away."""
        return await self._look_up(lambda: self.access.token_of(secret))

    async def access_key_of(self, access_key_id: str) -> AccessKey | None:
        """The one that this pair works for now. Raises Away."""
        key = await self._look_up(lambda: self.access.access_key_of(access_key_id))
        return key if key and key.works(access_key_id, self.now()) else None

    async def _look_up(self, look: Callable[[], Awaitable[FoundT]]) -> FoundT:
        if self.now() < self._next:
            raise Away("the documents did not answer a moment ago")
        if self._next:
            self._next = self.now() + _AGAIN_AFTER  # this is the one that is tried
        try:
            async with asyncio.timeout(WITHIN):
                found = await look()
        except (TimeoutError, Away) as error:
            self._next = self.now() + _AGAIN_AFTER
            raise Away(f"nobody can be looked up: {error or 'no answer'}") from error
        self._next = 0
        return found
