"""Bounds before work: what one caller may send, ask at once and guess, and that the others do not notice."""

import asyncio
import json
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import httpx
import pytest
from starlette.responses import Response
from structlog.testing import capture_logs

from modelyard_contracts.calls import version
from modelyard_contracts.shapes import Role
from modelyard_gateway import attempts, edge, lanes, turns
from modelyard_gateway.app import create_app
from modelyard_gateway.domain import Token
from modelyard_gateway.errors import TooManyStreams
from modelyard_gateway.settings import GatewaySettings
from modelyard_gateway.streams import StreamCount
from modelyard_testkit.refusals import refused

LIST = version.LIST.subject
EMPTY = version.VersionPage(total_count=0, count=0, models=())
MODELS = "/v1/default/models"


@pytest.fixture
async def roomy(yard):
    """The same yard with the bytes that are allowed by default, so that other bounds are met first."""
    transport = httpx.ASGITransport(create_app(GatewaySettings(), yard.backends), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://yard") as http:
        yield http


@pytest.mark.parametrize(
    "body",
    [
        {f"unknown-{number}": number for number in range(20_000)},
        {"labels": ["x"] * 20_000},
        {"plan": {"convert": [{}] * 20_000}},
        [[[]] * 10] * 2_000,
    ],
)
async def test_more_values_than_anybody_needs_are_refused_unread(yard, roomy, body) -> None:
    reply = await roomy.post(MODELS, headers=await yard.token(Role.WRITER), json=body)
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert (problem["field"], problem["rule"]) == (
        "body",
        "at most 10,000 values (fields, items, objects and lists)",
    )


async def test_thousands_of_files_get_advice_about_files(yard, roomy) -> None:
    body = {"files": [{"path": f"model/{number}", "size": 1} for number in range(5_000)]}
    reply = await roomy.post("/v1/default/uploads", headers=await yard.token(Role.WRITER), json=body)
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert "pack many files into one archive" in problem["message"] + reply.json()["error_msg"]


async def test_nor_in_a_text_of_json(yard, roomy) -> None:
    body = {"model_name": "a", "upload_id": "u", "initial_config": json.dumps({"labels": ["x"] * 20_000})}
    [problem] = refused(
        await roomy.post(MODELS, headers=await yard.token(Role.WRITER), json=body), 400, "ModelArts.3037"
    )
    assert (problem["field"], problem["rule"]) == ("initial_config", "at most 10,000 values")


async def test_of_many_unknown_fields_the_first_hundred_are_named_and_none_at_length(yard, roomy) -> None:
    body = {"a": 1, "b" * 100_000: 1, **{f"unknown-{number}": number for number in range(900)}}
    reply = await roomy.post(MODELS, headers=await yard.token(Role.WRITER), json=body)
    assert len(refused(reply, 400, "ModelArts.3037")) == 100
    assert len(reply.content) < 50_000


async def test_thousands_of_mistakes_are_counted_and_not_named(yard, roomy) -> None:
    body = {
        "model_name": "a",
        "upload_id": "u",
        "tags": [{"key": "a b", "value": 1}] + [5] * 5_000,
        "labels": [5] * 4_000,
    }
    reply = await roomy.post(MODELS, headers=await yard.token(Role.WRITER), json=body)
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert problem["field"] == "body"
    assert "too many to name them" in problem["message"]


async def test_a_large_upload_is_no_crowd(yard, roomy) -> None:
    files = [{"path": f"model/shard-{number:04d}-of-1000.safetensors", "size": 1 << 30} for number in range(1_000)]
    reply = await roomy.post("/v1/default/uploads", headers=await yard.token(Role.WRITER), json={"files": files})
    assert len(yard.calls.asked[0][2].files) == 1_000, reply.text


async def test_a_query_of_many_parameters_is_refused_unread(yard) -> None:
    query = "&".join(f"unknown{number}=1" for number in range(101))
    reply = await yard.http.get(f"{MODELS}?{query}", headers=await yard.token(Role.READER))
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert (problem["field"], problem["rule"]) == ("query", "at most 100 parameters")


async def test_a_compressed_body_is_refused(yard) -> None:
    headers = {**await yard.token(Role.WRITER), "Content-Encoding": "gzip"}
    [problem] = refused(await yard.http.post(MODELS, headers=headers, content=b"\x1f\x8b"), 415, "ModelArts.9415")
    assert problem["field"] == "Content-Encoding"


async def test_the_body_of_a_stranger_is_not_read(yard) -> None:
    async def body():
        raise AssertionError("somebody reads it")
        yield b""

    reply = await yard.http.post(MODELS, headers={"X-Auth-Token": "wrong"}, content=body())
    refused(reply, 401, "ModelArts.9401")


async def test_a_body_that_does_not_come_is_given_up(yard, monkeypatch) -> None:
    monkeypatch.setattr(edge, "BODY_WITHIN", 0.01)

    async def body():
        yield b'{"model_name":'
        await asyncio.Event().wait()

    reply = await yard.http.post(MODELS, headers=await yard.token(Role.WRITER), content=body())
    refused(reply, 408, "ModelArts.9408")
    assert reply.headers["connection"] == "close"


class Blocked:
    """A service that answers these tokens when it is told to, and all others at once."""

    def __init__(self, calls) -> None:
        self.names = {"reader"}
        self.asked = 0
        self.go = asyncio.Event()
        self._calls, self._changed = calls, asyncio.Condition()

    async def relayed(self, call, context, request, timeout=5) -> bytes:
        if context.actor.removeprefix("token:") in self.names:
            async with self._changed:
                self.asked += 1
                self._changed.notify_all()
            await self.go.wait()
        return await self._calls.relayed(call, context, request, timeout)

    async def reached(self, number: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self.asked == number)


@pytest.fixture
async def blocked(yard, monkeypatch):
    yard.calls.answers[LIST] = EMPTY
    service = Blocked(yard.calls)
    object.__setattr__(yard.backends, "calls", service)
    return service


async def test_who_asks_much_at_once_waits_for_itself_and_nobody_else_does(yard, blocked) -> None:
    greedy = await yard.token(Role.READER)
    asking = [asyncio.create_task(yard.http.get(MODELS, headers=greedy)) for _ in range(10)]
    await blocked.reached(2)
    other = await yard.token(Role.WRITER)
    assert (await yard.http.get(MODELS, headers=other)).status_code == 200
    assert blocked.asked == 2
    blocked.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}


