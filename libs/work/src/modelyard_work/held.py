"""Work goes on for as long as its claim can be renewed, and no longer. Used by `long_job`."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from modelyard_store.documents import StoreUnavailable

ResultT = TypeVar("ResultT")
log = structlog.get_logger()


async def while_held(work: Coroutine[Any, Any, ResultT], renew: Callable[[], Awaitable[None]], every: float) -> ResultT:
    """Do the work and `renew` the claim every `every` seconds. What `renew` raises ends the work and is raised here.

    A store that is away does not: the lease may run out, and then the document decides who goes on. A renewal is never
    cut off by the end of the work, so what it was saving is saved or not, but never unknown.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=every))[0]:
            try:
                await renew()
            except StoreUnavailable as error:
                log.warning("claim_not_renewed", error=str(error))
        return await task
    finally:
        task.cancel()
        await asyncio.wait({task})
