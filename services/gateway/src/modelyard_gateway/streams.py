"""Server-sent events: how many streams may be open, and the yard's event tail."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeAlias

from sse_starlette import EventSourceResponse

from modelyard_bus.connection import Bus
from modelyard_gateway.errors import TooManyStreams

Event: TypeAlias = dict[str, str]


class StreamCount:
    """Bounds the streams that are open at once; each costs a subscription and a socket."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0

    def respond(self, events: AsyncGenerator[Event, None]) -> EventSourceResponse:
        if self._open >= self._limit:
            raise TooManyStreams(self._limit)
        return EventSourceResponse(self._counted(events), ping=15)

    async def _counted(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        self._open += 1
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            self._open -= 1


async def project_events(bus: Bus, project: str) -> AsyncGenerator[Event, None]:
    """Every event of one project from now on, as it lies on the stream."""
    async for envelope in bus.watch_events():
        if envelope.project == project:
            yield {"id": envelope.id, "event": envelope.type, "data": envelope.model_dump_json(exclude_none=True)}
