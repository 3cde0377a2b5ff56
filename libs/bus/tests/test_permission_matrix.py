"""What the catalogue grants, tried against a real server: every identity on every subject there is."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import nats
import nats.errors
import pytest

from modelyard_bus.connection import Bus
from modelyard_bus.errors import PublishFailed
from modelyard_contracts.catalogue import (
    ALL_EVENTS,
    ALL_JOBS,
    CONVERT_ONNX,
    DEAD_LETTERS,
    EVENTS,
    IMPORT_FETCH,
    JOBS,
    SERVICES,
    STREAMS,
    TRAINING_COMPLETED,
    VERSION_FAILED,
)
from modelyard_contracts.durables import all_durables, durables_of
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.permissions import IDENTITIES, OPERATOR, YARD

from .conftest import Connect

pytestmark = pytest.mark.servers

PLACES = {durable.name: f"{durable.stream.name}.{durable.name}" for durable in all_durables()}
PUBLISH = (
    *(event.subject for event in ALL_EVENTS),
    *(job.subject for job in ALL_JOBS),
    *(stream.probe(service) for service in SERVICES for stream in STREAMS),
    *(f"modelyard.rpc.{service}.get" for service in SERVICES),
    *(f"modelyard.dlq.{name}" for name in PLACES),
    *(f"$JS.API.CONSUMER.{verb}.{place}" for verb in ("MSG.NEXT", "INFO", "DELETE") for place in PLACES.values()),
    *(f"$JS.API.CONSUMER.CREATE.{place}" for place in PLACES.values()),
    *(f"$JS.API.CONSUMER.CREATE.{place}.modelyard.evt.>" for place in PLACES.values()),
    *(f"$JS.API.CONSUMER.CREATE.{stream.name}.watch-x.modelyard.evt.>" for stream in STREAMS),
    *(f"$JS.API.CONSUMER.DURABLE.CREATE.{place}" for place in PLACES.values()),
    *(f"$JS.ACK.{place}.1.1.1.1.0" for place in PLACES.values()),
    *(f"$JS.API.STREAM.{verb}.{s.name}" for verb in ("INFO", "PURGE", "DELETE", "UPDATE", "CREATE") for s in STREAMS),
    *(f"$JS.API.STREAM.MSG.{verb}.{stream.name}" for verb in ("GET", "DELETE") for stream in STREAMS),
    *(f"$JS.API.CONSUMER.CREATE.{stream.name}" for stream in STREAMS),
    "$JS.API.STREAM.NAMES",
    f"$JS.API.ACCOUNT.PURGE.{YARD}",
    "modelyard.live.conversion.c1",
    "modelyard.evt.import.invented.v1",
    "_INBOX_version.x",
    "anything",
)
SUBSCRIBE = (
    ">",
    "modelyard.>",
    "modelyard.evt.>",
    "modelyard.job.>",
    "modelyard.live.>",
    "modelyard.rpc.>",
    "$JS.>",
    "_INBOX.>",
    *(f"_INBOX_{identity}.>" for identity in IDENTITIES),
    *(f"modelyard.rpc.{service}.>" for service in SERVICES),
)


def may_publish(identity: str) -> set[str]:
    """Written down a second time, from the rules and not from the code."""
    said = {event.subject for event in ALL_EVENTS if event.producer == identity}
    if identity == "training":
        return said
    own = {d.name: PLACES[d.name] for d in durables_of(identity)}
    granted = said | {f"modelyard.job.{job.subject.split('.', 2)[2]}" for job in ALL_JOBS if job.service == identity}
    granted |= {*(stream.probe(identity) for stream in STREAMS), "modelyard.live.conversion.c1"}
    granted |= {f"modelyard.rpc.{service}.get" for service in SERVICES}
    granted |= {f"modelyard.dlq.{name}" for name in own}
    granted |= {f"$JS.API.CONSUMER.{verb}.{place}" for verb in ("MSG.NEXT", "INFO") for place in own.values()}
    granted |= {f"$JS.ACK.{place}.1.1.1.1.0" for place in own.values()}
    if identity == "gateway":
        granted |= {event.subject for event in ALL_EVENTS} | {job.subject for job in ALL_JOBS}
        granted |= {f"$JS.API.STREAM.MSG.{verb}.{DEAD_LETTERS.name}" for verb in ("GET", "DELETE")}
        granted.add(f"$JS.API.CONSUMER.CREATE.{EVENTS.name}.watch-x.modelyard.evt.>")
    return granted


def may_subscribe(identity: str) -> set[str]:
    granted = {f"_INBOX_{identity}.>"}
    if identity in SERVICES:
        granted.add(f"modelyard.rpc.{identity}.>")
    if identity == "gateway":
        granted.add("modelyard.live.>")
    return granted


async def refused(server: Any, identity: str) -> tuple[set[str], set[str]]:
    """Subjects that the server would not let `identity` publish and subscribe to, of PUBLISH and SUBSCRIBE."""
    texts: list[str] = []

    async def note(error: Exception) -> None:
        texts.append(str(error))

    nc = await nats.connect(server.url, user=identity, password=server.passwords[identity], error_cb=note)
    for subject in PUBLISH:
        await nc.publish(subject, b"")
    subscriptions = [await nc.subscribe(subject) for subject in SUBSCRIBE]
    for _ in range(2):  # the client's first flush overtakes its own buffer
        await nc.flush()
    for subscription in subscriptions:
        await subscription.unsubscribe()
    await nc.close()
    publish = {s for s in PUBLISH if any(f'publish to "{s}"'.lower() in text.lower() for text in texts)}
    subscribe = {s for s in SUBSCRIBE if any(f'subscription to "{s}"'.lower() in text.lower() for text in texts)}
    return publish, subscribe


@pytest.mark.parametrize("identity", [identity for identity in IDENTITIES if identity != OPERATOR])
async def test_everyone_may_do_exactly_their_own(server: Any, operator: Bus, identity: str) -> None:
    publish, subscribe = await refused(server, identity)
    assert set(PUBLISH) - publish == may_publish(identity) & set(PUBLISH)
    assert set(SUBSCRIBE) - subscribe == may_subscribe(identity)


async def test_training_says_its_one_event_and_hears_the_ack(operator: Bus, connect: Connect) -> None:
    training: Bus = await connect("training")
    output = {"bucket": "models", "prefix": "p/"}
    data = {"job_id": "j", "job_name": "n", "job_version": "V001", "status": "completed", "output": output}
    envelope = Envelope(source="training", type="t", subject="j", project="p1", data=data)
    await training.publish(TRAINING_COMPLETED.subject, envelope)
    with pytest.raises(PublishFailed, match="not permitted"):
        await training.publish(VERSION_FAILED.subject, envelope)
    assert training.stats.refused == 1
    assert (await operator.js.stream_info(EVENTS.name)).state.messages == 1


async def test_a_service_cannot_speak_for_another(operator: Bus, connect: Connect) -> None:
    envelope = Envelope(source="import", type="t", subject="i1", project="p1", data={"import_id": "i1"})
    with pytest.raises(PublishFailed, match="not permitted"):
        await (await connect("convert")).publish(IMPORT_FETCH.subject, envelope)


VICTIM = "import-events"


@pytest.mark.parametrize(
    "naming", [{"durable_name": VICTIM}, {"name": VICTIM}, {"name": VICTIM, "durable_name": VICTIM}]
)
@pytest.mark.parametrize("name", ["", ".watch", ".watch.modelyard.evt.>", f".{VICTIM}", f".{VICTIM}.modelyard.evt.>"])
async def test_the_gateway_cannot_take_over_a_durable(
    operator: Bus, connect: Connect, until: Callable[..., Any], naming: dict[str, str], name: str
) -> None:
    """It makes consumers of its own: no name in the subject or in the body may lead to another's."""
    gateway: Bus = await connect("gateway")
    before = (await operator.js.consumer_info(EVENTS.name, VICTIM)).config
    config = {**before.as_dict(), "ack_wait": 77_000_000_000, "durable_name": None, "name": None, **naming}
    request = json.dumps({"stream_name": EVENTS.name, "config": config}).encode()
    subject = f"$JS.API.CONSUMER.CREATE.{EVENTS.name}{name}"
    asking = asyncio.create_task(gateway.nats.request(subject, request, timeout=3600))
    await until(lambda: asking.done() or gateway.stats.refused == 1)
    if asking.done():
        assert b'"error"' in asking.result().data
    asking.cancel()
    assert (await operator.js.consumer_info(EVENTS.name, VICTIM)).config == before


