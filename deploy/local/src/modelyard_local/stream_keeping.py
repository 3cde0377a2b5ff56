"""Keeps the broker storing: what a person would do by hand when its disk was full or its folder is gone.

Streams that are not there are declared anew; the services then say again what was on them. A server that answers and
stores nothing is started again once there is room, because nothing else helps it.
"""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from modelyard_bus.connection import Bus
from modelyard_bus.errors import BusError
from modelyard_contracts.catalogue import EVENTS
from modelyard_local.servers import NatsServer

EVERY: Final = 2.0
LOOKS: Final = 2
"""In a row, before a server that stores nothing is started again."""
ROOM: Final = 8 << 20
"""Bytes that its disk must have."""
BETWEEN_RESTARTS: Final = 20.0

log = structlog.get_logger()
Report = Callable[[str], None]


class StreamKeeper:
    def __init__(self, nats: NatsServer, connect: Callable[[], Awaitable[Bus]], report: Report) -> None:
        """Once the streams are declared. `connect` with the operator's identity."""
        self._nats = nats
        self._connect = connect
        self._report = report
        self._bus: Bus | None = None
        self._whole = nats.pid if self._stored() else None  # the process that had its streams on the disk
        self._troubled = 0
        self._restarted = float("-inf")

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 - whatever it was, the next look comes
                    log.info("streams_not_looked_at", error=str(error))
        finally:
            if self._bus is not None:
                await self._bus.close()

    async def _look(self) -> None:
        pid = self._nats.pid
        if pid is not None and pid == self._whole and not self._stored():
            self._restart("the folder of NATS is gone")
            return
        bus = await self._connected()
        if bus is None:
            return
        if not await bus.declared():
            await bus.declare()
            self._report("streams of NATS were gone; they are declared anew")
        self._whole = pid if self._stored() else None
        missing = await bus.check()
        self._troubled = self._troubled + 1 if missing and await bus.answers() else 0
        if self._troubled >= LOOKS and shutil.disk_usage(self._nats.store).free >= ROOM:
            self._restart(f"NATS stores nothing although there is room: {missing}")

    def _stored(self) -> bool:
        return any(self._nats.store.glob(f"jetstream/*/streams/{EVENTS.name}"))

    async def _connected(self) -> Bus | None:
        if self._bus is None or self._bus.closed.is_set():
            try:
                self._bus = await self._connect()
            except BusError:
                return None
        return self._bus if await self._bus.answers() else None

    def _restart(self, why: str) -> None:
        if time.monotonic() - self._restarted < BETWEEN_RESTARTS:
            return
        self._restarted, self._troubled = time.monotonic(), 0
        self._report(f"{why}; starting it again")
        self._nats.end_process()
