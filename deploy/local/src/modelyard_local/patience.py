"""How long to wait for what starts or works: as long as it moves. Called by `child` and by the demo.

A fixed limit is too short on a busy machine and too long for what hangs.
"""

import time
from collections.abc import Callable
from typing import Final

_LOOKS = 10  # within one patience


class Patience:
    """Ends when nothing has moved for `seconds`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: Final = seconds
        self._clock = clock
        self._seen: object = None
        self._moved = self._next_look = clock()

    def holds(self, look: Callable[[], object]) -> bool:
        """`look` answers signs of life: whatever differs once something has moved. It is not asked every time."""
        now = self._clock()
        if now < self._next_look:
            return True
        self._next_look = now + self.seconds / _LOOKS
        if (signs := look()) != self._seen:
            self._seen, self._moved = signs, now
        return now - self._moved < self.seconds
