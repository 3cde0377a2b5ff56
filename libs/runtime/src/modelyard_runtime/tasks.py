"""Ends tasks that would run for ever."""

import asyncio
from typing import Any, Final

AGAIN: Final = 2.0
"""Seconds that a task has to clean up before it is told once more."""


async def cancelled(*tasks: "asyncio.Task[Any]") -> None:
    """Returns when all have ended; what they raise stays with them.

    Told once is not enough: `asyncio.wait_for` before Python 3.12, and with it the NATS client, loses a cancellation
    that arrives together with what was waited for (https://github.com/python/cpython/issues/86296).
    """
    open_tasks = set(tasks)
    while open_tasks:
        for task in open_tasks:
            task.cancel()
        open_tasks = (await asyncio.wait(open_tasks, timeout=AGAIN))[1]
