"""The client against a real HTTP server."""

from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from modelyard import Client, Connection, ConnectionNotFound, GatewayUnreachable, Refused, TaskFailed
from modelyard.client import at

from .conftest import Scripted, Streams


def test_requests_name_project_and_token(client: Client, gateway: Scripted) -> None:
    gateway.on("GET models", {"models": []})
    assert client.get("models", limit=5, model_name="手写", model_status=None) == {"models": []}
    asked = gateway.asked[0]
    assert asked.query == {"limit": "5", "model_name": "手写"}
    assert asked.headers["authorization"] == "Bearer a-token-for-tests"


def test_every_method(client: Client, gateway: Scripted) -> None:
    for method in ("POST", "PUT", "DELETE"):
        gateway.on(f"{method} things/1", {"did": method})
    gateway.on("POST projects", {"made": True})
    assert client.post("things/1", {"a": 1}, idempotency_key="k") == {"did": "POST"}
    assert gateway.asked[-1].headers["idempotency-key"] == "k"
    assert gateway.asked[-1].body == {"a": 1}
    assert client.put("things/1", [1]) == {"did": "PUT"}
    assert client.delete("things/1", cascade=True, other=None) == {"did": "DELETE"}
    assert gateway.asked[-1].query == {"cascade": "true"}
    assert client.server("projects", {}) == {"made": True}


def test_what_people_type_stays_one_segment() -> None:
    assert (
        at("models", "../tokens", 7, "a b?c#d%", "数字") == "models/..%2Ftokens/7/a%20b%3Fc%23d%25/%E6%95%B0%E5%AD%97"
    )


def test_a_refusal_keeps_code_problems_and_correlation_id(client: Client, gateway: Scripted) -> None:
    problem = {"message": "must be N.N.N", "field": "model_version", "rule": "pattern"}
    gateway.on("POST models", gateway.refusal(400, problems=[problem]))
    with pytest.raises(Refused, match="no, not like that") as refused:
        client.post("models", {})
    assert (refused.value.status, refused.value.code) == (400, "ModelArts.3037")
    assert (refused.value.problems, refused.value.correlation_id) == ([problem], "c-1")


@pytest.mark.parametrize("problems", [None, "text", [1, "x"]])
def test_odd_problems_do_no_harm(client: Client, gateway: Scripted, problems: object) -> None:
    gateway.on("GET models", gateway.refusal(400, problems=problems))
    with pytest.raises(Refused) as refused:
        client.get("models")
    assert refused.value.problems == []


@pytest.mark.parametrize("status", [200, 502])
def test_something_else_than_a_gateway_answers(client: Client, gateway: Scripted, status: int) -> None:
    gateway.on("GET models", PlainTextResponse("<html>welcome</html>", status_code=status))
    with pytest.raises(Refused, match="is no gateway: '<html>welcome"):
        client.get("models")


def test_a_list_is_no_reply(client: Client, gateway: Scripted) -> None:
    gateway.on("GET models", [1, 2])
    with pytest.raises(Refused):
        client.get("models")


def test_nobody_listens() -> None:
    with Client(Connection("http://127.0.0.1:9", "t", "p")) as client:
        with pytest.raises(GatewayUnreachable, match=r"no answer from http://127\.0\.0\.1:9"):
            client.get("models")
        with pytest.raises(GatewayUnreachable):
            next(client.events())


@pytest.mark.parametrize(
    "url", ["http://[bad", "http://127.0.0.1:port", "http://127.0.0.1:99999", "http://", "host:80"]
)
def test_a_url_that_cannot_be_one(url: str) -> None:
    with pytest.raises(ConnectionNotFound, match="is no gateway's URL; it looks like http://"):
        Client(Connection(url, "t", "p"))


@pytest.mark.parametrize("token", ["凭证", "two\nlines"])
def test_a_token_that_cannot_be_one(token: str) -> None:
    with pytest.raises(ConnectionNotFound, match="copy it again") as refused:
        Client(Connection("http://127.0.0.1:9", token, "p"))
    assert token not in str(refused.value)


