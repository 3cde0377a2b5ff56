"""Whatever stands in a path, a query or a body: the answer is a refusal in the one shape, never an internal error."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from modelyard_testkit.yard import Yard

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

PROJECT = "strange"
IDS = (
    "x" * 5000,
    "%00",
    "%FF%FE",
    "..%2F..%2Fdefault",
    "$where",
    "模型",
    "%F0%9F%A6%86",
    "-1",
    str(10**30),
    "%27%22;--",
    "*",
)
NUMBERS = (str(10**30), str(2**53), "-1", "1.5", "NaN", "", "1" * 5000, "0x10")
TEXTS = ("", "\x00", "x" * 20_000, "%", "_", "*?[", "'\";--", "模型", "\U0001f986", "(" * 500)
BODIES = (
    b"", b"null", b"[]", b'""', b"0", b"true", b"{}", b"[[]]", b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", b"NaN",
    b"[" * 300 + b"]" * 300, b"[" * 50_000, b'{"a":' * 300 + b"1" + b"}" * 300, b'{"\\ud800": 1}', b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
)  # fmt: skip


@pytest.fixture(scope="module")
def http(yard: Yard) -> Iterator[httpx.Client]:
    with yard.project(PROJECT) as client:
        header = {"Authorization": f"Bearer {client.connection.token}"}
        with httpx.Client(base_url=yard.details["gateway_url"], headers=header, timeout=120) as made:
            yield made


@pytest.fixture(scope="module")
def routes(http: httpx.Client) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Method, path within the project, described parameters; but no stream, which would not end."""
    described = http.get("/openapi.json").json()["paths"]
    return [
        (method, path.replace("{project_id}", PROJECT), operation.get("parameters", []))
        for path, methods in described.items()
        for method, operation in methods.items()
        if path != "/v1/{project_id}/events"
    ]


def borne(reply: httpx.Response, *asked: Any) -> None:
    assert reply.status_code < httpx.codes.INTERNAL_SERVER_ERROR, (asked, reply.text[:500])
    if reply.status_code >= httpx.codes.BAD_REQUEST:
        told = reply.json()
        assert told["error_code"].startswith("ModelArts."), asked
        assert told["error_msg"], asked
        assert len(reply.content) < 100_000, asked


def test_ids(http: httpx.Client, routes: list[Any]) -> None:
    asked = 0
    for method, path, _ in routes:
        if "{" in path:
            for strange in IDS:
                place = re.sub(r"\{[a-z_]+\}", lambda _, value=strange: value, path)  # type: ignore[misc]  # bound early
                borne(
                    http.request(method, place, json={} if method in ("post", "put", "patch") else None), method, place
                )
                asked += 1
    assert asked > 400


def test_queries(http: httpx.Client, routes: list[Any]) -> None:
    asked = 0
    for method, path, parameters in routes:
        place = re.sub(r"\{[a-z_]+\}", "x", path)
        for parameter in parameters:
            if parameter["in"] != "query":
                continue
            number = "integer" in str(parameter["schema"])
            for strange in NUMBERS if number else TEXTS:
                query = {str(parameter["name"]): strange}
                borne(http.request(method, place, params=query), method, place, query)
                asked += 1
    assert asked > 300


def test_bodies(http: httpx.Client, routes: list[Any]) -> None:
    """Also where none is wanted. What they would start is nobody's, so nothing starts but audits."""
    for method, path, _ in routes:
        if method not in ("post", "put", "patch"):
            continue
        place = re.sub(r"\{[a-z_]+\}", "x", path)
        for body in BODIES:
            for kind in ("application/json", "text/plain"):
                borne(
                    http.request(method, place, content=body, headers={"Content-Type": kind}), method, place, body[:50]
                )


def test_headers(http: httpx.Client) -> None:
    place = f"/v1/{PROJECT}/audits"
    for key in ("", "x" * 201, "\x01"):
        borne(http.post(place, json={}, headers={"Idempotency-Key": key}), key)
    for correlation in ("x" * 5000, "\xe9", ""):
        reply = http.get(f"/v1/{PROJECT}/models", headers=[(b"X-Correlation-Id", correlation.encode("latin-1"))])
        borne(reply, correlation)
        assert len(reply.headers["x-correlation-id"]) <= 100
