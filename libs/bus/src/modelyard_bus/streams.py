"""Streams and durables as JetStream configuration, in one place: a second opinion elsewhere would be refused."""

from collections.abc import Iterable
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext, api

from modelyard_contracts.catalogue import DEAD_LETTERS, STREAMS, Stream
from modelyard_contracts.durables import Durable, all_durables

IN_USE_WITH_OTHER_SETTINGS: Final = 10058
MAX_MESSAGE: Final = 1024 * 1024 - 8 * 1024
"""Bytes with headers. Outsiders publish too, and a copy with a reason must fit into the dead-letter stream."""


async def declare(js: JetStreamContext, replicas: int) -> None:
    """Idempotent. Raises nats.js.errors.APIError for a change that JetStream cannot make to an existing stream."""
    for stream in STREAMS:
        config = stream_config(stream, replicas)
        try:
            await js.add_stream(config)
        except nats.js.errors.BadRequestError as error:
            if error.err_code != IN_USE_WITH_OTHER_SETTINGS:
                raise
            await js.update_stream(config)
    for durable in all_durables():
        await js.add_consumer(durable.stream.name, consumer_config(durable))


async def born(js: JetStreamContext, durables: Iterable[Durable]) -> dict[str, str | None] | None:
    """When each durable was made, None for one that is missing; None at all while JetStream does not answer."""
    found: dict[str, str | None] = {}
    for durable in durables:
        try:
            found[durable.name] = str((await js.consumer_info(durable.stream.name, durable.name)).created)
        except nats.js.errors.NotFoundError:
            found[durable.name] = None
        except (nats.errors.Error, OSError):
            return None
    return found


async def complete(js: JetStreamContext) -> bool:
    """Whether all streams and durables are there. Raises nats.errors.Error while JetStream does not answer."""
    there = {info.config.name for info in await js.streams_info()}
    if not {stream.name for stream in STREAMS} <= there:
        return False
    return None not in ((await born(js, all_durables())) or {}).values()


def stream_config(stream: Stream, replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=api.RetentionPolicy.WORK_QUEUE if stream.work_queue else api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        max_age=stream.max_age,
        max_msgs=-1,
        max_bytes=-1,
        max_consumers=-1,
        max_msg_size=-1 if stream == DEAD_LETTERS else MAX_MESSAGE,
        duplicate_window=stream.duplicate_window,
        num_replicas=replicas,
        allow_msg_ttl=True,  # of what shows that it stores
    )


def consumer_config(durable: Durable) -> api.ConsumerConfig:
    """No `backoff`: it would replace `ack_wait`. No `max_deliver`: past it JetStream keeps a message and delivers it
    never again, silently; `settle` counts instead and makes a dead letter."""
    return api.ConsumerConfig(
        durable_name=durable.name,
        filter_subjects=list(durable.subjects),
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=durable.retry.ack_wait,
        max_deliver=-1,
        max_ack_pending=5000,  # messages that wait out their delay count too
    )
