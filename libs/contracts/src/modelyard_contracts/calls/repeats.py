"""Repeated requests: the same Idempotency-Key meets what it made before. Used by every call that creates something.

The id of what is made is derived from the caller and the key, so two requests under one key race for one document, and
nobody meets what somebody else made under the same key; the digest of the request, kept with it, tells a repeat from
another request that reuses the key.
"""

import hashlib
from typing import Any

from pydantic import BaseModel

from modelyard_contracts import codes
from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.ids import derived_id, new_id


class KeyReused(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.CONFLICT,
            codes.EXISTS,
            "Idempotency-Key was used with another request",
            field="Idempotency-Key",
            rule="one key, one request",
        )


def created_id(context: CallContext, call: Call[Any, Any]) -> str:
    """The id of what this call makes: a new one, or with a key always the same for this caller."""
    key = context.idempotency_key
    return derived_id(context.project, call.subject, *_whose(context), key) if key else new_id()


def _whose(context: CallContext) -> tuple[str, ...]:
    """A service's keys come from ids that are its own, and what it asked before this rule must be met after it."""
    return () if context.actor.startswith("service:") else (context.actor,)


def request_digest(request: BaseModel) -> str:
    """Hexadecimal SHA-256 of the request in its JSON form, without what has its default: a field that a later release
    adds makes no other request of it."""
    return hashlib.sha256(request.model_dump_json(exclude_defaults=True).encode()).hexdigest()
