"""The convert service's own documents: conversions, with every query that is made of them."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter

from modelyard_contracts.envelope import Envelope
from modelyard_convert import domain
from modelyard_convert.domain import Conversion, Outcome
from modelyard_store import claims
from modelyard_store.aggregates import Aggregates, Nudge, Say
from modelyard_store.claims import Edit
from modelyard_store.documents import (
    AnyOf,
    Collection,
    Condition,
    Document,
    Documents,
    Equals,
    Index,
    Query,
    Sort,
)

CONVERSIONS = Collection(
    "conversions",
    indexes=(
        Index(("project", "created_at")),
        Index(("project", "model_id", "created_at")),
        Index(("project", "state", "created_at")),
    ),
)
COLLECTIONS = (CONVERSIONS,)
Decide = Callable[[Conversion], Outcome]
_conversion = TypeAdapter(Conversion)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is said: the request of the outside world, and the message that led to it, if one did."""

    correlationid: str
    causationid: str | None = None

    @classmethod
    def of(cls, envelope: Envelope) -> "Cause":
        return cls(envelope.correlationid or envelope.id, envelope.id)


class Repository:
    def __init__(self, documents: Documents, nudge: Nudge) -> None:
        self._documents = documents
        self._nudge = nudge
        self._conversions = Aggregates(documents, CONVERSIONS, Conversion, "convert", nudge)

    async def add(self, outcome: Outcome, cause: Cause) -> None:
        """Raises Duplicate."""
        made = outcome.conversion
        await self._conversions.add(made.project, made.conversion_id, made, _says(outcome, cause))

    async def get(self, project: str, conversion_id: str) -> Conversion | None:
        return await self._conversions.get(project, conversion_id)

    async def change(self, project: str, conversion_id: str, decide: Decide, cause: Cause) -> Conversion | None:
        """None when there is none. Raises what `decide` raises."""

        def decided(conversion: Conversion) -> tuple[Conversion, tuple[Say, ...]]:
            outcome = decide(conversion)
            return outcome.conversion, _says(outcome, cause)

        return await self._conversions.change(project, conversion_id, decided)

    async def page(
        self, project: str, model_id: str | None, state: str | None, offset: int, limit: int
    ) -> tuple[int, list[Conversion]]:
        """How many there are, and one page of them, newest first."""
        where: tuple[Condition, ...] = (Equals("project", project),)
        where += (Equals("model_id", model_id),) if model_id is not None else ()
        where += (Equals("state", state),) if state is not None else ()
        query = Query(where=where, sort=(Sort("created_at", descending=True),), offset=offset, limit=limit)
        return await self._conversions.count(where), await self._conversions.find(query)

    async def unfinished_of(self, project: str, model_id: str) -> list[Conversion]:
        where = (Equals("project", project), Equals("model_id", model_id), AnyOf("state", domain.UNFINISHED))
        return await self._conversions.find(Query(where=where))

    async def remove(self, project: str, conversion_id: str) -> str | None:
        """Why it was not removed; None when it is gone. Raises Stale when it was changed at the same moment."""
        document = await self._documents.get(CONVERSIONS, conversion_id)
        if document is None or document.body["project"] != project:
            return "there is no such conversion"
        if kept := domain.why_kept(_conversion.validate_python(document.body)):
            return kept
        if document.body.get("outbox"):
            return "its end has not been told to the other services yet; try again"
        await self._documents.remove(CONVERSIONS, document)
        return None

    async def claim(self, conversion_id: str, *, now: int, lease_ms: int, cause: Cause) -> Conversion | None:
        """None when there is nothing to do. Raises Held."""
        document = await claims.claim(
            self._documents,
            CONVERSIONS,
            conversion_id,
            now=now,
            lease_ms=lease_ms,
            states=domain.UNFINISHED,
            change=self._edit(conversion_id, lambda found: domain.begun(found, now=now), cause),
        )
        return self._read(document) if document else None

    async def renew(self, conversion: Conversion, decide: Decide, *, now: int, lease_ms: int, cause: Cause) -> None:
        """Raises Lost, and what `decide` raises."""
        identifier = conversion.conversion_id
        edit = self._edit(identifier, decide, cause)
        await claims.renew(
            self._documents, CONVERSIONS, identifier, conversion.attempt, now=now, lease_ms=lease_ms, change=edit
        )

    async def finish(self, conversion: Conversion, decide: Decide, *, cause: Cause) -> Conversion:
        """Raises Lost, and what `decide` raises."""
        identifier = conversion.conversion_id
        edit = self._edit(identifier, decide, cause)
        return self._read(await claims.finish(self._documents, CONVERSIONS, identifier, conversion.attempt, edit))

    def _edit(self, conversion_id: str, decide: Decide, cause: Cause) -> Edit:
        def decided(conversion: Conversion) -> tuple[Conversion, tuple[Say, ...]]:
            outcome = decide(conversion)
            return outcome.conversion, _says(outcome, cause)

        return self._conversions.edit(conversion_id, decided)

    def _read(self, document: Document) -> Conversion:
        self._nudge()
        return _conversion.validate_python(document.body)


def _says(outcome: Outcome, cause: Cause) -> tuple[Say, ...]:
    about = outcome.conversion.conversion_id
    return tuple(Say(message, data, about, cause.correlationid, cause.causationid) for message, data in outcome.says)