async def test_a_project_of_many_tokens_is_bounded_too(yard, blocked) -> None:
    blocked.names = {"a", "b"}
    tokens = [await yard.token(Role.READER, name=name) for name in ("a", "b")]
    asking = [asyncio.create_task(yard.http.get(MODELS, headers=token)) for token in tokens * 2]
    await blocked.reached(3)
    other = await yard.token(Role.READER, project="other")
    assert (await yard.http.get("/v1/other/models", headers=other)).status_code == 200
    assert blocked.asked == 3
    blocked.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}


async def test_more_that_wait_than_may_are_refused(yard, blocked, monkeypatch) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 1)
    monkeypatch.setattr(lanes, "PAUSE", 0)
    greedy = await yard.token(Role.READER)
    asking = [asyncio.create_task(yard.http.get(MODELS, headers=greedy)) for _ in range(3)]
    await blocked.reached(2)
    reply = await yard.http.get(MODELS, headers=greedy)
    refused(reply, 429, "ModelArts.9428")
    assert reply.headers["retry-after"] == "1"
    blocked.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}
    assert (await yard.http.get(MODELS, headers=greedy)).status_code == 200


FOR_EVER = 10_000.0


@pytest.fixture
async def shared(yard, blocked, monkeypatch):
    """Two who ask by turns, each with its headers; what the greedy one asks is answered when `go` is set."""
    monkeypatch.setattr(turns, "HOLD", FOR_EVER)
    blocked.names = set()
    blocked.greedy, blocked.honest = [await yard.token(Role.READER, name=name) for name in ("greedy", "honest")]
    for headers in (blocked.greedy, blocked.honest):
        assert (await yard.http.get(MODELS, headers=headers)).status_code == 200
    blocked.names = {"greedy"}
    return blocked


async def test_while_others_ask_each_is_worked_on_one_request_at_a_time(yard, shared) -> None:
    greedy, honest = shared.greedy, shared.honest
    asking = [asyncio.create_task(yard.http.get(MODELS, headers=greedy)) for _ in range(2)]
    await shared.reached(1)
    assert (await yard.http.get(MODELS, headers=honest)).status_code == 200
    assert shared.asked == 1
    shared.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}
    assert shared.asked == 2


async def test_what_waits_for_somebody_else_holds_up_none_of_its_own(yard, shared, monkeypatch) -> None:
    monkeypatch.setattr(turns, "HOLD", 0)
    asking = [asyncio.create_task(yard.http.get(MODELS, headers=shared.greedy)) for _ in range(2)]
    await shared.reached(2)
    shared.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}


async def test_after_a_large_answer_its_caller_rests_and_the_others_do_not(yard, shared, monkeypatch) -> None:
    monkeypatch.setattr(turns, "LARGE", 1)
    monkeypatch.setattr(turns, "REST", FOR_EVER)
    shared.go.set()
    greedy, honest = shared.greedy, shared.honest
    assert (await yard.http.get(MODELS, headers=greedy)).status_code == 200
    again = asyncio.create_task(yard.http.get(MODELS, headers=greedy))
    assert (await yard.http.get(MODELS, headers=honest)).status_code == 200
    assert shared.asked == 1
    assert not again.done()
    again.cancel()
    with suppress(asyncio.CancelledError):
        await again


