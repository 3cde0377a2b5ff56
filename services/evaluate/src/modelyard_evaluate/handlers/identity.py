"""Ids of what a call creates: the same request under the same Idempotency-Key meets what it made before."""

import hashlib

from pydantic import BaseModel

from modelyard_bus.calls import CallContext
from modelyard_contracts.ids import derived_id, new_id


def id_for(context: CallContext, verb: str) -> str:
    key = context.idempotency_key
    return derived_id(context.project, f"evaluate.{verb}", key) if key else new_id()


def digest_of(request: BaseModel) -> str:
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()
