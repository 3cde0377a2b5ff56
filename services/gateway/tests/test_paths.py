"""Which request reaches which route does not depend on the order in which the routes were written down."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from modelyard_contracts.calls import version
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Role
from modelyard_gateway.doors.v1.app import ROUTERS
from modelyard_gateway.doors.v1.paths import WORDS
from modelyard_testkit.refusals import refused

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def taken_twice(routes: Iterable[APIRoute]) -> list[str]:
    """Requests that two routes would take. A segment is a word or an id; where either is a word, the request has it."""
    found = []
    for one, other in combinations(routes, 2):
        pairs = list(zip(one.path_format.split("/"), other.path_format.split("/"), strict=False))
        path = "/".join(next((part for part in pair if not part.startswith("{")), "x") for pair in pairs)
        if one.methods & other.methods and one.path_regex.match(path) and other.path_regex.match(path):
            found.append(path)
    return found


def test_no_two_routes_take_the_same_request() -> None:
    assert len(ROUTES) > 80
    assert taken_twice(ROUTES) == []


def test_the_ruler_measures() -> None:
    router = APIRouter()
    for path in ("/a/{x}", "/a/b", "/{x}/c", "/a/b/c"):
        router.add_api_route(path, lambda: None)
    router.add_api_route("/a/b", lambda: None, methods=["POST"])
    assert taken_twice(router.routes) == ["/a/b", "/a/c"]


@pytest.mark.parametrize("word", WORDS)
async def test_a_word_is_never_a_model(yard, word) -> None:
    headers = await yard.token(Role.ADMIN)
    yard.calls.answers = defaultdict(lambda: Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "none"))
    below = [route for route in ROUTES if "/models/{model_id}" in route.path_format]
    assert len(below) > 10
    for route in below:
        place = route.path_format.replace("{project_id}", "default").replace("{model_id}", word)
        for method in route.methods:
            await yard.http.request(method, place, headers=headers, json={"labels": []})
    assert word not in {getattr(request, "model_id", None) for _, _, request in yard.calls.asked}


async def test_a_word_with_a_method_that_it_does_not_have(yard) -> None:
    headers = await yard.token(Role.ADMIN)
    for word in set(WORDS) - {"verifications"}:
        refused(await yard.http.delete(f"/v1/default/models/{word}", headers=headers), 405, "ModelArts.9405")
    refused(await yard.http.delete("/v1/default/models/verifications", headers=headers), 404, "ModelArts.9404")


@pytest.mark.parametrize("name", ["comparex", "Compare", "xcompare", "模型", "$where", "a.b", "-1", "template-1"])
async def test_what_only_resembles_a_word_is_asked_for(yard, name) -> None:
    yard.calls.answers[version.GET.subject] = Failure(FailureKind.NOT_FOUND, "ModelArts.3001", "none")
    reply = await yard.http.get(f"/v1/default/models/{name}", headers=await yard.token(Role.READER))
    refused(reply, 404, "ModelArts.3001")
    assert yard.calls.asked[0][2].model_id == name
