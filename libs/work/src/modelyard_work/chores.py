"""What a service does by itself, now and then. Started and stopped by bootstrap.

They run in every process that answers calls; what keeps two from harming each other is in each chore.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

import structlog

from modelyard_runtime.tasks import cancelled

log = structlog.get_logger()

Chore = Callable[[], Awaitable[object]]


class Chores:
    def __init__(self, chores: Sequence[Chore], every: float) -> None:
        """`every` in seconds, on average: processes that start together do not stay together."""
        self._chores = chores
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="chores")

    async def stop(self) -> None:
        if self._task is not None:
            await cancelled(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every * (0.5 + secrets.randbelow(1000) / 1000))
            for chore in self._chores:
                try:
                    await chore()
                except Exception:  # whatever it was, the next time comes
                    log.warning("chore_failed", chore=getattr(chore, "__qualname__", str(chore)), exc_info=True)
