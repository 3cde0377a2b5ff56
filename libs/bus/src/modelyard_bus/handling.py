"""What is being handled right now: bound to the log lines, and readable by whoever writes follow-up messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import structlog

from modelyard_contracts.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery to one handler. On the `last` one, failing means the dead letters: say so in the document."""

    envelope: Envelope
    attempt: int
    last: bool


_current: ContextVar[Delivery | None] = ContextVar("modelyard_delivery", default=None)


def current_delivery() -> Delivery | None:
    """None outside of event and job handlers."""
    return _current.get()


@contextmanager
def handling(delivery: Delivery, durable: str) -> Iterator[None]:
    envelope = delivery.envelope
    with structlog.contextvars.bound_contextvars(
        correlationid=envelope.correlationid or envelope.id,
        message_id=envelope.id,
        project=envelope.project,
        durable=durable,
        attempt=delivery.attempt,
    ):
        token = _current.set(delivery)
        try:
            yield
        finally:
            _current.reset(token)