def test_events_with_comments_pings_and_many_lines(client: Client, gateway: Scripted, streams: Streams) -> None:
    gateway.on(
        "GET events",
        streams.of(
            ": connected\r\n\r\n",
            'id: 1\r\nevent: a\r\ndata: {"n": 1}\r\n\r\n',
            ": ping - 2026-11-22\r\n\r\n",
            "id: 7\n\n",
            'data: {"n":\ndata: 2, "文": "字"}\n\n',
            'event: b\ndata: {"half": ',
            "true}\n\n",
            'event: lost\ndata: {"never": "ended"}',
        ),
    )
    assert list(client.events()) == [
        ("a", {"n": 1}),
        ("message", {"n": 2, "文": "字"}),
        ("b", {"half": True}),
    ]


def test_a_refused_stream(client: Client, gateway: Scripted) -> None:
    gateway.on("GET events", 429)
    with pytest.raises(Refused) as refused:
        list(client.events())
    assert refused.value.status == 429


def test_a_stream_may_be_left(client: Client, gateway: Scripted, streams: Streams) -> None:
    gateway.on("GET events", streams.of('data: {"n": 1}\n\n', stay=True))
    events = client.events()
    assert next(events) == ("message", {"n": 1})
    events.close()  # type: ignore[attr-defined]


def test_following_until_the_end(client: Client, gateway: Scripted, no_pauses: list[float]) -> None:
    gateway.on("GET t", *[{"state": "running"}] * 12, {"state": "succeeded", "n": 1})
    seen: list[str] = []
    reply = client.follow(lambda: client.get("t"), "state", lambda reply: seen.append(reply["state"]))
    assert reply["n"] == 1
    assert seen == ["running"] * 12 + ["succeeded"]
    assert no_pauses[0] == 0.05
    assert no_pauses == sorted(no_pauses)
    assert max(no_pauses) == 1.0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"state": "failed", "reason": "too different"}, "too different"),
        ({"state": "rejected", "reason": None}, "without a reason"),
        ({"state": "stopped"}, "without a reason"),
        ({"state": "failed", "failure": {"reason": "no config", "problems": [{"message": "missing"}]}}, "no config"),
    ],
)
def test_a_bad_end(client: Client, reply: dict[str, Any], reason: str) -> None:
    with pytest.raises(TaskFailed, match=reason) as failed:
        client.follow(lambda: reply, "state", lambda _: None)
    assert failed.value.reply is reply
    assert failed.value.problems == (reply.get("failure") or {}).get("problems", [])


def test_following_survives_a_restart(client: Client, gateway: Scripted, no_pauses: list[float]) -> None:
    gateway.on("GET t", 503, 503, {"state": "running"}, 503, {"state": "succeeded"})
    client.follow(lambda: client.get("t"), "state", lambda _: None)
    assert len(no_pauses) == 4


def test_following_ends_when_nobody_comes_back(client: Client, gateway: Scripted, no_pauses: list[float]) -> None:
    gateway.on("GET t", 503)
    with pytest.raises(Refused):
        client.follow(lambda: client.get("t"), "state", lambda _: None)
    assert len(no_pauses) == 20
    gateway.on("GET t", 404)
    with pytest.raises(Refused):
        client.follow(lambda: client.get("t"), "state", lambda _: None)
    assert len(no_pauses) == 20


def test_text_is_no_connection_and_a_misspelt_detail_is_told(client: Client) -> None:
    with pytest.raises(ConnectionNotFound, match=r"Client\(find_connection\(\)\)"):
        Client("http://127.0.0.1:8080")  # type: ignore[arg-type]  # as people write it
    with pytest.raises(TypeError, match=r"no 'version'; did you mean 'model_version'\?"):
        client.imports.check("digits", version="1.0.0")  # type: ignore[call-arg]  # as above
