"""Doors stand beside each other: each refuses in its own shape and finds project and caller in its own way.

The second door here has the shape of another registry's interface and a password instead of a token header.
"""

import base64
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from modelyard_contracts.calls import version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Away, Failure, FailureKind
from modelyard_contracts.shapes import Role
from modelyard_gateway.app import DOORS, create_app
from modelyard_gateway.backends import Backends, backends_of
from modelyard_gateway.caller import Caller
from modelyard_gateway.edge import Edge
from modelyard_gateway.errors import Unauthenticated
from modelyard_gateway.settings import GatewaySettings
from modelyard_testkit.refusals import refused

ASKED = version.GET.subject
NAMES = {FailureKind.NOT_FOUND: (404, "RESOURCE_DOES_NOT_EXIST"), FailureKind.UNAUTHENTICATED: (401, "UNAUTHENTICATED")}
OTHERS = {FailureKind.UNAVAILABLE: (503, "TEMPORARILY_UNAVAILABLE"), FailureKind.TOO_LARGE: (413, "TOO_LARGE")}


def told(_request: Request, failure: Failure) -> JSONResponse:
    status, name = (NAMES | OTHERS).get(failure.kind, (500, "INTERNAL_ERROR"))
    return JSONResponse({"error": name, "message": failure.message}, status_code=status)


async def with_password(request: Request) -> Caller:
    """`project:secret` in basic authentication."""
    backends = backends_of(request)
    encoded = request.headers.get("authorization", "").removeprefix("Basic ")
    project, _, secret = base64.b64decode(encoded).decode().partition(":")
    token = await backends.lookups.token_of(secret)
    if token is None or token.project != project:
        raise Unauthenticated
    correlationid = request.state.correlationid
    context = CallContext(project=project, actor=token.actor, role=token.role, correlationid=correlationid)
    return Caller(backends, token, context)


def second(settings: GatewaySettings, backends: Backends | None) -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.state.backends = backends
    app.add_middleware(Edge, max_body_bytes=settings.max_body_bytes, refuse=told)
    app.add_exception_handler(Failure, told)
    app.add_exception_handler(
        HTTPException, lambda _, error: JSONResponse({"error": "NO_SUCH_CALL"}, error.status_code)
    )
    app.add_exception_handler(RequestValidationError, lambda *_: JSONResponse({"error": "INVALID_PARAMETER"}, 400))

    @app.get("/api/get")
    async def get(caller: Annotated[Caller, Depends(with_password)], name: str) -> version.VersionView:
        return await caller.ask(version.GET, version.GetVersion(model_id=name))

    return app


@pytest.fixture
async def http(yard) -> AsyncIterator[httpx.AsyncClient]:
    """Both doors, the second at `/api`, with a reader's token of the project `default` that fits at each."""
    app = create_app(yard.backends.settings, yard.backends, doors={**DOORS, "/api": second})
    token = (await yard.token(Role.READER))["Authorization"].removeprefix("Bearer ")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://yard") as client:
        client.headers["X-Auth-Token"] = token
        client.headers["Authorization"] = "Basic " + base64.b64encode(f"default:{token}".encode()).decode()
        yield client


HERE, THERE = "/v1/default/models/m", "/api/get?name=m"


async def test_a_refusal_of_a_service_is_told_in_the_shape_of_the_door(yard, http) -> None:
    yard.calls.answers[ASKED] = Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "no version 'm'")
    refused(await http.get(HERE), 404, "ModelArts.3001")
    reply = await http.get(THERE)
    assert (reply.status_code, reply.json()) == (404, {"error": "RESOURCE_DOES_NOT_EXIST", "message": "no version 'm'"})
    assert [(context.project, request.model_id) for _, context, request in yard.calls.asked] == [("default", "m")] * 2


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/api/nothing", 404, "NO_SUCH_CALL"), ("/api/", 404, "NO_SUCH_CALL"), ("/api/get", 400, "INVALID_PARAMETER")],
)
async def test_what_the_second_door_does_not_know_it_refuses_itself(http, path, status, error) -> None:
    reply = await http.get(path)
    assert (reply.status_code, reply.json()) == (status, {"error": error})
    assert (await http.post("/api/get?name=m")).status_code == 405


@pytest.mark.parametrize("path", ["/v1/default/nothing", "/v1", "/api", "/apis/get", "/v1/api/get"])
async def test_what_stands_at_no_other_door_is_refused_as_ever(http, path) -> None:
    refused(await http.get(path), 404, "ModelArts.9404")


async def test_each_door_knows_its_callers_in_its_own_way(yard, http) -> None:
    yard.calls.answers[ASKED] = Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "no version 'm'")
    token, password = http.headers["X-Auth-Token"], http.headers["Authorization"]
    http.headers = {"Authorization": password}
    refused(await http.get(HERE), 401, "ModelArts.9401")
    assert (await http.get(THERE)).status_code == 404
    http.headers = {"X-Auth-Token": token}
    refused(await http.get(HERE), 404, "ModelArts.3001")
    assert (await http.get(THERE)).json()["error"] == "UNAUTHENTICATED"


async def test_what_nobody_expected_is_told_in_the_shape_of_the_door_too(yard, http, monkeypatch) -> None:
    refused(await http.get(HERE), 500, "ModelArts.9000")  # the recorder has no answer: KeyError
    reply = await http.get(THERE)
    assert (reply.status_code, reply.json()["error"]) == (500, "INTERNAL_ERROR")
    assert "KeyError" not in reply.text
    too_large = {"Content-Length": str(2 << 30)}
    refused(await http.post(HERE, headers=too_large, content=b"{"), 413, "ModelArts.3044")
    assert (await http.post(THERE, headers=too_large, content=b"{")).json()["error"] == "TOO_LARGE"

    async def away(_self, _secret):
        raise Away("disk I/O error in /secret/place")

    monkeypatch.setattr(type(yard.access), "token_of", away)
    refused(await http.get(HERE), 503, "ModelArts.9002")
    assert (await http.get(THERE)).json()["error"] == "TEMPORARILY_UNAVAILABLE"


async def test_a_correlation_id_goes_through_every_door(yard, http) -> None:
    for path in (HERE, THERE, "/nothing", "/docs"):
        reply = await http.get(path, headers={"X-Correlation-Id": "abc"})
        assert reply.headers.get_list("x-correlation-id") == ["abc"]
    assert [context.correlationid for _, context, _ in yard.calls.asked] == ["abc"] * 2


async def test_the_description_is_that_of_the_first_door(yard, http) -> None:
    described = (await http.get("/openapi.json")).json()
    assert described == (await yard.http.get("/openapi.json")).json()
    assert all(path.startswith("/v1/") for path in described["paths"])
    assert (await http.get("/docs")).text == (await yard.http.get("/docs")).text
