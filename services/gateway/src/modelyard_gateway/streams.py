"""Server-sent events: the yard's event tail, and the progress of one long task until it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from modelyard_bus.connection import Bus
from modelyard_gateway.errors import TooManyStreams

_POLL_SECONDS = 1.0
_FINAL = frozenset({"succeeded", "failed", "stopped", "published", "cancelled", "scored", "rejected"})


class StreamCount:
    """Bounds the streams that are open at once; each costs a subscription and a socket."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0

    def respond(self, events: AsyncIterator[dict[str, str]]) -> EventSourceResponse:
        if self._open >= self._limit:
            raise TooManyStreams(self._limit)
        return EventSourceResponse(self._counted(events), ping=15)

    async def _counted(self, events: AsyncIterator[dict[str, str]]) -> AsyncIterator[dict[str, str]]:
        self._open += 1
        try:
            async for event in events:
                yield event
        finally:
            self._open -= 1


async def project_events(bus: Bus, project: str) -> AsyncIterator[dict[str, str]]:
    """Every event of one project from now on, as it lies on the stream."""
    async for envelope in bus.watch_events():
        if envelope.project == project:
            yield {"id": envelope.id, "event": envelope.type, "data": envelope.model_dump_json(exclude_none=True)}


async def progress(
    bus: Bus, kind: str, entity_id: str, read: Callable[[], Awaitable[BaseModel]], state_field: str
) -> AsyncIterator[dict[str, str]]:
    """The entity's state whenever it changes, and what its worker announces in between; ends when it is final.

    Announcements are volatile (core NATS), so the state is also read again every second.
    """
    announced: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1000)
    listener = asyncio.create_task(_listen(bus, kind, entity_id, announced))
    last: dict[str, Any] | None = None
    try:
        while True:
            state = (await read()).model_dump(mode="json")
            if state != last:
                last = state
                yield {"event": "state", "data": json.dumps(state, ensure_ascii=False)}
            if state[state_field] in _FINAL:
                return
            async for event in _announcements(announced):
                yield {"event": "progress", "data": json.dumps(event, ensure_ascii=False)}
    finally:
        listener.cancel()


async def _listen(bus: Bus, kind: str, entity_id: str, announced: "asyncio.Queue[dict[str, Any]]") -> None:
    async for event in bus.watch_live(kind, entity_id):
        if not announced.full():
            announced.put_nowait(event)


async def _announcements(announced: "asyncio.Queue[dict[str, Any]]") -> AsyncIterator[dict[str, Any]]:
    """What is announced within the next poll interval."""
    deadline = asyncio.get_running_loop().time() + _POLL_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                event = await announced.get()
        except TimeoutError:
            return
        yield event
