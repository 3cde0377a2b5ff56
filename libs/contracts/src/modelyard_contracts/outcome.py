"""What a decision comes to, and why it was made. Domains return outcomes, repositories save them.

State and message are one: what an outcome says goes out once, and only if, its value is saved.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.catalogue import Event, Job
from modelyard_contracts.envelope import Envelope

ValueT = TypeVar("ValueT")
Message = tuple[Event[Any] | Job[Any], BaseModel]


@dataclass(frozen=True)
class Outcome(Generic[ValueT]):
    """The thing as it is afterwards, and what is then said of it, in this order."""

    value: ValueT
    says: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something changes: the request of the outside world, the message that led to it, if one did, and who asked
    or reported."""

    correlationid: str | None
    causationid: str | None = None
    by: str = ""

    @classmethod
    def asked(cls, context: CallContext) -> "Cause":
        return cls(context.correlationid, by=context.actor)

    @classmethod
    def of(cls, envelope: Envelope, by: str | None = None) -> "Cause":
        """`by`: whoever the message tells of; without one it is the service that sent it."""
        service = f"service:{envelope.source.removeprefix('modelyard/')}"
        return cls(envelope.correlationid or envelope.id, envelope.id, by or service)
