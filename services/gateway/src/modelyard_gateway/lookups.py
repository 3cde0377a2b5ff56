"""The token behind a secret, as long as the documents answer. While they are known not to, nobody waits for them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.failures import Away
from modelyard_gateway.domain import Token
from modelyard_gateway.repository import AccessRepository

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
        if self.now() < self._next:
            raise Away("the documents did not answer a moment ago")
        if self._next:
            self._next = self.now() + _AGAIN_AFTER  # this is the one that is tried
        try:
            async with asyncio.timeout(WITHIN):
                token = await self.access.token_of(secret)
        except (TimeoutError, Away) as error:
            self._next = self.now() + _AGAIN_AFTER
            raise Away(f"no token can be looked up: {error or 'no answer'}") from error
        self._next = 0
        return token
