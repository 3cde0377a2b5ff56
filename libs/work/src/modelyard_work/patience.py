"""Waits for a store or service that is away, inside an attempt: what it has made so far is too good to throw away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from modelyard_contracts.failures import Away, Failure, is_away

ResultT = TypeVar("ResultT")
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 10.0

log = structlog.get_logger()


async def patiently(action: Callable[[], Awaitable[ResultT]], *, seconds: float) -> ResultT:
    """`action` until it works, tried again for `seconds` when somebody is away; then raises what it raised. The action
    may have happened although it failed, so it must bear to be done twice."""
    now = asyncio.get_running_loop().time
    until, delay = now() + seconds, FIRST_DELAY
    while True:
        try:
            return await action()
        except (Away, Failure) as error:
            if not is_away(error) or now() + delay > until:
                raise
            log.info("waiting", reason=str(error), seconds=delay)
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)
