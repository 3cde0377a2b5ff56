"""A version is promoted by who may write here and read there: both are looked at, and no token goes any further."""

import asyncio
from itertools import count
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from modelyard_contracts import codes
from modelyard_contracts.calls import version
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import PromotionSource, Role
from modelyard_gateway import attempts
from modelyard_testkit.refusals import refused

CREATED = version.VersionCreated(model_id="m", model_name="digits", model_version="0.0.1")
BODY = {"model_name": "digits", "promotion": {"project": "staging", "model_id": "m-1"}}
EVERYTHING = ("description", "labels", "tags", "model_docs", "install_type", "specification")

_numbers = count()


async def ask(yard: Any, secret: str | None = None, role: Role = Role.WRITER, **more: Any) -> httpx.Response:
    headers = await yard.token(role, name=f"caller-{next(_numbers)}")
    if secret is not None:
        headers["X-Source-Token"] = secret
    reply: httpx.Response = await yard.http.post("/v1/default/models", headers=headers, json={**BODY, **more})
    return reply


async def source_secret(yard: Any, project: str = "staging", role: Role = Role.READER) -> str:
    headers: dict[str, str] = await yard.token(role, project=project, name="source")
    return headers["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("role", Role)
async def test_a_reader_there_and_a_writer_here_may(yard, role) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    reply = await ask(yard, await source_secret(yard, role=role))
    assert (reply.status_code, reply.json()["model_id"]) == (200, "m")
    [(_, context, request)] = yard.calls.asked
    assert (context.project, context.role) == ("default", Role.WRITER)
    assert request.source == PromotionSource(project="staging", model_id="m-1", takes=EVERYTHING)


async def test_a_writer_there_may_not_write_here(yard) -> None:
    secret = await source_secret(yard, role=Role.ADMIN)
    refused(await ask(yard, secret, Role.READER), 403, "ModelArts.9403")
    reply = await yard.http.post("/v1/default/models", headers={"X-Source-Token": secret}, json=BODY)
    refused(reply, 401, "ModelArts.9401")
    assert not yard.calls.asked


@pytest.mark.parametrize("secret", [None, "", "nobody-has-it"])
async def test_without_a_right_there_nobody_may(yard, secret) -> None:
    reply = await ask(yard, secret)
    [problem] = refused(reply, 401, "ModelArts.9401")
    assert problem["field"] == "X-Source-Token"
    assert "X-Source-Token" in reply.json()["error_msg"]
    assert not yard.calls.asked


@pytest.mark.parametrize("project", ["default", "third"])
async def test_a_token_of_another_project_shows_no_right(yard, project) -> None:
    reply = await ask(yard, await source_secret(yard, project))
    [problem] = refused(reply, 403, "ModelArts.9403")
    assert problem["field"] == "X-Source-Token"
    assert not yard.calls.asked


async def test_guessing_the_second_token_is_slowed_down_like_the_first(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    for number in range(attempts.FREE):
        refused(await ask(yard, f"guess-{number}"), 401, "ModelArts.9401")
    guess = asyncio.create_task(ask(yard, "guess"))
    assert (await ask(yard, await source_secret(yard))).status_code == 200
    await yard.attempt_beats.tick()
    refused(await guess, 429, "ModelArts.9427")


async def test_within_a_project_one_token_is_enough(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    promotion = {"project": "default", "model_id": "m-1"}
    assert (await ask(yard, promotion=promotion)).status_code == 200
    assert yard.calls.asked[0][2].source.project == "default"


async def test_what_the_body_says_is_not_taken_from_the_original(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    await ask(yard, await source_secret(yard), labels=[], description="eigene", install_type=None)
    request = yard.calls.asked[0][2]
    assert request.source.takes == ("tags", "model_docs", "install_type", "specification")
    assert (request.labels, request.description) == ((), "eigene")


async def test_a_refusal_of_the_register_is_told_in_the_words_of_the_body(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = Failure(
        FailureKind.CONFLICT, codes.NOT_PUBLISHED, "it is archived", field="source.model_id", rule="published"
    )
    [problem] = refused(await ask(yard, await source_secret(yard)), 409, codes.NOT_PUBLISHED)
    assert problem["field"] == "promotion.model_id"


async def test_no_token_goes_into_a_call_an_answer_or_a_log(yard) -> None:
    yard.calls.answers[version.CREATE.subject] = CREATED
    secret = await source_secret(yard)
    with capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        said = [await ask(yard, each) for each in (secret, "wrong-but-secret", await source_secret(yard, "third"))]
    assert [reply.status_code for reply in said] == [200, 401, 403]
    assert len([line for line in lines if line["event"] == "http.request"]) == 3
    told = f"{lines} {[reply.text for reply in said]} {[dict(reply.headers) for reply in said]} {yard.calls.asked}"
    for each in (secret, "wrong-but-secret", "secret-third"):
        assert each not in told
