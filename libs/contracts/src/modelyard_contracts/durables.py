"""The durable consumers that follow from the catalogue: one per service for its events, one per job.

The operator declares them (`modelyard_bus.declare`), services only bind to them, permissions name them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelyard_contracts.catalogue import (
    EVENT_RETRY,
    EVENTS,
    JOBS,
    SERVICES,
    Retry,
    Stream,
    events_durable,
    events_heard_by,
    jobs_of,
)

WITHOUT_EVENTS_DURABLE = "gateway"  # it watches all events with ephemeral consumers, see `events_durable`


@dataclass(frozen=True, slots=True)
class Durable:
    """`subjects` are the filter: the durable delivers these and no others."""

    name: str
    stream: Stream
    subjects: tuple[str, ...]
    retry: Retry


def durables_of(service: str) -> Iterator[Durable]:
    heard = tuple(event.subject for event in events_heard_by(service))
    if heard and service != WITHOUT_EVENTS_DURABLE:
        yield Durable(events_durable(service), EVENTS, heard, EVENT_RETRY)
    for job in jobs_of(service):
        yield Durable(job.durable, JOBS, (job.subject,), job.retry)


def all_durables() -> Iterator[Durable]:
    for service in SERVICES:
        yield from durables_of(service)
