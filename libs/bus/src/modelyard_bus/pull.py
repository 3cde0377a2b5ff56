"""Asks a durable for messages so that as many are here as there are free slots, and none waits in a sleep.

nats-py's `fetch` is not used: with a batch it answers late, alone it costs a subscription per slot, and after a
reconnect it waits out its whole time-out. Called by `consume`.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Final

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from modelyard_bus.connection import Bus
from modelyard_contracts.durables import Durable

log = structlog.get_logger()

EXPIRES: Final = 5.0
REFUSED_DELAY: Final = 1.0


class Pull:
    """`receive` is called for every message and must return at once; `free` says how many more may come now."""

    def __init__(self, bus: Bus, durable: Durable, receive: Callable[[Msg], None], free: Callable[[], int]) -> None:
        self._bus = bus
        self._durable = durable
        self._receive = receive
        self._free = free
        self._asked = 0
        self._refused = False
        self._changed = asyncio.Event()
        self._reconnected = False
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._subscribe()
        self._bus.on_reconnect.append(self._on_reconnect)
        self._task = asyncio.create_task(self._run(), name=f"pull {self._durable.name}")

    async def stop(self) -> None:
        """What the server has already sent still reaches `receive`."""
        self._bus.on_reconnect.remove(self._on_reconnect)
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._subscription and self._bus.nats.is_connected:
            try:
                await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py lacks the annotation
            except nats.errors.Error as error:
                log.info("pull_not_drained", durable=self._durable.name, error=str(error))

    def wake(self) -> None:
        """A slot became free."""
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._ask()
                async with asyncio.timeout(EXPIRES + 1):
                    await self._changed.wait()
            except TimeoutError:
                self._asked = 0  # not even an expiry was heard: the request is lost
            except nats.errors.Error as error:
                log.warning("pull_failed", durable=self._durable.name, error=str(error))
                self._refused = True
            if self._refused:
                await asyncio.sleep(REFUSED_DELAY)
                self._refused, self._asked = False, 0

    async def _ask(self) -> None:
        if self._reconnected:
            self._reconnected = False
            await self._subscribe()
        free = self._free()
        wanted = free - self._asked
        # In batches: asking again for every freed slot would double the traffic of a busy consumer.
        if wanted > 0 and (self._asked == 0 or 2 * wanted >= free):
            self._asked += wanted
            request = json.dumps({"batch": wanted, "expires": int(EXPIRES * 1e9)}).encode()
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._durable.stream.name}.{self._durable.name}"
            inbox = self._subscription.subject if self._subscription else ""
            await self._bus.nats.publish(subject, request, reply=inbox)

    async def _subscribe(self) -> None:
        """A new inbox per connection: requests made under the old one cannot deliver more than there are slots."""
        old, self._asked = self._subscription, 0
        nc = self._bus.nats
        self._subscription = await nc.subscribe(nc.new_inbox(), cb=self._on_message)
        if old:
            await old.unsubscribe()

    def _on_reconnect(self) -> None:
        self._reconnected = True
        self._changed.set()

    async def _on_message(self, message: Msg) -> None:
        if message.reply:  # it wants an acknowledgement: stored by somebody, whatever its headers claim
            self._asked = max(0, self._asked - 1)
            self._receive(message)
        else:
            self._on_status(message.headers or {})
        self._changed.set()

    def _on_status(self, headers: dict[str, str]) -> None:
        """408 or 409 with a count: that many of a request will not come. Anything else: it was not accepted."""
        status, unserved = headers.get("Status"), headers.get("Nats-Pending-Messages")
        if unserved is not None and status in ("408", "409"):
            self._asked = max(0, self._asked - int(unserved))
            return
        log.warning("pull_refused", durable=self._durable.name, status=status, reason=headers.get("Description"))
        self._refused = True
