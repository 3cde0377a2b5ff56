"""Making, rotating and revoking access keys over HTTP."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable

import httpx
import pytest

from modelyard_contracts.calls import version
from modelyard_contracts.shapes import Role
from modelyard_gateway.domain import MOST_FORMER
from modelyard_testkit.refusals import refused

KEYS = "/v1/default/access-keys"
DAY = 24 * 3600 * 1000


def signed_with(pair: dict[str, str]) -> Callable[[httpx.Request], httpx.Request]:
    """Requests without query and body, at the clock of the yard (1970-01-01 00:00:01)."""

    def sign(request: httpx.Request) -> httpx.Request:
        date, names = "19700101T000001Z", "host;x-sdk-date"
        head = f"{request.method}\n{request.url.path}/\n\nhost:{request.headers['Host']}\nx-sdk-date:{date}\n\n{names}"
        canonical = hashlib.sha256(f"{head}\n{hashlib.sha256(b'').hexdigest()}".encode()).hexdigest()
        text = f"SDK-HMAC-SHA256\n{date}\n{canonical}"
        signature = hmac.new(pair["secret_access_key"].encode(), text.encode(), "sha256").hexdigest()
        said = f"Access={pair['access_key_id']}, SignedHeaders={names}, Signature={signature}"
        request.headers.update({"X-Sdk-Date": date, "Authorization": f"SDK-HMAC-SHA256 {said}"})
        return request

    return sign


async def list_models(yard, pair: dict[str, str]) -> httpx.Response:
    yard.calls.answers[version.LIST.subject] = version.VersionPage(total_count=0, count=0, models=())
    return await yard.http.get("/v1/default/models", auth=signed_with(pair))


async def made(yard, admin, name: str = "terraform", role: str = "reader") -> dict[str, str]:
    reply = await yard.http.post(KEYS, headers=admin, json={"name": name, "role": role})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    pair = await made(yard, admin)
    assert (await list_models(yard, pair)).status_code == 200
    listed = (await yard.http.get(KEYS, headers=admin)).json()
    [key] = listed["access_keys"]
    assert (key["name"], key["role"], key["access_key_id"]) == ("terraform", "reader", pair["access_key_id"])
    assert (key["created_by"], key["former"]) == ("token:admin", [])
    assert pair["secret_access_key"] not in str(listed)
    assert (await yard.http.delete(f"{KEYS}/terraform", headers=admin)).status_code == 200
    refused(await list_models(yard, pair), 401, "ModelArts.9401")
    refused(await yard.http.delete(f"{KEYS}/terraform", headers=admin), 404, "ModelArts.3001")


async def test_the_secret_is_nowhere_in_the_documents(yard, tmp_path) -> None:
    pair = await made(yard, await yard.token(Role.ADMIN))
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert pair["access_key_id"].encode() in stored
    assert pair["secret_access_key"].encode() not in stored


async def test_a_rotated_key_has_a_new_pair_and_the_former_one_a_day(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    former = await made(yard, admin)
    pair = (await yard.http.post(f"{KEYS}/terraform/rotation", headers=admin)).json()
    assert pair["access_key_id"] != former["access_key_id"]
    assert pair["former"] == [{"access_key_id": former["access_key_id"], "expires_at": 1_000 + DAY}]
    for each in (pair, former):
        assert (await list_models(yard, each)).status_code == 200
    yard.backends.lookups.now = lambda: 1_000 + DAY
    assert (await list_models(yard, pair)).status_code == 200
    refused(await list_models(yard, former), 401, "ModelArts.9401")


async def test_a_rotation_may_end_every_former_pair_at_once(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    pairs = [await made(yard, admin)]
    for body in ({"former_seconds": 60}, {"former_seconds": 0}):
        pairs.append((await yard.http.post(f"{KEYS}/terraform/rotation", headers=admin, json=body)).json())
    assert pairs[-1]["former"] == []
    for pair in pairs[:-1]:
        refused(await list_models(yard, pair), 401, "ModelArts.9401")
    assert (await list_models(yard, pairs[-1])).status_code == 200


async def test_rotations_at_the_same_time_lose_no_pair(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    first = await made(yard, admin)
    rotation = f"{KEYS}/terraform/rotation"
    replies = await asyncio.gather(*(yard.http.post(rotation, headers=admin, json={}) for _ in range(2)))
    for pair in (first, *(reply.json() for reply in replies)):
        assert (await list_models(yard, pair)).status_code == 200


async def test_former_pairs_have_an_end_in_number(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    await made(yard, admin)
    for _ in range(MOST_FORMER):
        assert (await yard.http.post(f"{KEYS}/terraform/rotation", headers=admin)).status_code == 200
    [problem] = refused(await yard.http.post(f"{KEYS}/terraform/rotation", headers=admin), 409, "ModelArts.3037")
    assert problem["field"] == "former_seconds"


@pytest.mark.parametrize("body", [{"former_seconds": -1}, {"former_seconds": 31 * 86_400}, {"former_seconds": "60"}])
async def test_a_former_pair_works_at_most_a_month(yard, body) -> None:
    admin = await yard.token(Role.ADMIN)
    await made(yard, admin)
    reply = await yard.http.post(f"{KEYS}/terraform/rotation", headers=admin, json=body)
    assert refused(reply, 400, "ModelArts.3037")[0]["field"] == "former_seconds"


async def test_names_are_taken_once_and_apart_from_those_of_tokens(yard) -> None:
    admin = await yard.token(Role.ADMIN)
    assert (await yard.http.post("/v1/default/tokens", headers=admin, json={"name": "terraform"})).status_code == 200
    await made(yard, admin)
    refused(await yard.http.post(KEYS, headers=admin, json={"name": "terraform"}), 409, "ModelArts.3002")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ""), ("GET", ""), ("POST", "/terraform/rotation"), ("DELETE", "/terraform")]
)
async def test_only_an_admin_manages_them_and_only_where_there_is_a_master_key(yard, method, path) -> None:
    publisher, admin = await yard.token(Role.PUBLISHER), await yard.token(Role.ADMIN)
    body = {"name": "x"} if (method, path) == ("POST", "") else None
    refused(await yard.http.request(method, KEYS + path, headers=publisher, json=body), 403, "ModelArts.9403")
    yard.put(access_master_key=None)
    reply = await yard.http.request(method, KEYS + path, headers=admin, json=body)
    refused(reply, 501, "ModelArts.9501")
    assert "MODELYARD_ACCESS_MASTER_KEY" in reply.json()["error_msg"]


async def test_a_key_does_not_revoke_itself(yard) -> None:
    """Nor does it take a token of the same name for itself."""
    admin = await yard.token(Role.ADMIN)
    pair = await made(yard, admin, "same", "admin")
    await yard.http.post("/v1/default/tokens", headers=admin, json={"name": "same"})
    refused(await yard.http.delete(f"{KEYS}/same", auth=signed_with(pair)), 403, "ModelArts.9403")
    assert (await yard.http.delete("/v1/default/tokens/same", auth=signed_with(pair))).status_code == 200
