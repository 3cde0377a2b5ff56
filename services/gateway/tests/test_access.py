"""Who gets in, and how far."""

import pytest

from modelyard_contracts.calls import version
from modelyard_contracts.shapes import Role
from modelyard_testkit.refusals import refused

EMPTY = version.VersionPage(total_count=0, count=0, models=())
LIST = version.LIST.subject


async def test_without_a_token_nobody_gets_in(yard) -> None:
    reply = await yard.http.get("/v1/default/models")
    refused(reply, 401, "ModelArts.9401")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert not yard.calls.asked


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer x"}, {"Authorization": "Basic abc"}, {"X-Auth-Token": ""}]
)
async def test_a_wrong_secret_is_refused(yard, headers) -> None:
    refused(await yard.http.get("/v1/default/models", headers=headers), 401, "ModelArts.9401")


async def test_both_header_forms_work(yard) -> None:
    yard.calls.answers[LIST] = EMPTY
    headers = await yard.token(Role.READER)
    secret = headers["Authorization"].removeprefix("Bearer ")
    assert (await yard.http.get("/v1/default/models", headers=headers)).status_code == 200
    assert (await yard.http.get("/v1/default/models", headers={"X-Auth-Token": secret})).status_code == 200


async def test_a_token_of_another_project_is_refused(yard) -> None:
    headers = await yard.token(Role.ADMIN, project="theirs")
    refused(await yard.http.get("/v1/default/models", headers=headers), 403, "ModelArts.9403")
    assert not yard.calls.asked


@pytest.mark.parametrize(
    ("role", "method", "path", "body"),
    [
        (Role.READER, "POST", "models", {"model_name": "a", "source_location": "s3://bucket/a/"}),
        (Role.READER, "DELETE", "models/x", None),
        (Role.WRITER, "POST", "gallery", {"model_id": "x"}),
        (Role.PUBLISHER, "POST", "tokens", {"name": "x"}),
        (Role.PUBLISHER, "GET", "dead-letters", None),
    ],
)
async def test_each_role_ends_where_the_next_begins(yard, role, method, path, body) -> None:
    headers = await yard.token(role)
    reply = await yard.http.request(method, f"/v1/default/{path}", headers=headers, json=body)
    refused(reply, 403, "ModelArts.9403")
    assert not yard.calls.asked


async def test_the_services_hear_who_asks_and_in_which_project(yard) -> None:
    yard.calls.answers[LIST] = EMPTY
    headers = await yard.token(Role.READER, name="bob")
    reply = await yard.http.get("/v1/default/models", headers={**headers, "X-Correlation-Id": "abc"})
    [(_, context, _request)] = yard.calls.asked
    assert (context.project, context.actor, context.role, context.correlationid) == (
        "default",
        "token:bob",
        Role.READER,
        "abc",
    )
    assert reply.headers["x-correlation-id"] == "abc"


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(yard) -> None:
    yard.calls.answers[LIST] = EMPTY
    admin = await yard.token(Role.ADMIN)
    made = (await yard.http.post("/v1/default/tokens", headers=admin, json={"name": "ci", "role": "reader"})).json()
    ci = {"Authorization": f"Bearer {made['token']}"}
    assert (await yard.http.get("/v1/default/models", headers=ci)).status_code == 200
    mine = (await yard.http.get("/v1/whoami", headers=ci)).json()
    assert (mine["name"], mine["project"], mine["role"], mine["token"]) == ("ci", "default", "reader", None)
    refused(await yard.http.get("/v1/whoami"), 401, "ModelArts.9401")
    listed = (await yard.http.get("/v1/default/tokens", headers=admin)).json()
    assert {"ci", "admin", "operator"} == {token["name"] for token in listed["tokens"]}
    assert made["token"] not in str(listed)
    assert (await yard.http.delete("/v1/default/tokens/ci", headers=admin)).status_code == 200
    refused(await yard.http.get("/v1/default/models", headers=ci), 401, "ModelArts.9401")


async def test_two_tokens_cannot_share_a_name(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    assert (await yard.http.post("/v1/default/tokens", headers=admin, json={"name": "ci"})).status_code == 200
    refused(await yard.http.post("/v1/default/tokens", headers=admin, json={"name": "ci"}), 409, "ModelArts.3002")


async def test_only_the_operator_lists_projects_page_by_page(yard) -> None:
    other = await yard.token(Role.ADMIN, project="other")
    refused(await yard.http.get("/v1/projects", headers=other), 403, "ModelArts.9403")
    operator = await yard.token(Role.ADMIN)
    for name in ("b", "a"):
        await yard.http.post("/v1/projects", headers=operator, json={"project_id": name})
    page = (await yard.http.get("/v1/projects", params={"limit": 2}, headers=operator)).json()
    assert ([each["project_id"] for each in page["projects"]], page["next_after"]) == (["a", "b"], "b")
    page = (await yard.http.get("/v1/projects", params={"after": "b"}, headers=operator)).json()
    assert ([each["project_id"] for each in page["projects"]], page["next_after"]) == (["default"], None)


@pytest.mark.parametrize("path", ["/v1/whoami", "/v1/projects", "/v1/schemas/config.json"])
async def test_outside_of_projects_too_no_parameter_is_passed_over(yard, path) -> None:
    reply = await yard.http.get(path, params={"colour": "red"}, headers=await yard.token(Role.ADMIN))
    refused(reply, 400, "ModelArts.3037")
    assert [problem["field"] for problem in reply.json()["problems"]] == ["colour"]


async def test_only_the_operator_makes_projects(yard) -> None:
    other = await yard.token(Role.ADMIN, project="other")
    refused(await yard.http.post("/v1/projects", headers=other, json={"project_id": "new"}), 403, "ModelArts.9403")
    operator = await yard.token(Role.ADMIN)
    made = (await yard.http.post("/v1/projects", headers=operator, json={"project_id": "new"})).json()
    assert (made["project"], made["role"]) == ("new", "admin")
    refused(await yard.http.post("/v1/projects", headers=operator, json={"project_id": "new"}), 409, "ModelArts.3002")
