"""Server-sent events: how many streams may be open, and the yard's event tail."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from modelyard_bus.connection import Bus
from modelyard_gateway.domain import Token
from modelyard_gateway.errors import TooManyStreams

Event: TypeAlias = dict[str, str]


@dataclass
class StreamCount:
    """Bounds the streams that are open at once; each costs a subscription and a socket."""

    total: int
    per_project: int
    per_token: int
    _open: Counter[str] = field(default_factory=Counter)

    def respond(self, token: Token, events: AsyncGenerator[Event, None]) -> EventSourceResponse:
        return _Stream(self, token, events)

    @contextmanager
    def counted(self, token: Token) -> Iterator[None]:
        """Raises TooManyStreams. The names of what is counted cannot meet: a project has no colon."""
        bounds = {
            "token:" + token.token_id: (self.per_token, "this token"),
            "project:" + token.project: (self.per_project, "this project"),
            "all": (self.total, "all projects"),
        }
        for name, (limit, whose) in bounds.items():
            if self._open[name] >= limit:
                raise TooManyStreams(limit, whose)
        self._open.update(bounds.keys())
        try:
            yield
        finally:
            self._open -= Counter(bounds.keys())


class _Stream(EventSourceResponse):
    def __init__(self, count: StreamCount, token: Token, events: AsyncGenerator[Event, None]) -> None:
        super().__init__(events, ping=15)
        self._count, self._token, self._events = count, token, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A refusal is a plain answer, before the stream has begun."""
        with self._count.counted(self._token):
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)


async def project_events(bus: Bus, project: str) -> AsyncGenerator[Event, None]:
    """Every event of one project from now on, as it lies on the stream."""
    async for envelope in bus.watch_events():
        if envelope.project == project:
            yield {"id": envelope.id, "event": envelope.type, "data": envelope.model_dump_json(exclude_none=True)}
