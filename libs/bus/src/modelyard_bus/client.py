"""The NATS client with one repair. Only `connection` makes one."""

import asyncio

from nats.aio.client import Client


class OrderedClient(Client):
    """nats-py 2.16 writes a PING past the commands that wait in its buffer: `flush` then returns before a new
    subscription exists at the server, and `drain` throws away what arrives between its PONG and its UNSUB."""

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        await self._flush_pending(force_flush=True)
        await super()._send_ping(future)
