"""Streams and durables as JetStream configuration, in one place: a second opinion elsewhere would be refused."""

from typing import Final

import nats.js.errors
from nats.js import JetStreamContext, api

from modelyard_contracts.catalogue import CANARY, DEAD_LETTERS, STREAMS, Stream
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


def stream_config(stream: Stream, replicas: int) -> api.StreamConfig:
    return api.StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=api.RetentionPolicy.WORK_QUEUE if stream.work_queue else api.RetentionPolicy.LIMITS,
        storage=api.StorageType.FILE,
        max_age=stream.max_age,
        max_msgs=stream.max_messages,
        max_bytes=-1,
        max_consumers=-1,
        max_msg_size=-1 if stream in (DEAD_LETTERS, CANARY) else MAX_MESSAGE,
        duplicate_window=stream.duplicate_window,
        num_replicas=replicas,
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
