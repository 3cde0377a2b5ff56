"""One NATS connection of one service. Built in a service's bootstrap; everything else in this package takes a `Bus`."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.js import JetStreamContext

from modelyard_bus import streams, watch
from modelyard_bus.client import OrderedClient
from modelyard_bus.errors import MessageTooLarge, PublishFailed, Unreachable
from modelyard_bus.stats import BusStats
from modelyard_contracts.catalogue import ALL_EVENTS, ALL_JOBS, STREAMS, Stream
from modelyard_contracts.durables import Durable
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.permissions import inbox_prefix

log = structlog.get_logger()

CONNECT_TIMEOUT: Final = 5.0
PUBLISH_TIMEOUT: Final = 2.0
PUBLISH_ATTEMPTS: Final = 3
PROBE_TIMEOUT: Final = 1.0
PROBE_LIVES: Final = "5s"
PROBE: Final = bytes(4096)
"""Larger than what may be left of a block that a full disk has given already."""
RESERVE: Final = 8 * 1024
"""Bytes kept free below the server's limit: a dead letter is the message plus one header of up to 5 KiB."""

_KNOWN_SUBJECTS: Final = frozenset((*(e.subject for e in ALL_EVENTS), *(j.subject for j in ALL_JOBS)))
_REFUSED = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BusSettings:
    """`name` is the service: it names the connection, its inbox and what it probes streams with."""

    url: str
    name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class Bus:
    """Use `connect`. `closed` is set when the connection is gone for good: then the process must end."""

    def __init__(self, settings: BusSettings) -> None:
        self.name = settings.name
        self.stats = BusStats()
        self.closed = asyncio.Event()
        self.nats = OrderedClient()  # for this package only
        self.on_reconnect: list[Callable[[], None]] = []  # for this package only
        self._settings = settings
        self._back = asyncio.Event()
        self._proved = float("-inf")
        self._refused: set[str] = set()
        self._last_error: Exception | None = None

    @classmethod
    async def connect(cls, settings: BusSettings) -> "Bus":
        """Raises Unreachable within CONNECT_TIMEOUT seconds; afterwards the connection is kept up without end."""
        bus = cls(settings)
        try:
            await asyncio.wait_for(bus._connect(), CONNECT_TIMEOUT)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            address = urlsplit(settings.url if "://" in settings.url else f"nats://{settings.url}")
            reason = str(bus._last_error or error)
            if isinstance(bus._last_error or error, ConnectionResetError):  # its word may be lost with the connection
                reason += "; a server that refuses the authorization ends a connection so"
            raise Unreachable(f"NATS at {address.hostname}:{address.port} as {settings.user}: {reason}") from error
        return bus

    async def _connect(self) -> None:
        settings = self._settings
        await self.nats.connect(
            settings.url,
            name=settings.name,
            user=settings.user,
            password=settings.password,
            inbox_prefix=inbox_prefix(settings.name),
            connect_timeout=2,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]  # a float works and is needed: whole seconds are slow
            max_reconnect_attempts=5,  # or a wrong password would be tried for ever
            ping_interval=5,
            max_outstanding_pings=2,
            drain_timeout=5,
            flush_timeout=2,
            error_cb=self._on_error,
            closed_cb=self._on_closed,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
        )
        self.nats.options["max_reconnect_attempts"] = -1

    async def close(self) -> None:
        """Drains when connected: what was handed to NATS is sent, then the connection ends."""
        try:
            if self.nats.is_connected:
                await self.nats.drain()
        except nats.errors.Error as error:
            log.info("nats_not_drained", error=str(error))
        await self.nats.close()

    @property
    def js(self) -> JetStreamContext:
        """For this package only."""
        return self.nats.jetstream(timeout=PUBLISH_TIMEOUT)

    @property
    def limit(self) -> int:
        """Bytes that payload and headers of one stored message may have together."""
        return self.nats.max_payload - RESERVE

    async def connected(self, within: float) -> bool:
        """Now, or again within so many seconds: most interruptions are shorter than it takes to tell somebody."""
        if not self.nats.is_connected:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._back.wait(), within)
        return self.nats.is_connected

    async def declare(self, replicas: int = 1) -> None:
        """With the operator's identity: makes or updates all streams and durables of the catalogue."""
        await streams.declare(self.js, replicas)

    async def declared(self) -> bool:
        """With the operator's identity: whether they are all there. Raises nats.errors.Error."""
        return await streams.complete(self.js)

    async def answers(self) -> bool:
        """The server itself does, whatever its streams do."""
        try:
            await self.nats.flush(1)
        except (nats.errors.Error, OSError):
            return False
        return True

    async def publish(self, subject: str, envelope: Envelope) -> None:
        """Stored once, also when called again with the same envelope id within the stream's duplicate window.

        Raises PublishFailed (MessageTooLarge if it can never succeed), and ValueError for a subject that the
        catalogue does not list.
        """
        if subject not in _KNOWN_SUBJECTS:
            raise ValueError(f"{subject} is not in the catalogue")
        await self.store(subject, envelope.to_bytes(), {"Nats-Msg-Id": envelope.id}, self.limit)

    async def store(self, subject: str, payload: bytes, headers: dict[str, str], limit: int) -> None:
        """For this package only: one acknowledged JetStream publish, tried PUBLISH_ATTEMPTS times under one id."""
        size = len(payload) + sum(len(key.encode()) + len(value.encode()) + 4 for key, value in headers.items()) + 12
        if size > limit:
            raise MessageTooLarge(f"{subject}: {size} bytes with headers, at most {limit} fit")
        for attempt in range(PUBLISH_ATTEMPTS):
            self.stats.publish_retries += attempt > 0
            error = await self._publish_once(subject, payload, headers, PUBLISH_TIMEOUT)
            if error is None:
                self.stats.published += 1
                return
            if subject in self._refused or self.nats.is_closed:
                break
        self.stats.publish_failures += 1
        reason = "not permitted" if subject in self._refused else str(error)
        raise PublishFailed(f"{subject}: {reason}") from error

    async def _publish_once(
        self, subject: str, payload: bytes, headers: dict[str, str], timeout: float
    ) -> Exception | None:
        try:
            await self.js.publish(subject, payload, timeout=timeout, headers=headers)
        except nats.js.errors.NoStreamResponseError as error:
            await asyncio.sleep(0.1)  # answered at once: JetStream is starting, or has no such stream
            return error
        except (nats.errors.Error, OSError) as error:
            return error
        return None

    async def check(self, fresh: float = 0.0) -> str | None:
        """None when every stream stores what this service writes, or did so within the last `fresh` seconds; else what
        is missing. Takes at most a second."""
        if not self.nats.is_connected:
            return "not connected to NATS"
        now = asyncio.get_running_loop().time()
        if now - self._proved < fresh:
            return None
        missing = "; ".join(filter(None, await asyncio.gather(*(self._missing(stream) for stream in STREAMS))))
        self._proved = float("-inf") if missing else now
        return missing or None

    async def _missing(self, stream: Stream) -> str | None:
        error = await self._publish_once(stream.probe(self.name), PROBE, {"Nats-TTL": PROBE_LIVES}, PROBE_TIMEOUT)
        match error:
            case None:
                return None
            case nats.js.errors.NoStreamResponseError():
                return f"JetStream has no stream {stream.name}: run `python -m modelyard_bus.declare`"
            case nats.errors.TimeoutError():
                return f"JetStream does not store on {stream.name}; if its disk was full, make room and restart NATS"
        return f"JetStream does not store on {stream.name}: {error}"

    async def born(self, durables: Iterable[Durable]) -> dict[str, str | None] | None:
        """When each was made, None for one that is missing: another time means that its stream may be another one,
        without what it held. None instead of all that while JetStream does not answer."""
        return await streams.born(self.js, durables)

    async def announce(self, kind: str, entity_id: str, payload: dict[str, Any]) -> None:
        """Volatile progress for whoever watches now. Lost without a trace while disconnected; never raises for that."""
        data = json.dumps(payload).encode()
        if len(data) > self.limit:
            raise MessageTooLarge(f"progress of {kind} {entity_id}: {len(data)} bytes, at most {self.limit} fit")
        if self.nats.is_connected:
            await self.nats.publish(watch.live_subject(kind, entity_id), data)

    def watch_live(self, kind: str, entity_id: str) -> AsyncGenerator[dict[str, Any], None]:
        """Progress from the first `anext` on; ends when the bus closes. Close the iterator to unsubscribe."""
        return watch.live(self.nats, kind, entity_id)

    def watch_events(self, *, since: datetime | None = None) -> AsyncGenerator[Envelope, None]:
        """Every event in stream order, each once, over reconnects and restarts of the server.

        Starts at `since`, or at the first `anext`. Only the gateway and the operator may. Close it to unsubscribe.
        """
        return watch.events(self.nats, since)

    async def _on_error(self, error: Exception) -> None:
        self._last_error = error
        refused = _REFUSED.search(str(error))
        if refused:
            self.stats.refused += 1
            self._refused.add(refused[1])
        log.warning("nats_error", error=str(error) or type(error).__name__)

    async def _on_closed(self) -> None:
        log.info("nats_closed")
        self.closed.set()

    async def _on_disconnected(self) -> None:
        self._back.clear()
        self._proved = float("-inf")
        log.warning("nats_disconnected")

    async def _on_reconnected(self) -> None:
        self._back.set()
        self.stats.reconnects += 1
        self._refused.clear()  # permissions may have changed with the server's configuration
        log.info("nats_reconnected")
        for call in self.on_reconnect:
            call()
