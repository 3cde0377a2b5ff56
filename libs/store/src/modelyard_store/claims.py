"""Who works on a long job: an attempt number and a lease inside the document. Called by the job handlers.

JetStream hands a job to a second worker when the first seems dead, and accepts a late acknowledgement of the first.
So the document decides: every claim raises `body["claim"]["attempt"]`, and a worker may only write what it has made
while the number is still its own. The lease (ms since 1970 UTC) keeps others from starting while it is renewed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from collections.abc import Collection as Values
from typing import Any, TypeVar

from modelyard_contracts.ids import new_id
from modelyard_store.documents import Body, Collection, Document, Documents, Stale, StoreUnavailable, value_at

Edit = Callable[[Body], object]
ResultT = TypeVar("ResultT")
log = logging.getLogger(__name__)
_MOST_RELOADS = 50


class Held(Exception):  # noqa: N818 - says what is the case
    """Another attempt holds the job until `until`, ms since 1970 UTC: come back then."""

    def __init__(self, until: int) -> None:
        super().__init__(f"another worker holds it until {until}")
        self.until = until


class Lost(Exception):  # noqa: N818 - says what happened
    """The attempt is no longer ours, or the document is gone: stop, and throw away what was made."""


def _nothing(body: Body) -> None:
    """No further change."""


async def claim(
    documents: Documents,
    collection: Collection,
    id: str,
    *,
    now: int,
    lease_ms: int,
    states: Values[str],
    state_field: str = "state",
    change: Edit = _nothing,
) -> Document | None:
    """Make the next attempt ours and apply `change` (move the state, say so) in the same save.

    None when there is nothing to do: the document is gone or in none of `states`. Raises Held and StoreUnavailable.
    An attempt whose worker died can be claimed once its lease is over, so `states` includes the one that `change` sets.
    """
    token = new_id()
    unsure: StoreUnavailable | None = None
    for _ in range(_MOST_RELOADS):
        document = await documents.get(collection, id)
        held = _claim_of(document)
        if held.get("token") == token:  # the save whose answer got lost had happened
            return document
        if document is None or value_at(document.body, state_field) not in states:
            return None
        if held.get("lease_until", 0) > now:
            raise Held(held["lease_until"])
        body = document.body | {
            "claim": {"attempt": held.get("attempt", 0) + 1, "lease_until": now + lease_ms, "token": token}
        }
        change(body)
        try:
            return await documents.save(collection, Document(id, document.revision, body))
        except Stale:
            continue
        except StoreUnavailable as error:
            if unsure is not None:
                raise
            unsure = error
    raise Stale(f"{collection.name} {id} changed {_MOST_RELOADS} times while it was being claimed")


def attempt_of(document: Document) -> int:
    """The number of the newest attempt, 0 before the first."""
    return int(_claim_of(document).get("attempt", 0))


def is_ours(document: Document | None, attempt: int) -> bool:
    """Whether this attempt is the newest one and has not finished."""
    held = _claim_of(document)
    return held.get("attempt") == attempt and not held.get("finished")


async def renew(
    documents: Documents,
    collection: Collection,
    id: str,
    attempt: int,
    *,
    now: int,
    lease_ms: int,
    change: Edit = _nothing,
) -> Document:
    """Prolong the lease and apply `change` (progress); the document as it is now. Raises Lost, StoreUnavailable."""
    return await _edit(documents, collection, id, attempt, terms={"lease_until": now + lease_ms}, change=change)


async def amend(documents: Documents, collection: Collection, id: str, attempt: int, change: Edit) -> Document:
    """Apply `change` and leave the lease as it is. Raises Lost, StoreUnavailable."""
    return await _edit(documents, collection, id, attempt, terms={}, change=change)


async def finish(documents: Documents, collection: Collection, id: str, attempt: int, change: Edit) -> Document:
    """Apply the result if the attempt is still ours. Doing it again changes nothing. Raises Lost, StoreUnavailable."""
    return await _edit(documents, collection, id, attempt, terms={"lease_until": 0, "finished": True}, change=change)


async def _edit(
    documents: Documents, collection: Collection, id: str, attempt: int, *, terms: dict[str, Any], change: Edit
) -> Document:
    for _ in range(_MOST_RELOADS):
        document = await documents.get(collection, id)
        held = _claim_of(document)
        if document is None or held.get("attempt") != attempt:
            raise Lost(f"{collection.name} {id}: attempt {attempt} is no longer ours")
        if held.get("finished"):
            if terms.get("finished"):
                return document
            raise Lost(f"{collection.name} {id}: attempt {attempt} has finished")
        body = document.body | {"claim": held | terms}
        change(body)
        try:
            return await documents.save(collection, Document(id, document.revision, body))
        except Stale:
            continue
    raise Stale(f"{collection.name} {id} changed {_MOST_RELOADS} times while attempt {attempt} wrote to it")


def _claim_of(document: Document | None) -> dict[str, Any]:
    return (document.body.get("claim") or {}) if document is not None else {}


async def while_held(work: Coroutine[Any, Any, ResultT], renew: Callable[[], Awaitable[None]], every: float) -> ResultT:
    """Do the work and `renew` the claim every `every` seconds. What `renew` raises ends the work and is raised here.

    A store that is away does not: the lease may run out, and then the document decides who goes on. A renewal is never
    cut off by the end of the work, so what it was saving is saved or not, but never unknown.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=every))[0]:
            try:
                await renew()
            except StoreUnavailable as error:
                log.warning("claim not renewed: %s", error)
        return await task
    finally:
        task.cancel()
        await asyncio.wait({task})
