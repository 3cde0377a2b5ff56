"""Tells the world what documents have committed: the outbox inside each document, published in order, then trimmed.

Built in a service's bootstrap over the outboxes of its collections; the repository calls `nudge` after each save.
Several relays (one per process) may work on the same documents: the message ids make the stream swallow repetitions.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

import structlog

from modelyard_bus.connection import Bus
from modelyard_bus.errors import PublishFailed
from modelyard_contracts.envelope import Envelope

log = structlog.get_logger()

PAGE: Final = 100
AT_ONCE: Final = 32
STOP_PATIENCE: Final = 5.0


class OutboxMessage(Protocol):
    @property
    def seq(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def envelope(self) -> dict[str, Any]: ...


class Pending(Protocol):
    """What one document has yet to say, oldest first."""

    @property
    def id(self) -> str: ...
    @property
    def messages(self) -> Sequence[OutboxMessage]: ...


class OutboxSource(Protocol):
    async def pending(self, limit: int) -> Sequence[Pending]: ...

    async def trim(self, id: str, up_to: int) -> None:
        """Forget the messages with `seq <= up_to`; they are stored by JetStream."""


class Relay:
    """Publishes at once when nudged, and looks every `interval` seconds for what a killed process left behind."""

    def __init__(self, bus: Bus, sources: Sequence[OutboxSource], interval: float = 1.0) -> None:
        self._bus = bus
        self._sources = sources
        self._interval = interval
        self._nudged = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Something was committed."""
        self._nudged.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="relay")

    async def stop(self) -> None:
        """Finishes the round it is in, or gives up after STOP_PATIENCE: what is left stays in the documents."""
        self._stopping = True
        self.nudge()
        if self._task:
            await asyncio.wait([self._task], timeout=STOP_PATIENCE)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._stopping:
            self._nudged.clear()
            full = await asyncio.gather(*(self._drain(source) for source in self._sources))
            if any(full):
                continue  # there was a whole page and all of it went out: more may wait
            try:
                async with asyncio.timeout(self._interval):
                    await self._nudged.wait()
            except TimeoutError:
                pass  # time to look anyway

    async def _drain(self, source: OutboxSource) -> bool:
        """One page. True when it was full and nothing failed."""
        try:
            page = await source.pending(PAGE)
        except Exception as error:  # noqa: BLE001 - a store that is away must not end the relay, whatever it raises
            self._failed("outbox_unreadable", error)
            return False
        sent = await asyncio.gather(*(self._relay(source, pending) for pending in page))
        return len(page) == PAGE and all(sent)

    async def _relay(self, source: OutboxSource, pending: Pending) -> bool:
        """Stops at the first message that fails, so that a later one never overtakes it; trims what went out."""
        async with self._slots:
            done: int | None = None
            try:
                for message in pending.messages:
                    await self._bus.publish(message.subject, Envelope.model_validate(message.envelope))
                    self._bus.stats.relayed += 1
                    done = message.seq
            except (PublishFailed, ValueError) as error:
                self._failed("relay_failed", error, document=pending.id)
                await self._trim(source, pending.id, done)
                return False
            return await self._trim(source, pending.id, done)

    async def _trim(self, source: OutboxSource, id: str, up_to: int | None) -> bool:
        if up_to is None:
            return True
        try:
            await source.trim(id, up_to)
        except Exception as error:  # noqa: BLE001 - published again under the same ids until the store is back
            self._failed("outbox_not_trimmed", error, document=id)
            return False
        return True

    def _failed(self, what: str, error: Exception, **about: str) -> None:
        self._bus.stats.relay_failures += 1
        log.warning(what, error=str(error) or type(error).__name__, **about)
