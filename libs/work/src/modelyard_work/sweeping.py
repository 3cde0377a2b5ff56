"""How a chore walks documents that look for care: each once, and one that fails keeps none of the others from it."""

from collections.abc import Awaitable, Callable

import structlog

from modelyard_contracts.failures import Away

log = structlog.get_logger()


async def each_once(found: Callable[[], Awaitable[list[str]]], care: Callable[[str], Awaitable[bool]]) -> int:
    """Ask for ids until all of them were seen; how many `care` was true for. Raises Away when a store is; the next
    call goes on."""
    cared, seen = 0, set[str]()
    while fresh := [each for each in await found() if each not in seen]:
        seen.update(fresh)
        for identifier in fresh:
            try:
                cared += await care(identifier)
            except Away:
                raise
            except Exception:  # perhaps it cannot be read
                log.exception("left_alone", document=identifier, chore=getattr(care, "__qualname__", str(care)))
    return cared
