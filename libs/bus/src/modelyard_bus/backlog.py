"""Whether a service has heard everything that was said to it. Asked before something that an unheard fact would forbid.

After an outage a service goes on with yesterday's events while it already takes new work.
"""

import asyncio
from typing import Final

from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import events_durable
from modelyard_contracts.durables import durables_of

_EVERY: Final = 0.1  # seconds


async def caught_up(bus: Bus, service: str, patience: float) -> bool:
    """Whether all events that waited when this was called are handled now; waits up to `patience` seconds for it.

    Raises nats.errors.Error.
    """
    durable = next(each for each in durables_of(service) if each.name == events_durable(service))
    newest: int | None = None
    end = asyncio.get_running_loop().time() + patience
    while True:
        info = await bus.js.consumer_info(durable.stream.name, durable.name)
        if newest is None and not info.num_pending:
            newest = info.delivered.stream_seq if info.delivered else 0
        acknowledged = info.ack_floor.stream_seq if info.ack_floor else 0
        if newest is not None and (not info.num_ack_pending or acknowledged >= newest):
            return True
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(_EVERY)
