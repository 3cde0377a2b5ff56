"""Which document a request makes: with an idempotency key always the same one. Used by gallery and competitions."""

import hashlib
from typing import Any

from pydantic import BaseModel

from modelyard_bus.calls import CallContext
from modelyard_contracts.calls import Call
from modelyard_contracts.ids import derived_id, new_id


def requested_id(context: CallContext, call: Call[Any, Any]) -> str:
    key = context.idempotency_key
    return derived_id(context.project, f"{call.service}.{call.verb}", key) if key else new_id()


def digest_of(request: BaseModel) -> str:
    """Tells a repeated request from another one under the same key."""
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()
