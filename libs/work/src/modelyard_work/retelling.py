"""Says again what the broker has lost. Part of what every service stands on (`ground`).

JetStream may lose what it has acknowledged: with its folder, with a power cut. Documents keep what they have told for a
while (`modelyard_store.outbox`). When the service's durables are others than before, their streams may be too: then all
of it is said again, under the same ids, and who has heard it already has nothing to do.
"""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from modelyard_bus.connection import Bus
from modelyard_contracts.durables import durables_of
from modelyard_store.documents import Collection, Document, Documents, Duplicate, Stale
from modelyard_store.outbox import Outbox

STREAMS: Final = Collection("told_streams")
"""One document for each service: when its durables were made."""

log = structlog.get_logger()


class Retelling:
    """`look` is called now and then. Several processes at once do no harm."""

    def __init__(
        self, bus: Bus, documents: Documents, service: str, outboxes: Sequence[Outbox], nudge: Callable[[], None]
    ) -> None:
        self._bus = bus
        self._documents = documents
        self._service = service
        self._outboxes = outboxes
        self._nudge = nudge
        self._durables = tuple(durables_of(service))
        self._missing: tuple[str, ...] = ()

    async def check(self) -> str | None:
        """What was missing when it was last looked."""
        names = ", ".join(self._missing)
        return f"no durable {names}: run `python -m modelyard_bus.declare`" if names else None

    async def look(self) -> None:
        """Raises StoreUnavailable; the next call goes on."""
        born = await self._bus.born(self._durables)
        if born is None:
            return  # not known; `Bus.check` says so
        self._missing = tuple(name for name, at in born.items() if at is None)
        if self._missing:
            return
        known = await self._documents.get(STREAMS, self._service)
        before = known.body if known else {}
        if any(before.get(name, at) != at for name, at in born.items()):
            await self._say_again()
        if before != born:
            await self._keep(known, born)

    async def _say_again(self) -> None:
        count = 0
        for outbox in self._outboxes:
            count += await outbox.say_again()
        self._nudge()
        log.warning("said_again", service=self._service, documents=count)

    async def _keep(self, known: Document | None, born: dict[str, str | None]) -> None:
        try:
            if known is None:
                await self._documents.add(STREAMS, self._service, born)
            else:
                await self._documents.save(STREAMS, Document(self._service, known.revision, born))
        except (Duplicate, Stale):
            return  # another process of the service has
