"""What a document has to tell the world, kept in the document itself so that both commit together.

Repositories call `add_message` before a save; the bus's relay reads an `Outbox`, publishes each document's messages
in order and trims what is acknowledged. `body["outbox"]` is the number that wait, which the stores index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard_store.documents import Body, Collection, Document, Documents, Stale

_MOST_RELOADS = 50


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


class Outbox:
    """The messages that wait in one collection, as the relay wants them."""

    def __init__(self, documents: Documents, collection: Collection) -> None:
        self._documents = documents
        self._collection = collection

    async def pending(self, limit: int) -> list[Pending]:
        """At most `limit` documents. Raises StoreUnavailable."""
        found = await self._documents.with_outbox(self._collection, limit)
        return [Pending(each.id, [OutboxMessage(**message) for message in each.body["events"]]) for each in found]

    async def trim(self, id: str, up_to: int) -> None:
        """Forget the messages up to this sequence number. Doing it again changes nothing. Raises StoreUnavailable."""
        for _ in range(_MOST_RELOADS):
            document = await self._documents.get(self._collection, id)
            if document is None:
                return
            waiting = [message for message in document.body.get("events", ()) if message["seq"] > up_to]
            if len(waiting) == document.body.get("outbox"):
                return
            body = document.body | {"events": waiting, "outbox": len(waiting)}
            try:
                await self._documents.save(self._collection, Document(id, document.revision, body))
            except Stale:
                continue
            return
        raise Stale(f"{self._collection.name} {id} changed {_MOST_RELOADS} times while its outbox was trimmed")
