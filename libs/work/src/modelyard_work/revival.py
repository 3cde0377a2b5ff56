"""Nothing accepted stays open for ever. A chore of every process that answers calls.

A message can be lost with its stream, or lie among the dead letters. The document knows: nobody has taken care of it
for a long time. Then it is asked for again; how often its attempts may fail or die is counted where they end. Several
at once do no harm: each change is a compare-and-set, and a job that comes twice finds the document held, or ended.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from modelyard_contracts.failures import Away
from modelyard_contracts.outcome import Outcome
from modelyard_store.watched import Watched

ValueT = TypeVar("ValueT")

log = structlog.get_logger()


@dataclass(frozen=True)
class Revival(Generic[ValueT]):
    """`ask_again`: the document with its job among what it says. Left out, it says again what it has told."""

    watched: Watched[ValueT]
    ask_again: Callable[[ValueT], Outcome[ValueT]] | None = None

    async def sweep(self) -> int:
        """How many were asked for again. Raises Away when a store is; the next call goes on."""
        asked, seen = 0, set[str]()
        while fresh := [each for each in await self.watched.due() if each not in seen]:
            seen.update(fresh)
            for identifier in fresh:
                asked += await self._revived(identifier)
        return asked

    async def _revived(self, identifier: str) -> bool:
        try:
            revived = await self.watched.revive(identifier, self.ask_again)
        except Away:
            raise
        except Exception:  # one that cannot be read must not keep the others from being looked at
            log.exception("not_revived", document=identifier)
            return False
        if revived:
            log.warning("asked_for_again", document=identifier)
        return revived
