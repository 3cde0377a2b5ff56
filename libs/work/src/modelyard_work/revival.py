"""Nothing accepted stays open for ever. A chore of every process that answers calls.

A message can be lost with its stream, or lie among the dead letters. The document knows: nobody has taken care of it
for a long time. Then it is asked for again; how often its attempts may fail or die is counted where they end. Several
at once do no harm: each change is a compare-and-set, and a job that comes twice finds the document held, or ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from modelyard_contracts.outcome import Outcome
from modelyard_store.watched import Watched
from modelyard_work.sweeping import each_once

ValueT = TypeVar("ValueT")

log = structlog.get_logger()


@dataclass(frozen=True)
class Revival(Generic[ValueT]):
    """`ask_again`: the document with its job among what it says. Left out, it says again what it has told."""

    watched: Watched[ValueT]
    ask_again: Callable[[ValueT], Outcome[ValueT]] | None = None

    async def sweep(self) -> int:
        """How many were asked for again. Raises Away when a store is; the next call goes on."""
        return await each_once(self.watched.due, self._revived)

    async def _revived(self, identifier: str) -> bool:
        revived = await self.watched.revive(identifier, self.ask_again)
        if revived:
            log.warning("asked_for_again", document=identifier)
        return revived
