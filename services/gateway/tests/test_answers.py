"""What every answer has, whatever was asked: headers, methods, and types that are what they look like."""

import html
import re

import pytest
from fastapi.routing import APIRoute

from modelyard_contracts.calls import imports, version
from modelyard_contracts.catalogue import TRAINING_COMPLETED
from modelyard_contracts.shapes import Role
from modelyard_gateway.doors.v1.app import ROUTERS
from modelyard_gateway.doors.v1.schemas.rules import AsSaid
from modelyard_testkit.refusals import refused

EMPTY = version.VersionPage(total_count=0, count=0, models=())
MODELS = "/v1/default/models"


@pytest.mark.parametrize("path", [MODELS, "/v1/default/nothing", "/nothing", "/openapi.json", "/docs", "/v1/projects"])
async def test_no_answer_is_guessed_at_kept_or_framed(yard, path) -> None:
    yard.calls.answers[version.LIST.subject] = EMPTY
    for headers in ({}, await yard.token(Role.READER, name=path.replace("/", "-"))):
        reply = await yard.http.get(path, headers=headers)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/docs", "/"])
async def test_the_pages_need_nobody_else_and_run_nothing(yard, path) -> None:
    reply = await yard.http.get(path, headers={"Accept": "text/html"})
    assert reply.headers["content-type"].startswith("text/html")
    directives = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
    assert directives["default-src"] == "'none'"
    assert "script-src" not in directives
    assert not re.findall(r"<script|(?:src|href)=.?(?:https?:)?//", reply.text)


async def test_the_description_has_every_path_and_its_links_lead_somewhere(yard) -> None:
    page = (await yard.http.get("/docs")).text
    document = (await yard.http.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b><code>{html.escape(path)}</code>" in page
    assert set(re.findall('href="#([^"]+)"', page)) <= set(re.findall('id="([^"]+)"', page))
    assert "<code>model_name</code>" in page


async def test_the_root_says_what_this_is(yard) -> None:
    assert (await yard.http.get("/")).json()["docs"] == "/docs"
    assert "modelyard login" in (await yard.http.get("/", headers={"Accept": "text/html,*/*"})).text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", MODELS, "GET, POST, HEAD, OPTIONS"),
        ("POST", f"{MODELS}/m", "GET, PATCH, DELETE, HEAD, OPTIONS"),
        ("DELETE", "/v1/projects", "GET, POST, HEAD, OPTIONS"),
        ("TRACE", "/openapi.json", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_told_which_there_are(yard, method, path, allowed) -> None:
    headers = await yard.token(Role.READER)
    reply = await yard.http.request(method, path, headers=headers)
    refused(reply, 405, "ModelArts.9405")
    assert reply.headers["allow"] == allowed
    asked = await yard.http.options(path, headers=headers)
    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, allowed, b"")


async def test_a_head_is_the_get_without_its_body(yard) -> None:
    yard.calls.answers[version.LIST.subject] = EMPTY
    headers = await yard.token(Role.READER)
    get, head = await yard.http.get(MODELS, headers=headers), await yard.http.head(MODELS, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert (await yard.http.head(f"{MODELS}/m?x=1")).status_code == 401


def bodies():
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.body_field is not None:
                yield pytest.param(route, id=f"{route.name}")


@pytest.mark.parametrize("route", list(bodies()))
def test_every_body_is_read_as_it_is_said(route) -> None:
    assert AsSaid in route.body_field.field_info.metadata


TRAINED = {
    "id": "run",
    "source": "training/digits",
    "type": TRAINING_COMPLETED.subject,
    "time": "2026-11-22T10:00:00Z",
    "subject": "run",
    "project": "default",
}
RULE = {"name": "r", "job_name": "j", "model_name": "a"}
RUN = {
    "job_id": "digits",
    "job_name": "digits",
    "job_version": "V001",
    "status": "completed",
    "output": {"bucket": "training", "prefix": "digits/V001/"},
}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("uploads", {"files": [{"path": "a", "size": 1}, {"path": "b", "size": True}]}, "files.1.size"),
        ("uploads", {"files": [{"path": "a", "size": "1"}]}, "files.0.size"),
        ("models", {"model_name": "a", "source_location": "s3://bucket/a/", "source_copy": 1}, "source_copy"),
        ("models", {"model_name": "a", "source_location": "s3://bucket/a/", "source_copy": "yes"}, "source_copy"),
        ("models", {"model_name": "a", "upload_id": "u", "specification": {"min_cpu": "2"}}, "specification.min_cpu"),
        (
            "import-rules",
            {**RULE, "min_metrics": {"f1": True}},
            "min_metrics.f1",
        ),
        (
            "import-rules",
            {**RULE, "min_metrics": {"f1": "1"}},
            "min_metrics.f1",
        ),
        ("training-jobs/events", {**TRAINED, "time": 1732269600, "data": RUN}, "time"),
        ("training-jobs/events", {**TRAINED, "data": {**RUN, "metrics": {"f1": "0.5"}}}, "data.metrics.f1"),
        ("training-jobs/events", {**TRAINED, "data": {**RUN, "metrics": {"f1": True}}}, "data.metrics.f1"),
    ],
)
async def test_truths_and_texts_are_no_numbers_and_numbers_no_truths(yard, path, body, field) -> None:
    reply = await yard.http.post(f"/v1/default/{path}", headers=await yard.token(Role.WRITER), json=body)
    assert [problem["field"] for problem in refused(reply, 400, "ModelArts.3037")] == [field]
    assert not yard.calls.asked


async def test_a_whole_number_is_a_number_where_any_is_taken(yard) -> None:
    body = {**RULE, "min_metrics": {"f1": 1}}
    await yard.http.post("/v1/default/import-rules", headers=await yard.token(Role.WRITER), json=body)
    [(subject, _, request)] = yard.calls.asked
    assert (subject, request.min_metrics) == (imports.CREATE_RULE.subject, {"f1": 1.0})
