"""One watch per entity, shared by all pages that show it: services hear one question a second, not one a page.

Built once in `bootstrap`; routes come here through `following`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NamedTuple, TypeAlias

import structlog

from modelyard_gateway.streams import Event
from modelyard_gateway.viewer import Seen, Viewer

log = structlog.get_logger()

BEAT: Final = 1.0  # seconds from one look to the next
Live: TypeAlias = Callable[[str, str], AsyncGenerator[dict[str, Any], None]]
Look: TypeAlias = Callable[[], Awaitable[Seen]]


class Entity(NamedTuple):
    """`kind` and `id` are those of its live announcements."""

    project: str
    kind: str
    id: str


class _Watch(NamedTuple):
    viewers: set[Viewer]
    task: asyncio.Task[None]


async def _second() -> None:
    await asyncio.sleep(BEAT)


class Watches:
    """`live` tells what workers announce. That is volatile, so the entity is also looked at once a `beat`."""

    def __init__(self, live: Live, beat: Callable[[], Awaitable[None]] = _second) -> None:
        self._live = live
        self._beat = beat
        self._open: dict[Entity, _Watch] = {}

    async def follow(self, entity: Entity, seen: Seen, look: Look) -> AsyncGenerator[Event, None]:
        """What was just `seen`, then what changes and what is announced, until the entity has ended.

        Raises what a look raises. Viewers share the look of the first of them: it must show the same to all.
        """
        viewer = Viewer(seen)
        with nullcontext() if seen.final else self._joined(entity, viewer, look):
            async for event in viewer.events():
                yield event

    @contextmanager
    def _joined(self, entity: Entity, viewer: Viewer, look: Look) -> Iterator[None]:
        """The first viewer starts the watch; the last one that leaves ends it."""
        if entity not in self._open:
            viewers: set[Viewer] = set()
            self._open[entity] = _Watch(viewers, asyncio.create_task(self._run(entity, viewers, look)))
        watch = self._open[entity]
        watch.viewers.add(viewer)
        try:
            yield
        finally:
            watch.viewers.remove(viewer)
            if not watch.viewers:
                watch.task.cancel()
                self._forget(entity, watch.viewers)

    async def _run(self, entity: Entity, viewers: set[Viewer], look: Look) -> None:
        listening = asyncio.create_task(self._listen(entity, viewers))
        try:
            await self._look(viewers, look)
        except asyncio.CancelledError:  # by the last viewer; with viewers left it was a connection that closed
            _fail(viewers, ConnectionAbortedError("the watch was cancelled"))
            raise
        except Exception as error:  # noqa: BLE001  # raised again in the stream of each viewer
            _fail(viewers, error)
        finally:
            self._forget(entity, viewers)
            listening.cancel()
            await asyncio.wait([listening])

    async def _look(self, viewers: set[Viewer], look: Look) -> None:
        ended = False
        while not ended:
            await self._beat()
            seen = await look()
            ended = seen.final
            for viewer in viewers:
                viewer.see(seen)

    async def _listen(self, entity: Entity, viewers: set[Viewer]) -> None:
        try:
            async for announced in self._live(entity.kind, entity.id):
                line = json.dumps(announced, ensure_ascii=False)
                for viewer in viewers:
                    viewer.hear(line)
        except Exception as error:  # noqa: BLE001  # announcements are an extra: states are told without them
            log.warning("progress.unheard", kind=entity.kind, id=entity.id, error=str(error))

    def _forget(self, entity: Entity, viewers: set[Viewer]) -> None:
        """Who comes now starts another watch."""
        if entity in self._open and self._open[entity].viewers is viewers:
            del self._open[entity]


def _fail(viewers: set[Viewer], error: Exception) -> None:
    for viewer in viewers:
        viewer.fail(error)
