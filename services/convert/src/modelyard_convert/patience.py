"""Waits for a store or service that is away, inside the job: redeliveries are few, and a restart may take a minute."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from modelyard_contracts.failures import Failure, FailureKind
from modelyard_store.documents import StoreUnavailable

T = TypeVar("T")
FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0

log = structlog.get_logger()


async def patiently(action: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """`action` until it works, tried again for `seconds` when somebody is away; then raises what it raised. The action
    may have happened although it failed, so it must bear to be done twice."""
    now = asyncio.get_running_loop().time
    until, delay = now() + seconds, FIRST_DELAY
    while True:
        try:
            return await action()
        except (StoreUnavailable, Failure) as error:
            if not is_absence(error) or now() + delay > until:
                raise
            log.info("waiting", reason=str(error), seconds=delay)
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


def is_absence(error: Exception) -> bool:
    """Somebody is away, as opposed to saying no."""
    if isinstance(error, Failure):
        return error.kind in (FailureKind.UNAVAILABLE, FailureKind.INTERNAL)
    return isinstance(error, StoreUnavailable)
