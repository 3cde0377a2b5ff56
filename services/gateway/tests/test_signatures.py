"""Requests as the official signer made them (signed/make.py): they get in, and what changed on the way does not."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from modelyard_contracts.calls import version
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role
from modelyard_gateway.attempts import FREE
from modelyard_gateway.domain import AccessKey, FormerPair
from modelyard_testkit.refusals import refused

REQUESTS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "signed" / "requests.json").read_text("utf-8")
)
SIGNED_AT = int(datetime(2026, 11, 22, 10, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000
KEY_ID = "MY0123456789ABCDEF0123"
KEY = AccessKey("k", "terraform", "default", Role.ADMIN, 1, "test", KEY_ID)


@pytest.fixture
async def signing(yard):
    """The yard at the time of the recorded requests, with the key that signed them, and answers to what they ask."""
    put_clock(yard, SIGNED_AT)
    await yard.access.add_access_key(KEY)
    yard.calls.answers = {
        version.LIST.subject: version.VersionPage(total_count=0, count=0, models=()),
        version.CREATE.subject: version.VersionCreated(model_id="m", model_name="手写数字", model_version="0.0.1"),
        version.COMPARE.subject: Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "no version 'Z'"),
        version.DELETE.subject: Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "no version 'm'"),
    }
    return yard


def put_clock(yard, now: int) -> None:
    object.__setattr__(yard.backends, "now", lambda: now)
    yard.backends.lookups.now = lambda: now


async def send(yard, name: str, *, headers: dict[str, str | None] | None = None, **change: Any) -> httpx.Response:
    """The recorded request, or another with these changes."""
    recorded = {**REQUESTS[name], **change}
    given = {**recorded["headers"], **(headers or {})}
    raw = [(field.encode(), value.encode("latin-1")) for field, value in given.items() if value is not None]
    body = recorded["body"]
    raw = [(field, value) for field, value in raw if field != b"Content-Length"]
    content = body.encode() if isinstance(body, str) else body
    url = f"http://yard.example:8080{recorded['target']}"
    return await yard.http.request(recorded["method"], url, headers=raw, content=content or None)


@pytest.mark.parametrize(
    ("name", "status", "asked"),
    [
        ("query", 200, {"model_name": "a b&c=ü~/+%25*'(数)", "limit": 5}),
        ("repeated", 404, {"model_ids": ("Z", "a", "z", "é")}),
        ("post", 200, {"model_name": "手写数字"}),
        ("declared", 200, {"model_name": "手写数字"}),
        ("delete", 404, {"model_id": "m", "cascade": True}),
        ("path", 404, None),  # no such token
        ("slash", 404, None),  # no such path
    ],
)
async def test_what_the_official_signer_signs_gets_in(signing, name, status, asked) -> None:
    reply = await send(signing, name)
    assert reply.status_code == status, reply.text
    if asked is None:
        assert reply.json()["error_code"] in {"ModelArts.3001", "ModelArts.9404"}
    else:
        [(_, context, request)] = signing.calls.asked
        assert {field: getattr(request, field) for field in asked} == asked
        assert (context.project, context.actor, context.role) == ("default", "access-key:terraform", Role.ADMIN)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("query", {"method": "HEAD"}),
        ("query", {"target": REQUESTS["query"]["target"].replace("limit=5", "limit=50")}),
        ("query", {"target": REQUESTS["query"]["target"] + "&offset="}),
        ("repeated", {"target": REQUESTS["repeated"]["target"] + "&model_id=a"}),
        ("delete", {"target": "/v1/default/models/other?cascade=true"}),
        ("path", {"target": "/v1/default/tokens/%E4%BA%BA%20a~bA"}),
        ("path", {"headers": {"X-Note": "else"}}),
        ("post", {"headers": {"Host": "other.example"}}),
        ("post", {"headers": {"X-Sdk-Date": "20261122T100001Z"}}),
        ("post", {"body": REQUESTS["post"]["body"].replace("V001", "V002")}),
        ("post", {"body": ""}),
        ("delete", {"body": "{}"}),
        (
            "post",
            {"headers": {"Authorization": REQUESTS["post"]["headers"]["Authorization"].replace("F0123", "F0124")}},
        ),
    ],
)
async def test_what_was_changed_on_the_way_does_not(signing, name, change) -> None:
    reply = await send(signing, name, **change)
    if change.get("method") == "HEAD":
        assert reply.status_code == 401
    else:
        refused(reply, 401, "ModelArts.9401")
        assert "no such access key, or its secret did not sign this request" in reply.json()["error_msg"]
    assert not signing.calls.asked


@pytest.mark.parametrize(
    ("name", "headers", "said"),
    [
        ("unsigned", {}, "unsigned bodies (UNSIGNED-PAYLOAD"),
        ("post", {"X-Sdk-Date": None}, "has the header 'x-sdk-date' once"),
        ("post", {"X-Sdk-Date": "2026-11-22"}, "X-Sdk-Date reads YYYYMMDDTHHMMSSZ"),
        ("post", {"X-Sdk-Date": "20261322T100000Z"}, "X-Sdk-Date reads YYYYMMDDTHHMMSSZ"),
        ("post", {"Authorization": "SDK-HMAC-SHA256 Access=a"}, "it reads 'SDK-HMAC-SHA256 Access=…"),
        ("path", {"X-Note": None}, "'x-note' is among SignedHeaders, and was not sent"),
    ],
)
async def test_what_is_wrong_in_itself_is_said(signing, name, headers, said) -> None:
    reply = await send(signing, name, headers=headers)
    refused(reply, 401, "ModelArts.9401")
    assert said in reply.json()["error_msg"]


async def test_an_operator_may_refuse_signatures_that_leave_out_the_host(signing) -> None:
    """Terraform's provider makes such."""
    assert (await send(signing, "without-host")).status_code == 200
    signing.put(access_signed_host=True)
    assert (await send(signing, "post")).status_code == 200
    reply = await send(signing, "without-host")
    refused(reply, 401, "ModelArts.9401")
    assert "'host' has to be among SignedHeaders" in reply.json()["error_msg"]


