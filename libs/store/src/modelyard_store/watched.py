"""Aggregates that are waiting for something: none of them is forgotten.

Beside the value lies `due_at` (ms): when a document that waits has been silent for so long that somebody must look at
it again. Whatever saves the document keeps that right, so none that waits is without. `modelyard_work.revival` looks.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.aggregates import Aggregates, Decide, Nudge, ValueT
from modelyard_store.documents import (
    AnyOf,
    Between,
    Body,
    Collection,
    Document,
    Documents,
    Equals,
    Index,
    Query,
    Scalar,
    Stale,
    value_at,
)
from modelyard_store.outbox import said_again

SILENT_MS: Final = 900_000
"""Far longer than any delivery of a message waits for the next one."""
_MOST_DOUBLINGS: Final = 5
_AT_ONCE: Final = 100


def due_by(field: str) -> Index:
    """A collection of watched documents declares it for the field that tells whether they wait."""
    return Index((field, "due_at"))


class Watched(Aggregates[ValueT]):
    """A document waits while its field `waits_by` has one of the values `waits_in`."""

    kept_fields = (*Aggregates.kept_fields, "due_at", "revived")

    def __init__(
        self,
        documents: Documents,
        collection: Collection,
        kind: type[ValueT],
        service: str,
        nudge: Nudge,
        *,
        now: Callable[[], int],
        waits_by: str,
        waits_in: tuple[Scalar, ...],
        about: Callable[[ValueT], str] | None = None,
    ) -> None:
        super().__init__(documents, collection, kind, service, nudge, about=about)
        self.collection = collection
        self.now = now
        self._waits_by = waits_by
        self._waits_in = waits_in

    async def due(self) -> list[str]:
        """Ids of some waiting documents, of any project, that have been silent for too long."""
        return [document.id for document in await self._waiting_with(Between("due_at", 0, self.now()))]

    async def revive(self, identifier: str, decide: Decide[ValueT] | None = None) -> bool:
        """If it is still silent and nobody holds it, do what asks for it again, or say again what it has told;
        otherwise look at it later. False when it was left alone. Each time in a row waits twice as long: whoever shall
        hear of it may merely be slow."""
        document = await self._document(None, identifier)
        if document is None or not 0 <= (document.body.get("due_at") or -1) <= self.now():
            return False
        body = dict(document.body)
        held_until, revived = (body.get("claim") or {}).get("lease_until", 0), body.get("revived", 0)
        held = held_until > self.now()
        if not held:
            self._ask_again(identifier, body, decide)
            body["revived"] = revived + 1
        body["due_at"] = max(held_until, self.now()) + SILENT_MS * 2 ** min(revived, _MOST_DOUBLINGS)
        try:
            await self._documents.save(self._collection, Document(identifier, document.revision, body))
        except Stale:  # somebody has taken care of it just now
            return False
        self._nudge()
        return not held

    async def remind(self, identifier: str) -> None:
        """Somebody who should know asks again, long after the document has told its end: say it again."""
        document = await self._document(None, identifier)
        if document is None or self.waits(document.body):
            return
        body = said_again(document.body)
        if body is None or document.body["told_at"] + SILENT_MS > self.now():
            return
        with suppress(Stale):
            await self._documents.save(self._collection, Document(identifier, document.revision, body))
        self._nudge()

    async def adopt(self) -> int:
        """Give waiting documents of earlier releases, which know no `due_at`, one; how many there were. At every
        start."""
        adopted = 0
        while found := await self._waiting_with(Equals("due_at", None)):
            for document in found:
                body = document.body | {"due_at": self.now() + SILENT_MS}
                try:
                    await self._documents.save(self._collection, Document(document.id, document.revision, body))
                except Stale:  # its next look finds it changed, and so with one
                    continue
            adopted += len(found)
        return adopted

    def waits(self, body: Body) -> bool:
        return value_at(body, self._waits_by) in self._waits_in

    def _ask_again(self, identifier: str, body: Body, decide: Decide[ValueT] | None) -> None:
        if decide is None:
            body.update(said_again(body) or {})
            return
        outcome = decide(self._value(Document(identifier, 0, body)))
        if outcome is not None:
            after = self._body(body["project"], identifier, outcome, body, Cause(body.get("correlationid")))
            body.clear()
            body.update(after)

    async def _waiting_with(self, due: Between | Equals) -> list[Document]:
        query = Query(where=(AnyOf(self._waits_by, self._waits_in), due), limit=_AT_ONCE)
        return await self._documents.find(self._collection, query)

    def _body(
        self, project: str, identifier: str, outcome: Outcome[ValueT], former: Body, cause: Cause | None
    ) -> dict[str, Any]:
        body = super()._body(project, identifier, outcome, former, cause)
        if not self.waits(body):
            body.pop("due_at", None)
            body.pop("revived", None)
        elif body.get("due_at") is None:
            body["due_at"] = self.now() + SILENT_MS
        return body
