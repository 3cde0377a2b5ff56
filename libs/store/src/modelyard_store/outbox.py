"""What a document has to tell the world, kept in the document itself so that both commit together.

Repositories call `add_message` before a save; the bus's relay reads an `Outbox`, publishes each document's messages
in order and trims what is acknowledged. `body["outbox"]` is the number that wait, which the stores index.

What was told stays in `body["told"]` for a while, because the broker may lose what it has acknowledged. It is then said
again, under the same ids: who heard it the first time has nothing to do.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from modelyard_store.documents import Between, Body, Collection, Document, Documents, Index, Query, Sort, Stale

TOLD: Final = Index(("told_at",))
"""Every collection of documents that tell declares it."""
KEPT_MS: Final = 7 * 86_400_000
"""How long a document keeps what it has told, counted from the last of it."""
_MOST_TOLD: Final = 50
_MOST_RELOADS = 50
_AT_ONCE: Final = 100

Edit = Callable[[Body], Body | None]


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """`seq` counts a document's messages from 1 and never repeats."""

    seq: int
    subject: str
    envelope: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """One document's messages, oldest first."""

    id: str
    messages: list[OutboxMessage]


def add_message(body: Body, subject: str, envelope: Mapping[str, Any]) -> int:
    """Append a message to a body that is about to be saved; its sequence number."""
    seq = int(body.get("event_seq", 0)) + 1
    waiting = [*body.get("events", ()), {"seq": seq, "subject": subject, "envelope": dict(envelope)}]
    body.update(events=waiting, outbox=len(waiting), event_seq=seq)
    return seq


def said_again(body: Body) -> Body | None:
    """With everything that it keeps of what it has told among what waits. None when that is nothing."""
    if not body.get("told"):
        return None
    waiting = [*body["told"], *body.get("events", ())]
    return body | {"events": waiting, "outbox": len(waiting), "told": [], "told_at": None}


class Outbox:
    """The messages that wait in one collection, as the relay wants them, and those that were told."""

    def __init__(
        self, documents: Documents, collection: Collection, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._documents = documents
        self._collection = collection
        self._now = now

    async def pending(self, limit: int) -> list[Pending]:
        """At most `limit` documents. Raises StoreUnavailable."""
        found = await self._documents.with_outbox(self._collection, limit)
        return [Pending(each.id, [OutboxMessage(**message) for message in each.body["events"]]) for each in found]

    async def trim(self, id: str, up_to: int) -> None:
        """The messages up to this sequence number are told. Doing it again changes nothing. Raises StoreUnavailable."""

        def trimmed(body: Body) -> Body | None:
            waiting = [message for message in body.get("events", ()) if message["seq"] > up_to]
            if len(waiting) == body.get("outbox"):
                return None
            told = [message for message in body.get("events", ()) if message["seq"] <= up_to]
            kept = [*body.get("told", ()), *told][-_MOST_TOLD:]
            return body | {"events": waiting, "outbox": len(waiting), "told": kept, "told_at": self._now()}

        await self._edit(id, trimmed)

    async def say_again(self) -> int:
        """What all documents have told and keep; how many documents. Raises StoreUnavailable."""
        count = 0
        async for found in self._told(None):
            count += await self._edit(found.id, said_again)
        return count

    async def forget_told(self) -> None:
        """What was told long ago, by documents that wait for nothing. Raises StoreUnavailable."""
        async for found in self._told(self._now() - KEPT_MS):
            if found.body.get("due_at") is None:
                await self._edit(found.id, _forgotten)

    async def _told(self, until: int | None) -> AsyncIterator[Document]:
        query = Query((Between("told_at", 0, until),), (Sort("told_at"),), limit=_AT_ONCE)
        while found := await self._documents.find(self._collection, query):
            for document in found:
                yield document
            query = replace(query, after=query.position(found[-1]))

    async def _edit(self, id: str, edit: Edit) -> bool:
        for _ in range(_MOST_RELOADS):
            document = await self._documents.get(self._collection, id)
            body = edit(document.body) if document is not None else None
            if document is None or body is None:
                return False
            try:
                await self._documents.save(self._collection, Document(id, document.revision, body))
            except Stale:
                continue
            return True
        raise Stale(f"{self._collection.name} {id} changed {_MOST_RELOADS} times while its outbox was written")


def _forgotten(body: Body) -> Body:
    return body | {"told": [], "told_at": None}