async def test_the_gateway_watches_with_its_own_rights(
    operator: Bus, connect: Connect, until: Callable[..., Any]
) -> None:
    envelope = Envelope(source="version", type="t", subject="m1", project="p1", data={})
    await (await connect("version")).publish(VERSION_FAILED.subject, envelope)
    gateway: Bus = await connect("gateway")
    events = gateway.watch_events(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert (await anext(events)).id == envelope.id
    await events.aclose()
    assert gateway.stats.refused == 0


@pytest.mark.parametrize("reply", ["modelyard.job.version.purge", f"$JS.API.STREAM.PURGE.{JOBS.name}"])
async def test_a_service_cannot_have_a_message_of_its_own_handed_on_as_anothers(
    operator: Bus, connect: Connect, until: Callable[..., Any], reply: str
) -> None:
    """It chooses where the answer to its request goes: what lands there is still what it is, and nobody obeys."""
    convert: Bus = await connect("convert")
    await convert.nats.jetstream().publish(CONVERT_ONNX.subject, b"{}")
    place = f"{JOBS.name}.{CONVERT_ONNX.durable}"
    await convert.nats.publish(f"$JS.API.CONSUMER.MSG.NEXT.{place}", b"1", reply=reply)
    while (await operator.js.consumer_info(JOBS.name, CONVERT_ONNX.durable)).num_ack_pending == 0:
        continue
    stored = (await operator.js.stream_info(JOBS.name, subjects_filter=">")).state.subjects
    assert set(stored or {}) == {CONVERT_ONNX.subject}
