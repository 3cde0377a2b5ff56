"""What the identity of a training job can do with the one subject it may publish, tried against a real server."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from modelyard_bus.connection import Bus
from modelyard_bus.server_config import ServerConfig, move_streams, render
from modelyard_bus.streams import stream_config
from modelyard_contracts.catalogue import DEAD_LETTERS, EVENTS, JOBS, STREAMS, TRAINING_COMPLETED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.permissions import IDENTITIES, OPERATOR

from .conftest import Connect, Server, Until

pytestmark = pytest.mark.servers

SUBJECT = TRAINING_COMPLETED.subject
DATA = {"job_id": "j", "job_name": "n", "job_version": "V001", "status": "completed"}
EVENT = Envelope(
    source="t", type=SUBJECT, subject="j", project="p1", data=DATA | {"output": {"bucket": "training", "prefix": "p/"}}
)


@pytest.fixture
async def training(server: Server, operator: Bus) -> AsyncIterator[Client]:
    """nats-py as docs/training-events.md has it."""
    password = server.passwords["training"]
    client = await nats.connect(server.url, user="training", password=password, inbox_prefix="_INBOX_training")
    yield client
    await client.close()


async def flushed(client: Client) -> None:
    for _ in range(2):  # the client's first flush overtakes its own buffer
        await client.flush()


async def held(operator: Bus) -> dict[str, int]:
    return {s.name: (await operator.js.stream_info(s.name)).state.messages for s in STREAMS}


async def test_its_event_is_stored_once_and_the_receipt_comes_back(training: Client, operator: Bus) -> None:
    headers = {"Nats-Msg-Id": EVENT.id}
    first, again = [await training.jetstream().publish(SUBJECT, EVENT.to_bytes(), headers=headers) for _ in range(2)]
    assert (first.stream, first.seq, first.duplicate) == (EVENTS.name, 1, None)
    assert (again.seq, again.duplicate) == (1, True)
    await training.publish(SUBJECT, EVENT.to_bytes())  # nobody needs a receipt
    await flushed(training)
    assert (await held(operator))[EVENTS.name] == 2


@pytest.mark.parametrize(
    "reply",
    [
        "modelyard.job.import.fetch",
        "modelyard.evt.import.started.v1",
        "modelyard.dlq.import-events",
        "modelyard.canary.import",
        "modelyard.rpc.version.get",
        "modelyard.live.conversion.c1",
        "_INBOX_version.x",
        f"$JS.API.STREAM.PURGE.{EVENTS.name}",
        f"$JS.API.STREAM.DELETE.{EVENTS.name}",
    ],
)
async def test_a_receipt_lands_nowhere_in_the_yard(training: Client, operator: Bus, reply: str, until: Until) -> None:
    seen: list[str] = []

    async def note(message: Msg) -> None:
        seen.append(message.subject)

    await operator.nats.subscribe(">", cb=note)
    await flushed(operator.nats)
    await training.publish(SUBJECT, EVENT.to_bytes(), reply=reply)
    await training.jetstream().publish(SUBJECT, EVENT.to_bytes())  # behind it: its receipt is out by then
    await until(lambda: seen.count(SUBJECT) == 2)
    await flushed(operator.nats)
    assert reply not in seen
    counts = await held(operator)
    assert counts[EVENTS.name] == 2
    assert sum(counts.values()) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Nats-Rollup": "all"},
        {"Nats-Rollup": "sub"},
        {"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target": "modelyard.job.import.fetch"},
        {"Nats-Incr": "1"},
        {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_no_header_deletes_or_moves_what_is_stored(
    training: Client, operator: Bus, headers: dict[str, str]
) -> None:
    await training.jetstream().publish(SUBJECT, EVENT.to_bytes())
    answer = await training.request(SUBJECT, EVENT.to_bytes(), headers=headers)
    assert "error" in json.loads(answer.data)
    assert await held(operator) == {s.name: int(s is EVENTS) for s in STREAMS}


async def test_a_time_to_live_ends_the_message_that_names_it_and_no_other(training: Client, operator: Bus) -> None:
    for headers in (None, {"Nats-TTL": "1s"}, None):
        await training.jetstream().publish(SUBJECT, EVENT.to_bytes(), headers=headers)
    while (await held(operator))[EVENTS.name] == 3:
        continue
    assert [(await operator.js.get_msg(EVENTS.name, seq)).data for seq in (1, 3)] == [EVENT.to_bytes()] * 2


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_no_stream_lets_a_header_decide(stream: Any) -> None:
    """All of these are off unless asked for; asking for one lets whoever publishes delete or redirect. A time to live,
    which is asked for, concerns only the message that names it."""
    config = stream_config(stream, 1).as_dict()
    asked = ("allow_rollup_hdrs", "allow_msg_schedules", "allow_msg_counter", "allow_atomic")
    assert not [name for name in asked if config.get(name)]


async def test_what_a_message_claims_to_be_is_not_believed(
    training: Client, operator: Bus, connect: Connect, consumers: Any, until: Until
) -> None:
    """`Status` is how the server speaks to a consumer; in a stored message it is only a header."""
    taken: list[str] = []

    async def take(envelope: Envelope, data: Any) -> None:
        taken.append(envelope.id)

    await consumers(await connect("import"), "import", {SUBJECT: take})
    for headers in ({"Status": "404"}, {"Status": "408", "Nats-Pending-Messages": "many"}):
        await training.jetstream().publish(SUBJECT, b"", headers=headers)
    control = {"Status": "100", "Nats-Last-Consumer": "none", "Nats-Consumer-Stalled": "modelyard.job.import.fetch"}
    await training.jetstream().publish(SUBJECT, EVENT.to_bytes(), headers=control)
    await until(lambda: taken)
    assert taken == [EVENT.id]
    watching = (await connect("gateway")).watch_events(since=datetime(2020, 1, 1, tzinfo=UTC))
    assert (await anext(watching)).id == EVENT.id
    await watching.aclose()
    while (await held(operator))[DEAD_LETTERS.name] < 2:
        continue
    assert (await held(operator))[JOBS.name] == 0


def flat(config: ServerConfig) -> str:
    """nats.conf as releases before the accounts wrote it, where it matters: every user in none."""
    users = ", ".join(f'{{ user: "{who}", password: "{config.passwords[who]}" }}' for who in IDENTITIES)
    head = render(config).partition("accounts {")[0]
    return f"{head}authorization {{ users: [{users}] }}\n"


async def test_streams_of_an_earlier_release_are_kept(tmp_path: Path) -> None:
    server = Server(tmp_path)
    config, store = tmp_path / "nats.conf", tmp_path / "store"
    now = config.read_text()
    config.write_text(flat(ServerConfig(store, server.passwords, port=server.port)))
    server.start()
    bus = await Bus.connect(server.settings(OPERATOR))
    await bus.declare()
    await bus.publish(SUBJECT, EVENT)
    before = await bus.js.consumer_info(EVENTS.name, "import-events")
    await bus.close()
    server.stop()
    config.write_text(now)
    for _ in range(2):  # each start
        move_streams(store)
    server.start()
    bus = await Bus.connect(server.settings(OPERATOR))
    await bus.declare()
    assert (await bus.js.get_msg(EVENTS.name, 1)).data == EVENT.to_bytes()
    assert (await bus.js.consumer_info(EVENTS.name, "import-events")).created == before.created
    await bus.close()
    server.stop()


def test_nothing_is_moved_where_there_is_nothing(tmp_path: Path) -> None:
    move_streams(tmp_path)
    assert list(tmp_path.iterdir()) == []
