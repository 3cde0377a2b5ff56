from collections.abc import Callable
from typing import Any

import pytest

from modelyard_bus import declare, streams
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.errors import MessageTooLarge, PublishFailed, Unreachable
from modelyard_contracts.catalogue import EVENTS, IMPORT_FETCH, STREAMS, VERSION_DELETED, VERSION_FAILED
from modelyard_contracts.durables import all_durables
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.permissions import OPERATOR

from .conftest import Connect

pytestmark = pytest.mark.servers


def said(service: str, **data: Any) -> Envelope:
    return Envelope(source=service, type="test", subject="m1", project="p1", data=data)


async def test_nobody_listening_is_told(server: Any) -> None:
    server.stop()
    with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{server.port}"):
        await Bus.connect(server.settings("version"))


async def test_a_wrong_password_fails_fast_and_is_not_shown(server: Any) -> None:
    with pytest.raises(Unreachable, match=r"(?i)authorization") as caught:
        await Bus.connect(server.settings("version", "guessed"))
    assert "guessed" not in str(caught.value)
    assert "guessed" not in repr(server.settings("version", "guessed"))


async def test_nobody_comes_in_without_a_password(server: Any) -> None:
    with pytest.raises(Unreachable):
        await Bus.connect(BusSettings(server.url, "version"))


async def test_declaring_again_changes_nothing_and_updates_what_may_change(operator: Bus) -> None:
    await operator.declare()
    names = {info.config.name for info in await operator.js.streams_info()}
    assert names == {stream.name for stream in STREAMS}
    shorter = streams.stream_config(EVENTS, 1)
    shorter.max_age = 7200
    await operator.js.update_stream(shorter)
    await operator.declare()
    assert (await operator.js.stream_info(EVENTS.name)).config.max_age == EVENTS.max_age


async def test_durables_never_have_a_server_side_limit_or_backoff(operator: Bus) -> None:
    for durable in all_durables():
        config = (await operator.js.consumer_info(durable.stream.name, durable.name)).config
        assert (config.max_deliver, config.backoff) == (-1, None)
        assert config.ack_wait == durable.retry.ack_wait
        assert tuple(config.filter_subjects or (config.filter_subject,)) == durable.subjects


async def test_the_declare_command_does_it_from_the_environment(server: Any, connect: Connect) -> None:
    environment = {"MODELYARD_NATS_URL": server.url, "MODELYARD_NATS_PASSWORD": server.passwords[OPERATOR]}
    await declare.declare(environment)
    bus = await connect(OPERATOR)
    assert len(await bus.js.streams_info()) == len(STREAMS)


async def test_the_same_envelope_is_stored_once(operator: Bus, connect: Connect) -> None:
    version = await connect("version")
    envelope = said("version", model_id="m1", model_name="n", model_version="1.0.0")
    for _ in range(3):
        await version.publish(VERSION_DELETED.subject, envelope)
    assert (await operator.js.stream_info(EVENTS.name)).state.messages == 1
    assert version.stats.published == 3


async def test_a_subject_outside_the_catalogue_is_refused(operator: Bus) -> None:
    with pytest.raises(ValueError, match="not in the catalogue"):
        await operator.publish("modelyard.evt.version.invented.v1", said("version"))


async def test_an_oversized_message_is_refused_before_it_costs_the_connection(operator: Bus) -> None:
    with pytest.raises(MessageTooLarge):
        await operator.publish(VERSION_FAILED.subject, said("version", text="x" * operator.nats.max_payload))
    large = said("version", text="x" * (operator.limit - 600))
    await operator.publish(VERSION_FAILED.subject, large)
    assert not operator.closed.is_set()


async def test_outsiders_cannot_store_what_would_not_fit_as_a_dead_letter(operator: Bus) -> None:
    with pytest.raises(PublishFailed, match="maximum"):
        await operator.store(VERSION_FAILED.subject, b"x" * (streams.MAX_MESSAGE + 1), {}, operator.nats.max_payload)


async def test_publishing_without_a_stream_fails(connect: Connect) -> None:
    bus = await connect("import")
    with pytest.raises(PublishFailed, match="no response from stream"):
        await bus.publish(IMPORT_FETCH.subject, said("import", import_id="i1"))
    assert bus.stats.publish_failures == 1


async def test_check_says_what_is_missing(server: Any, connect: Connect, until: Callable[..., Any]) -> None:
    bus: Bus = await connect("convert")
    missing = str(await bus.check())
    assert all(f"no stream {stream.name}: run `python -m modelyard_bus.declare`" in missing for stream in STREAMS)
    await (await connect(OPERATOR)).declare()
    assert await bus.check() is None
    server.kill()
    await until(lambda: not bus.nats.is_connected)
    assert await bus.check() == "not connected to NATS"
    server.start()
    await until(lambda: bus.nats.is_connected)
    assert await bus.check() is None
    assert bus.stats.reconnects == 1


async def test_closed_is_set_when_it_is_over(connect: Connect) -> None:
    bus: Bus = await connect("convert")
    await bus.close()
    assert bus.closed.is_set()
    await bus.close()
