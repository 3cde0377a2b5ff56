"""Long work on aggregates: one attempt at a time takes a document, reports, and finishes or lets go. Used by
`modelyard_work`, and by repositories to make, stop and look for such documents.

The claim lies in the document beside the value (`claims`); a value only learns the number of the newest attempt, in its
field `attempt`. While it is open it is watched (`watched`), and beside the value lies `turn`: which job asks for it,
and from when on (ms) anybody may take it, whoever's job was delivered; see `ready_after`.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from modelyard_contracts.catalogue import Job
from modelyard_contracts.outcome import Cause, Message, Outcome
from modelyard_store import claims
from modelyard_store.aggregates import Decide, Nudge
from modelyard_store.claims import Edit, Trouble
from modelyard_store.documents import Between, Body, Collection, Document, Documents, Equals, Index, Query, Sort, Stale
from modelyard_store.watched import SILENT_MS, Watched, due_by

ValueT = TypeVar("ValueT")

AFTER_LEASE_MS: Final = 5_000
"""So long the job of an attempt that died, or let go, has for being delivered again, before others look at it."""
DUE: Final = due_by("state")
TURN: Final = Index(("turn.job", "project", "turn.ready_at"))
"""Every collection of attempts declares both."""


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


@dataclass(frozen=True, slots=True)
class Ready:
    """An open document that waits, or whose worker has died."""

    identifier: str
    project: str
    correlationid: str | None


class Attempts(Watched[ValueT]):
    """Aggregates with a `state` and an `attempt`. Transitions of open ones to any other state end the work."""

    kept_fields = (*Watched.kept_fields, "claim", "turn")

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

    async def ready_after(self, job: str, project: str) -> Ready | None:
        """The oldest document that waits for this job, of the next project in the order of their names; after the last
        comes the first again. None when nobody waits. What it costs does not depend on how many wait."""
        for first in (project + "!", ""):  # a name is made of what comes behind "!"
            where = (Equals("turn.job", job), Between("project", first), Between("turn.ready_at", 0, self.now()))
            order = (Sort("project"), Sort("turn.ready_at"))
            query = Query(where, order, limit=1, only=("project", "turn", "correlationid"))
            for found in await self._documents.find(self._collection, query):
                return Ready(found.id, found.body["project"], found.body.get("correlationid"))
        return None

    async def put_off(self, identifier: str) -> None:
        """For a long time only its own job shall take it: it cannot be read here."""
        document = await self._document(None, identifier)
        if document is not None and (turn := document.body.get("turn")):
            body = document.body | {"turn": turn | {"ready_at": self.now() + SILENT_MS}}
            with suppress(Stale):  # somebody has taken care of it just now
                await self._documents.save(self._collection, Document(identifier, document.revision, body))

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
            _keep_turn(body)
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
        if not self.waits(body):
            body.pop("turn", None)
        elif job := _job_in(outcome.says):
            body["turn"] = {"ready_at": self.now()} | body.get("turn", {}) | {"job": job}
        return body


def _job_in(says: tuple[Message, ...]) -> str | None:
    return next((message.subject for message, _ in says if isinstance(message, Job)), None)


def _keep_turn(body: Body) -> None:
    """Nobody's while an attempt holds it. When that lets go, this stays: its own job comes first."""
    lease_until = (body.get("claim") or {}).get("lease_until", 0)
    if lease_until and "turn" in body:
        body["turn"] = body["turn"] | {"ready_at": lease_until + AFTER_LEASE_MS}


def _counts(body: Body) -> Counts:
    claim = body["claim"]
    counted = {name: claim.get(name, 0) for name in ("deaths", "crashes", "tries")}
    return Counts(claim["attempt"], **counted)