@pytest.mark.parametrize(("off", "status"), [(-15, 200), (15, 200), (-15.01, 401), (15.01, 401)])
async def test_clocks_may_be_a_quarter_of_an_hour_apart(signing, off, status) -> None:
    put_clock(signing, SIGNED_AT + int(off * MINUTE))
    reply = await send(signing, "query")
    assert reply.status_code == status
    if status == 401:
        assert "more than 15 minutes from the clock here, 20261122T" in reply.json()["error_msg"]


async def test_a_declared_digest_must_be_that_of_the_body(signing) -> None:
    reply = await send(signing, "declared", body=REQUESTS["declared"]["body"].replace("V001", "V002"))
    refused(reply, 401, "ModelArts.9401")
    assert reply.json()["error_msg"] == "the body is not the one that was signed"
    assert not signing.calls.asked


async def test_a_declared_digest_is_checked_before_the_body_is_read(signing) -> None:
    async def body():
        raise AssertionError("somebody reads it")
        yield b""

    forged = REQUESTS["declared"]["headers"]["Authorization"][:-1] + "0"
    refused(await send(signing, "declared", headers={"Authorization": forged}, body=body()), 401, "ModelArts.9401")


async def test_the_body_of_a_stranger_is_not_read(signing) -> None:
    async def body():
        raise AssertionError("somebody reads it")
        yield b""

    strange = REQUESTS["post"]["headers"]["Authorization"].replace(KEY_ID, "MY0000000000000000000A")
    refused(await send(signing, "post", headers={"Authorization": strange}, body=body()), 401, "ModelArts.9401")


async def test_bodies_that_nobody_has_proven_hold_up_only_each_other(signing) -> None:
    """Two of them are read at once (`Lanes` of the fixture); whoever says the digest of his passes them by."""
    begun, over = asyncio.Semaphore(0), asyncio.Event()

    async def slow():
        yield b"{"
        begun.release()
        await over.wait()

    forging = [asyncio.create_task(send(signing, "post", body=slow())) for _ in range(3)]
    for _ in range(2):
        await begun.acquire()
    for name in ("declared", "query"):
        assert (await send(signing, name)).status_code == 200
    assert begun.locked(), "the third waits"
    over.set()
    for reply in await asyncio.gather(*forging):
        refused(reply, 401, "ModelArts.9401")


async def test_a_body_out_of_bounds_is_refused_before_it_proves_anything(signing) -> None:
    refused(await send(signing, "post", body="x" * 10_001), 413, "ModelArts.3044")


async def test_who_guesses_signatures_is_slowed_down_and_a_right_one_passes(signing) -> None:
    forged = {"Authorization": REQUESTS["query"]["headers"]["Authorization"][:-1] + "0"}
    for _ in range(FREE):
        refused(await send(signing, "query", headers=forged), 401, "ModelArts.9401")
    guess = asyncio.create_task(send(signing, "query", headers=forged))
    await signing.attempt_beats.tick()
    refused(await guess, 429, "ModelArts.9427")
    assert (await send(signing, "query")).status_code == 200


async def test_a_key_ends_at_its_project(signing) -> None:
    await signing.access.remove_access_key("default", "terraform")
    await signing.access.add_access_key(AccessKey("k", "terraform", "theirs", Role.ADMIN, 1, "test", KEY_ID))
    refused(await send(signing, "query"), 403, "ModelArts.9403")


async def test_a_key_ends_at_its_role(signing) -> None:
    await signing.access.remove_access_key("default", "terraform")
    await signing.access.add_access_key(AccessKey("k", "terraform", "default", Role.READER, 1, "test", KEY_ID))
    assert (await send(signing, "query")).status_code == 200
    refused(await send(signing, "post"), 403, "ModelArts.9403")


@pytest.mark.parametrize(("until", "status"), [(SIGNED_AT + 1, 200), (SIGNED_AT, 401)])
async def test_a_former_pair_works_until_its_time(signing, until, status) -> None:
    await signing.access.change_access_key(
        "default", "terraform", lambda key: AccessKey(*key_fields(key), "MYnew", (FormerPair(KEY_ID, until),))
    )
    assert (await send(signing, "query")).status_code == status


def key_fields(key: AccessKey) -> tuple[Any, ...]:
    return (key.token_id, key.name, key.project, key.role, key.created_at, key.created_by)


async def test_with_another_master_key_no_key_works(signing) -> None:
    signing.put(access_master_key=SecretStr("else" * 10))
    refused(await send(signing, "query"), 401, "ModelArts.9401")
    signing.put(access_master_key=None)
    reply = await send(signing, "query")
    refused(reply, 401, "ModelArts.9401")
    assert "MODELYARD_ACCESS_MASTER_KEY" in reply.json()["error_msg"]