async def test_who_asks_alone_needs_no_turns(yard, blocked, monkeypatch) -> None:
    monkeypatch.setattr(turns, "HOLD", FOR_EVER)
    monkeypatch.setattr(turns, "ALONE", 0)
    greedy = await yard.token(Role.READER)
    asking = [asyncio.create_task(yard.http.get(MODELS, headers=greedy)) for _ in range(2)]
    await blocked.reached(2)
    blocked.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*asking)} == {200}


async def test_who_guesses_tokens_is_slowed_down_and_the_honest_is_not(yard) -> None:
    yard.calls.answers[LIST] = EMPTY
    honest = await yard.token(Role.READER)
    for number in range(attempts.FREE):
        refused(await yard.http.get(MODELS, headers={"X-Auth-Token": f"guess-{number}"}), 401, "ModelArts.9401")
    guess = asyncio.create_task(yard.http.get(MODELS, headers={"X-Auth-Token": "guess"}))
    assert (await yard.http.get(MODELS, headers=honest)).status_code == 200
    await yard.attempt_beats.tick()
    reply = await guess
    refused(reply, 429, "ModelArts.9427")
    assert reply.headers["retry-after"] == "10"


async def test_wrong_tokens_are_logged_without_the_token_and_not_each_of_a_flood(yard) -> None:
    with capture_logs() as entries:
        for number in range(attempts.FREE):
            await yard.http.get(MODELS, headers={"X-Auth-Token": f"guess-{number}"})
        for _ in range(5):
            guess = asyncio.create_task(yard.http.get(MODELS, headers={"X-Auth-Token": "guess-again"}))
            await yard.attempt_beats.tick()
            await guess
    told = [entry for entry in entries if entry["event"] == "token.wrong"]
    assert len(told) == attempts.FREE
    assert {entry["address"] for entry in told} == {"127.0.0.1"}
    assert "guess" not in json.dumps(entries)


def token_of(name: str, project: str) -> Token:
    return Token(name, name, project, Role.READER, 1, "test")


@pytest.mark.parametrize(
    ("asking", "whose"),
    [(("a", "mine"), "this token"), (("c", "mine"), "this project"), (("e", "third"), "all projects")],
)
def test_streams_are_bounded_by_token_by_project_and_together(asking, whose) -> None:
    count = StreamCount(total=4, per_project=3, per_token=2)
    with ExitStack() as opened:
        for name in ("a", "a", "b"):
            opened.enter_context(count.counted(token_of(name, "mine")))
        with count.counted(token_of("d", "other")), pytest.raises(TooManyStreams, match=whose), ExitStack() as more:
            more.enter_context(count.counted(token_of(*asking)))
    with count.counted(token_of(*asking)):
        pass


async def test_who_sends_a_large_body_in_vain_is_answered_and_then_waits_in_its_own_lane(monkeypatch) -> None:
    pausing, over, told, left = asyncio.Event(), asyncio.Event(), [], []

    async def pause(seconds: float) -> None:
        if seconds == edge.PAUSE:
            pausing.set()
            await over.wait()

    async def refusing(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def admit(request, _read):
        return edge.Admitted(SimpleNamespace(leave=lambda _sent: left.append(request)))

    async def receive():
        return {"type": "http.request", "body": b" " * edge.LARGE, "more_body": False}

    async def send(message) -> None:
        told.append(message["type"])

    monkeypatch.setattr(edge.asyncio, "sleep", pause)
    door = edge.Edge(refusing, 2 * edge.LARGE, lambda *_: Response(status_code=500), admit)
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    asking = asyncio.create_task(door(scope, receive, send))
    await pausing.wait()
    assert (told, left) == (["http.response.start", "http.response.body"], [])
    over.set()
    await asking
    assert left


async def test_parameters_of_a_run_that_nobody_can_keep(yard, roomy) -> None:
    run = {
        "job_id": "j",
        "job_name": "digits",
        "job_version": "V001",
        "status": "completed",
        "output": {"bucket": "training", "prefix": "digits/V001/"},
        "parameters": {"seen": "x" * 270_000},
    }
    body = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "training/digits",
        "type": "modelyard.evt.training.completed.v1",
        "time": "2026-11-22T10:00:00Z",
        "subject": "j",
        "project": "default",
        "data": run,
    }
    reply = await roomy.post("/v1/default/training-jobs/events", headers=await yard.token(Role.WRITER), json=body)
    [problem] = refused(reply, 400, "ModelArts.3037")
    assert problem["field"] == "data.parameters"
    assert "270,012 bytes of JSON, at most 262,144" in problem["message"]
