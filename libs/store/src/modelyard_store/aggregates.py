"""One aggregate, one document, one commit: a domain value and what it has to tell the world are saved together.

Every service's `repository.py` builds its named queries on this. The relay publishes what lies in the outbox.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter

from modelyard_contracts.envelope import Envelope
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.documents import Body, Collection, Condition, Document, Documents, Query, Stale
from modelyard_store.outbox import add_message

_MAX_RELOADS = 20

ValueT = TypeVar("ValueT")
Nudge = Callable[[], None]
Decide = Callable[[ValueT], Outcome[ValueT] | None]


class Untold(Exception):
    """The document has messages that are not sent yet, which would go with it: try again."""


class Aggregates(Generic[ValueT]):
    """Documents of one collection as domain values of one project."""

    kept_fields: ClassVar[tuple[str, ...]] = (
        "events",
        "outbox",
        "event_seq",
        "told",
        "told_at",
    )  # `outbox` writes these

    def __init__(
        self,
        documents: Documents,
        collection: Collection,
        kind: type[ValueT],
        service: str,
        nudge: Nudge,
        *,
        about: Callable[[ValueT], str] | None = None,
    ) -> None:
        """`nudge` wakes the relay after a save that left messages; `service` is their producer. Whom messages are
        `about` is heard in order; the value's own id where that is left out."""
        self._documents = documents
        self._service = service
        self._collection = collection
        self._adapter: TypeAdapter[ValueT] = TypeAdapter(kind)
        self._nudge = nudge
        self._about = about

    async def add(self, project: str, identifier: str, outcome: Outcome[ValueT], cause: Cause | None = None) -> None:
        """`cause` may be left out where nothing is said. Raises Duplicate and NotStorable."""
        body = self._body(project, identifier, outcome, {}, cause)
        await self._documents.add(self._collection, identifier, body)
        self._tell(outcome)

    async def get(self, project: str | None, identifier: str) -> ValueT | None:
        """None also for what belongs to another project; with project None it may be anybody's."""
        document = await self._document(project, identifier)
        return self._value(document) if document else None

    async def change(
        self, project: str | None, identifier: str, decide: Decide[ValueT], cause: Cause | None = None
    ) -> ValueT | None:
        """Load, decide, save at the same revision; decided anew when somebody else was faster. None when there is no
        such document. What `decide` raises ends it; None from it, or the same value without a word, is not saved."""
        for _ in range(_MAX_RELOADS):
            document = await self._document(project, identifier)
            if document is None:
                return None
            before = self._value(document)
            outcome = decide(before)
            if outcome is None or (outcome.value == before and not outcome.says):
                return before
            body = self._body(self._home(document.body), identifier, outcome, document.body, cause)
            try:
                await self._documents.save(self._collection, Document(identifier, document.revision, body))
            except Stale:
                continue
            self._tell(outcome)
            return outcome.value
        raise Stale(f"{self._collection.name} {identifier} changed {_MAX_RELOADS} times while it was being changed")

    async def remove(self, project: str | None, identifier: str) -> bool:
        """False when there was nothing to remove. Raises Untold, and Stale when it was changed at the same moment."""
        document = await self._document(project, identifier)
        if document is None:
            return False
        if document.body.get("outbox"):
            raise Untold(f"{self._collection.name} {identifier} has not told everything yet")
        await self._documents.remove(self._collection, document)
        return True

    async def find(self, query: Query) -> list[ValueT]:
        return [self._value(document) for document in await self._documents.find(self._collection, query)]

    async def count(self, where: Sequence[Condition]) -> int:
        return await self._documents.count(self._collection, where)

    async def _document(self, project: str | None, identifier: str) -> Document | None:
        document = await self._documents.get(self._collection, identifier)
        if document is None or (project is not None and document.body.get("project") != project):
            return None
        return document

    def _home(self, body: dict[str, Any]) -> str:
        """The project that messages about it name. Where it lies may be set apart from that, in `home`."""
        return str(body.get("home") or body["project"])

    def _tell(self, outcome: Outcome[ValueT]) -> None:
        if outcome.says:
            self._nudge()

    def _value(self, document: Document) -> ValueT:
        return self._adapter.validate_python(document.body, extra="ignore")

    def _body(
        self, project: str, identifier: str, outcome: Outcome[ValueT], former: Body, cause: Cause | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = self._adapter.dump_python(outcome.value, mode="json")
        body.update({name: former[name] for name in self.kept_fields if name in former})
        about = self._about(outcome.value) if self._about else identifier
        for message, data in outcome.says:
            if cause is None:
                raise TypeError(f"{message.subject} needs a cause")
            envelope = Envelope(
                # Streams swallow what comes under a known id: whoever foresees one could say something else under it.
                id=f"{identifier}:{body.get('event_seq', 0) + 1}:{secrets.token_hex(8)}",
                source=f"modelyard/{self._service}",
                type=message.subject,
                subject=about,
                project=project,
                correlationid=cause.correlationid,
                causationid=cause.causationid,
                data=data.model_dump(mode="json", exclude_none=True),
            )
            add_message(body, message.subject, envelope.model_dump(mode="json", exclude_none=True))
        return body
