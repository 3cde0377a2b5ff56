"""Listening without taking: live progress and the stream of all events, for the gateway's views."""

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import api
from pydantic import ValidationError

from modelyard_contracts.catalogue import EVENTS
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.ids import new_id

log = structlog.get_logger()

HEARTBEAT: Final = 1.0
PATIENCE: Final = 3 * HEARTBEAT
RECREATE_DELAY: Final = 0.2


def live_subject(kind: str, entity_id: str) -> str:
    """Raises ValueError if either is not one plain token: a wildcard would watch everybody's progress."""
    for token in (kind, entity_id):
        if not token or any(c in ".*> \t\r\n" for c in token):
            raise ValueError(f"not a subject token: {token!r}")
    return f"modelyard.live.{kind}.{entity_id}"


async def live(nc: Client, kind: str, entity_id: str) -> AsyncGenerator[dict[str, Any], None]:
    """Slow readers lose the middle: progress is worth little when it is late."""
    subscription = await nc.subscribe(live_subject(kind, entity_id), pending_msgs_limit=1000)
    try:
        async for message in subscription.messages:
            yield json.loads(message.data)
    finally:
        await _unsubscribe(subscription)


async def events(nc: Client, since: datetime | None) -> AsyncGenerator[Envelope, None]:
    """An ordered consumer: when a message or the heartbeat is missing, it starts anew behind the last one seen."""
    position = _Position(since)
    while not nc.is_closed:
        subscription = await nc.subscribe(nc.new_inbox(), pending_msgs_limit=0, pending_bytes_limit=0)
        try:
            await position.create(nc, subscription.subject)
            async for message in _in_order(nc, subscription):
                position.sequence = message.metadata.sequence.stream
                envelope = _decode(message)
                if envelope:
                    yield envelope
        except (nats.errors.Error, OSError) as error:
            log.info("event_watch_restarts", error=str(error))
            await asyncio.sleep(RECREATE_DELAY)
        finally:
            await _unsubscribe(subscription)


class _Position:
    """Where in the event stream a watcher is. `sequence` None: nothing was seen and no consumer existed yet."""

    def __init__(self, since: datetime | None) -> None:
        self.since = since
        self.sequence: int | None = None

    async def create(self, nc: Client, inbox: str) -> None:
        start: dict[str, Any] = {"deliver_policy": api.DeliverPolicy.NEW}
        if self.sequence is not None:
            start = {"deliver_policy": api.DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": self.sequence + 1}
        elif self.since is not None:
            start = {"deliver_policy": api.DeliverPolicy.BY_START_TIME, "opt_start_time": self.since}
        config = api.ConsumerConfig(
            name=f"watch-{new_id()}",
            deliver_subject=inbox,
            filter_subject=EVENTS.subjects[0],
            ack_policy=api.AckPolicy.NONE,
            flow_control=True,
            idle_heartbeat=HEARTBEAT,
            inactive_threshold=30,
            mem_storage=True,
            num_replicas=1,
            **start,
        )
        info = await nc.jetstream().add_consumer(EVENTS.name, config, timeout=PATIENCE)
        if self.sequence is None and self.since is None and info.delivered:
            self.sequence = info.delivered.stream_seq


async def _in_order(nc: Client, subscription: Subscription) -> AsyncGenerator[Msg, None]:
    """Ends at the first gap. Raises TimeoutError (nats) when even heartbeats stay away."""
    expected = 1
    while True:
        message = await subscription.next_msg(timeout=PATIENCE)
        if message.subject == subscription.subject:  # from the server; headers of stored messages can say anything
            headers = message.headers or {}
            flow = message.reply or headers.get(api.Header.CONSUMER_STALLED)
            if flow:
                await nc.publish(flow)
            if int(headers.get(api.Header.LAST_CONSUMER, expected - 1)) != expected - 1:
                return
            continue
        if message.metadata.sequence.consumer != expected:
            return
        expected += 1
        yield message


def _decode(message: Msg) -> Envelope | None:
    try:
        return Envelope.model_validate_json(message.data)
    except ValidationError:
        log.warning("event_undecodable", subject=message.subject, sequence=message.metadata.sequence.stream)
        return None


async def _unsubscribe(subscription: Subscription) -> None:
    try:
        await subscription.unsubscribe()
    except nats.errors.Error:
        return  # the connection is closing, and with it the subscription
