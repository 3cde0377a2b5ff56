"""Long work on aggregates: one attempt at a time takes a document, reports, and finishes or lets go. Used by
`modelyard_work`, and by repositories to make, stop and look for such documents.

The claim lies in the document beside the value (`claims`); a value only learns the number of the newest attempt, in its
field `attempt`. While it is open it is watched (`watched`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store import claims
from modelyard_store.aggregates import Decide, Nudge
from modelyard_store.claims import Edit, Trouble
from modelyard_store.documents import Body, Collection, Document, Documents
from modelyard_store.watched import SILENT_MS, Watched, due_by

ValueT = TypeVar("ValueT")

DUE: Final = due_by("state")
"""Every collection of attempts declares it."""


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


class Attempts(Watched[ValueT]):
    """Aggregates with a `state` and an `attempt`. Transitions of open ones to any other state end the work."""

    kept_fields = (*Watched.kept_fields, "claim")

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
        super().__init__(
            documents, collection, kind, service, nudge, now=now, waits_by="state", waits_in=open_states, about=about
        )
        self._open_states = open_states

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


def _counts(body: Body) -> Counts:
    claim = body["claim"]
    counted = {name: claim.get(name, 0) for name in ("deaths", "crashes", "tries")}
    return Counts(claim["attempt"], **counted)
