"""Who works on a long job: an attempt number and a lease inside the document. Called by `attempts`.

JetStream hands a job to a second worker when the first seems dead, and accepts a late acknowledgement of the first.
So the document decides: every claim raises `body["claim"]["attempt"]`, and a worker may only write what it has made
while the number is still its own. The lease (ms since 1970 UTC) keeps others from starting while it is renewed.

How the attempts before ended is counted here too, where nobody can count wrongly: whoever ends says so, and who has
said nothing until the lease was over has died.
"""

from collections.abc import Callable
from collections.abc import Collection as Values
from contextlib import suppress
from typing import Any, Literal

from modelyard_contracts.ids import new_id
from modelyard_store.documents import Body, Collection, Document, Documents, Stale, StoreUnavailable, value_at

Edit = Callable[[Body], object]
Trouble = Literal["tries", "crashes"]
_MOST_RELOADS = 50


class Held(Exception):
    """Another attempt holds the job until `until`, ms since 1970 UTC: come back then."""

    def __init__(self, until: int) -> None:
        super().__init__(f"another worker holds it until {until}")
        self.until = until


class Lost(Exception):
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
        if (until := held.get("lease_until", 0)) > now:
            if until - now <= lease_ms:
                raise Held(until)
            # Longer than any lease: the clock was set back. Whoever is at it renews it; of the dead it ends in time.
            shorter = document.body | {"claim": held | {"lease_until": now + lease_ms}}
            with suppress(Stale):
                await documents.save(collection, Document(id, document.revision, shorter))
            raise Held(now + lease_ms)
        died = held.get("lease_until", 0) > 0  # not finished, not let go of
        terms = {
            "attempt": held.get("attempt", 0) + 1,
            "lease_until": now + lease_ms,
            "token": token,
            "finished": False,
        }
        body = document.body | {"claim": held | terms | {"deaths": held.get("deaths", 0) + died}}
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


async def let_go(
    documents: Documents,
    collection: Collection,
    id: str,
    attempt: int,
    *,
    trouble: Trouble | None,
    change: Edit = _nothing,
) -> Document:
    """Another attempt may begin at once; this one counts as `trouble`, or not at all when it was only interrupted.
    Raises Lost, StoreUnavailable."""
    return await _edit(documents, collection, id, attempt, terms={"lease_until": 0}, trouble=trouble, change=change)


async def finish(documents: Documents, collection: Collection, id: str, attempt: int, change: Edit) -> Document:
    """Apply the result if the attempt is still ours. Doing it again changes nothing. Raises Lost, StoreUnavailable."""
    return await _edit(documents, collection, id, attempt, terms={"lease_until": 0, "finished": True}, change=change)


async def _edit(
    documents: Documents,
    collection: Collection,
    id: str,
    attempt: int,
    *,
    terms: dict[str, Any],
    trouble: Trouble | None = None,
    change: Edit,
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
        counted = {} if trouble is None else {trouble: held.get(trouble, 0) + 1}
        body = document.body | {"claim": held | terms | counted}
        change(body)
        try:
            return await documents.save(collection, Document(id, document.revision, body))
        except Stale:
            continue
    raise Stale(f"{collection.name} {id} changed {_MOST_RELOADS} times while attempt {attempt} wrote to it")


def _claim_of(document: Document | None) -> dict[str, Any]:
    return (document.body.get("claim") or {}) if document is not None else {}
