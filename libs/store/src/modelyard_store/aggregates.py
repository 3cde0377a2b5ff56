"""One aggregate, one document, one commit: a domain value and what it has to tell the world are saved together.

Every service's `repository.py` builds its named queries on this. The relay publishes what lies in the outbox.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter

from modelyard_contracts.catalogue import Event, Job
from modelyard_contracts.envelope import Envelope
from modelyard_store.documents import Body, Collection, Condition, Document, Documents, Query, Stale
from modelyard_store.outbox import add_message

_KEPT_FIELDS = ("events", "outbox", "event_seq", "claim")  # `outbox` and `claims` alone write these
_MAX_RELOADS = 20

ValueT = TypeVar("ValueT")
Nudge = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Say:
    """One message that goes out once the document it stands in is saved."""

    message: Event[Any] | Job[Any]
    data: BaseModel
    about: str
    correlationid: str | None
    causationid: str | None = None


class Aggregates(Generic[ValueT]):
    """Documents of one collection as domain values of one project."""

    def __init__(
        self, documents: Documents, collection: Collection, kind: type[ValueT], service: str, nudge: Nudge
    ) -> None:
        """`nudge` wakes the relay after a save that left messages; `service` is their producer."""
        self._documents = documents
        self._service = service
        self._collection = collection
        self._adapter: TypeAdapter[ValueT] = TypeAdapter(kind)
        self._nudge = nudge

    async def add(self, project: str, identifier: str, value: ValueT, says: Sequence[Say] = ()) -> None:
        """Raises Duplicate and NotStorable."""
        body = self._body(project, identifier, value, {}, says)
        await self._documents.add(self._collection, identifier, body)
        self._tell(says)

    async def get(self, project: str | None, identifier: str) -> ValueT | None:
        """None also for what belongs to another project; with project None it may be anybody's."""
        document = await self._document(project, identifier)
        return self._value(document) if document else None

    async def change(
        self, project: str | None, identifier: str, decide: Callable[[ValueT], tuple[ValueT, Sequence[Say]]]
    ) -> ValueT | None:
        """Load, decide, save at the same revision; decided anew when somebody else was faster. None when there is no
        such document. What `decide` raises ends it; an unchanged value without messages is not saved."""
        for _ in range(_MAX_RELOADS):
            document = await self._document(project, identifier)
            if document is None:
                return None
            before = self._value(document)
            after, says = decide(before)
            if after == before and not says:
                return after
            body = self._body(document.body["project"], identifier, after, document.body, says)
            try:
                await self._documents.save(self._collection, Document(identifier, document.revision, body))
            except Stale:
                continue
            self._tell(says)
            return after
        raise Stale(f"{self._collection.name} {identifier} changed {_MAX_RELOADS} times while it was being changed")

    def edit(self, identifier: str, decide: Callable[[ValueT], tuple[ValueT, Sequence[Say]]]) -> Callable[[Body], None]:
        """The same decision as a change of the stored body, for `claims`. Wake the relay yourself after its save."""

        def apply(body: Body) -> None:
            after, says = decide(self._adapter.validate_python(body, extra="ignore"))
            body.update(self._body(body["project"], identifier, after, body, says))

        return apply

    async def remove(self, project: str | None, identifier: str) -> bool:
        """False when there was nothing to remove."""
        document = await self._document(project, identifier)
        if document is None:
            return False
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

    def _tell(self, says: Sequence[Say]) -> None:
        if says:
            self._nudge()

    def _value(self, document: Document) -> ValueT:
        return self._adapter.validate_python(document.body, extra="ignore")

    def _body(
        self, project: str, identifier: str, value: ValueT, former: dict[str, Any], says: Sequence[Say]
    ) -> dict[str, Any]:
        body: dict[str, Any] = self._adapter.dump_python(value, mode="json")
        body.update({name: former[name] for name in _KEPT_FIELDS if name in former})
        for say in says:
            envelope = Envelope(
                id=f"{identifier}:{body.get('event_seq', 0) + 1}",
                source=f"modelyard/{self._service}",
                type=say.message.subject,
                subject=say.about,
                project=project,
                correlationid=say.correlationid,
                causationid=say.causationid,
                data=say.data.model_dump(mode="json", exclude_none=True),
            )
            add_message(body, say.message.subject, envelope.model_dump(mode="json", exclude_none=True))
        return body
