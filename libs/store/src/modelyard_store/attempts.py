"""Long work on aggregates: one attempt at a time takes a document, reports, and finishes or lets go. Used by
`modelyard_work`, and by repositories to make, stop and look for such documents.

The claim lies in the document beside the value (`claims`); a value only learns the number of the newest attempt, in its
field `attempt`. Beside it lies `due_at` (ms): when an open document has been silent for so long that somebody must look
at it again. Whatever saves the document keeps that right, so no open one is without.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store import claims
from modelyard_store.aggregates import Aggregates, Decide, Nudge
from modelyard_store.claims import Edit, Trouble
from modelyard_store.documents import AnyOf, Between, Body, Collection, Document, Documents, Equals, Index, Query, Stale

ValueT = TypeVar("ValueT")

SILENT_MS: Final = 900_000
"""Far longer than any delivery of a job waits for the next one."""
DUE: Final = Index(("state", "due_at"))
"""Every collection of attempts declares it."""
_MOST_DOUBLINGS: Final = 5
_AT_ONCE: Final = 100


class Over(Exception):
    """The document has ended while an attempt was at work: stop, and throw away what was made."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How the attempts before this one ended: `deaths` without a word, `crashes` of their subprocess, `tries` because
    of anything else that was no interruption."""

    attempt: int
    deaths: int = 0
    crashes: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Taken(Generic[ValueT]):
    """A document that an attempt holds, as it was when it was taken. `over`: taking it has ended it."""

    identifier: str
    value: ValueT
    counts: Counts
    over: bool = False


class Attempts(Aggregates[ValueT]):
    """Aggregates with a `state` and an `attempt`. Transitions of open ones to any other state end the work."""

    kept_fields = (*Aggregates.kept_fields, "claim", "due_at", "revived")

    def __init__(
        self,
        documents: Documents,
        collection: Collection,
        kind: type[ValueT],
        service: str,
        nudge: Nudge,
        *,
        now: Callable[[], int],
        open_states: tuple[str, ...],
        about: Callable[[ValueT], str] | None = None,
    ) -> None:
        super().__init__(documents, collection, kind, service, nudge, about=about)
        self.collection = collection
        self._open_states = open_states
        self.now = now

    async def take(
        self, identifier: str, begin: Callable[[ValueT, Counts], Outcome[ValueT]], cause: Cause, lease_ms: int
    ) -> Taken[ValueT] | None:
        """Make the next attempt ours, begun as `begin` says. None when it has ended or is gone. Raises Held."""

        def change(body: Body) -> None:
            self._apply(identifier, body, lambda value: begin(value, _counts(body)), cause, heard=True)
            if body["state"] not in self._open_states:
                body["claim"] = body["claim"] | {"lease_until": 0, "finished": True}

        document = await claims.claim(
            self._documents,
            self._collection,
            identifier,
            now=self.now(),
            lease_ms=lease_ms,
            states=self._open_states,
            change=change,
        )
        self._nudge()
        if document is None:
            return None
        over = document.body["state"] not in self._open_states
        return Taken(identifier, self._value(document), _counts(document.body), over)

    async def report(self, taken: Taken[ValueT], decide: Decide[ValueT], lease_ms: int) -> None:
        """Renew the lease and keep the progress. Raises Lost and Over."""
        await claims.renew(
            *self._place(taken),
            now=self.now(),
            lease_ms=lease_ms,
            change=self._edit(taken.identifier, decide, heard=True),
        )

    async def amend(self, taken: Taken[ValueT], decide: Decide[ValueT]) -> ValueT:
        """Change the document while it is ours. Raises Lost and Over."""
        edit = self._edit(taken.identifier, decide)
        return self._value(await claims.amend(*self._place(taken), edit))

    async def let_go(self, taken: Taken[ValueT], decide: Decide[ValueT], trouble: Trouble | None) -> None:
        """Another attempt may begin at once. Raises Lost and Over."""
        edit = self._edit(taken.identifier, decide, heard=True)
        await claims.let_go(*self._place(taken), trouble=trouble, change=edit)

    async def finish(self, taken: Taken[ValueT], decide: Decide[ValueT], cause: Cause) -> ValueT:
        """The end of the work. Doing it again changes nothing. Raises Lost and Over."""
        edit = self._edit(taken.identifier, decide, cause)
        done = await claims.finish(*self._place(taken), edit)
        self._nudge()
        return self._value(done)

    async def due(self) -> list[str]:
        """Ids of some open documents, of any project, that have been silent for too long."""
        return [document.id for document in await self._open_with(Between("due_at", 0, self.now()))]

    async def revive(self, identifier: str, decide: Decide[ValueT]) -> bool:
        """If it is still silent and nobody holds it, do what asks for it again; otherwise look at it later. False when
        it was left alone. Each time in a row waits twice as long: its job may merely stand in a long queue."""
        document = await self._document(None, identifier)
        if document is None or not 0 <= document.body.get("due_at", -1) <= self.now():
            return False
        body = dict(document.body)
        held_until, revived = (body.get("claim") or {}).get("lease_until", 0), body.get("revived", 0)
        held = held_until > self.now()
        if not held:
            self._apply(identifier, body, decide, Cause(body.get("correlationid")))
            body["revived"] = revived + 1
        body["due_at"] = max(held_until, self.now()) + SILENT_MS * 2 ** min(revived, _MOST_DOUBLINGS)
        try:
            await self._documents.save(self._collection, Document(identifier, document.revision, body))
        except Stale:  # somebody has taken care of it just now
            return False
        self._nudge()
        return not held

    async def adopt(self) -> int:
        """Give open documents of earlier releases, which know no `due_at`, one; how many there were. At every start."""
        adopted = 0
        while found := await self._open_with(Equals("due_at", None)):
            for document in found:
                body = document.body | {"due_at": self.now() + SILENT_MS}
                try:
                    await self._documents.save(self._collection, Document(document.id, document.revision, body))
                except Stale:  # its next look finds it changed, and so with one
                    continue
            adopted += len(found)
        return adopted

    async def _open_with(self, due: Between | Equals) -> list[Document]:
        query = Query(where=(AnyOf("state", self._open_states), due), limit=_AT_ONCE)
        return await self._documents.find(self._collection, query)

    def _place(self, taken: Taken[ValueT]) -> tuple[Documents, Collection, str, int]:
        return self._documents, self._collection, taken.identifier, taken.counts.attempt

    def _edit(
        self, identifier: str, decide: Decide[ValueT], cause: Cause | None = None, *, heard: bool = False
    ) -> Edit:
        return lambda body: self._apply(identifier, body, decide, cause, heard=heard)

    def _apply(
        self, identifier: str, body: Body, decide: Decide[ValueT], cause: Cause | None, *, heard: bool = False
    ) -> None:
        """`heard`: an attempt is at it, so that it is silent no more."""
        if body["state"] not in self._open_states:
            raise Over(f"{self._collection.name} {identifier} is {body['state']}")
        if heard:
            body.update(due_at=self.now() + SILENT_MS, revived=0)
        outcome = decide(self._value(Document(identifier, 0, body)))
        if outcome is not None:
            after = self._body(body["project"], identifier, outcome, body, cause)
            body.clear()
            body.update(after)

    def _value(self, document: Document) -> ValueT:
        attempt = (document.body.get("claim") or {}).get("attempt", document.body.get("attempt", 0))
        return self._adapter.validate_python(document.body | {"attempt": attempt}, extra="ignore")

    def _body(
        self, project: str, identifier: str, outcome: Outcome[ValueT], former: Body, cause: Cause | None
    ) -> dict[str, Any]:
        body = super()._body(project, identifier, outcome, former, cause)
        if body["state"] not in self._open_states:
            body.pop("due_at", None)
        elif body.get("due_at") is None:
            body["due_at"] = self.now() + SILENT_MS
        return body


def _counts(body: Body) -> Counts:
    claim = body["claim"]
    counted = {name: claim.get(name, 0) for name in ("deaths", "crashes", "tries")}
    return Counts(claim["attempt"], **counted)
