"""Who may come in: loopback only, nobody without credentials, nobody from another project, no more than fits."""

import http.client
import ipaddress
import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from modelyard import Client, Refused
from modelyard_testkit.models import package
from modelyard_testkit.refusals import refused
from modelyard_testkit.yard import Yard
from modelyard_testkit.yard_inside import put

from .test_bad_packages import contents, imported

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

TWO_GB = 2 << 30
CHUNK = b"0" * (1 << 16)


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project("bounds") as made:
        yield made


def listening(yard: Yard) -> set[tuple[str, int]]:
    """(address, port) of every socket that the stack listens on."""
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in yard.tree()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_everything_listens_on_loopback_only(yard: Yard) -> None:
    places = listening(yard)
    ports = {port for _, port in places}
    details = yard.details
    for url in (details["gateway_url"], details["nats_url"], f"http://{details['s3']['endpoint']}"):
        assert urlsplit(url).port in ports
    assert {address for address, _ in places if not ipaddress.ip_address(address).is_loopback} == set()


def test_gateway_wants_a_token(yard: Yard, client: Client) -> None:
    described = yard.http("GET", "/openapi.json").json()["paths"]
    asked = 0
    for path, methods in described.items():
        if not path.startswith("/v1/"):
            continue
        for method in methods:
            place = re.sub(r"\{[a-z_]+\}", "default", path)
            refused(yard.http(method.upper(), place, json={}), 401, "ModelArts.9401")
            asked += 1
    assert asked > 50
    guesses = ({"Authorization": "Bearer my_nonsense"}, {"X-Auth-Token": "nonsense"})  # few: they are slowed down
    for headers in guesses:
        refused(yard.http("GET", "/v1/default/models", headers=headers), 401, "ModelArts.9401")
    refused(yard.http("GET", "/metrics"), 401, "ModelArts.9401")
    assert yard.http("GET", "/healthz").status_code == httpx.codes.OK


def test_nats_wants_credentials(yard: Yard) -> None:
    address, training = urlsplit(yard.details["nats_url"]), yard.details["nats_credentials"]
    assert address.port

    def enters(**who: str) -> bool:
        """Spoken by hand: a client library tries again and hides the answer."""
        with (
            socket.create_connection(("127.0.0.1", address.port), timeout=120) as connection,
            connection.makefile() as said,
        ):
            assert said.readline().startswith("INFO ")
            options = {"verbose": False, "pedantic": False, "lang": "by-hand", "version": "0"} | who
            connection.sendall(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
            answer = said.readline().strip()
            assert answer in ("PONG", "-ERR 'Authorization Violation'"), answer
            return answer == "PONG"

    assert enters(user=training["user"], **{"pass": training["password"]})
    assert not enters()
    assert not enters(user="operator", **{"pass": "guessed"})
    assert not enters(user=training["user"], **{"pass": ""})


def test_s3_wants_credentials_on_every_port(yard: Yard) -> None:
    """Whatever else the store listens on hands out nothing either."""
    secret = b"only for those who sign"
    put(yard, "training", "bounds", {"secret.txt": secret})
    endpoint = yard.details["s3"]["endpoint"]
    for method, path in (("GET", "training/bounds/secret.txt"), ("PUT", "training/bounds/mine.txt"), ("GET", "")):
        assert httpx.request(method, f"http://{endpoint}/{path}").status_code == httpx.codes.FORBIDDEN
    for _, port in listening(yard):
        for path in ("training/bounds/secret.txt", "buckets/training/bounds/secret.txt", "?q=secret"):
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/{path}", timeout=120).content
            except httpx.HTTPError:
                continue  # not HTTP
            assert secret not in answer, (port, path)


def test_token_of_another_project(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = package(tmp_path_factory.mktemp("mine"))
    mine = imported(client, model_name="mine", source_location=put(yard, "training", "bounds/mine", contents(root)))
    assert mine["model_status"] == "published"
    with yard.project("strangers") as stranger:
        header = {"Authorization": f"Bearer {stranger.connection.token}"}
        refused(yard.http("GET", f"/v1/bounds/models/{mine['model_id']}", headers=header), 403, "ModelArts.9403")
        refused(yard.http("DELETE", f"/v1/bounds/models/{mine['model_id']}", headers=header), 403, "ModelArts.9403")
        for path in ("", "/files", "/lineage", "/import"):
            with pytest.raises(Refused) as caught:
                stranger.get(f"models/{mine['model_id']}{path}")
            assert (caught.value.status, caught.value.code) == (404, "ModelArts.3001")
        with pytest.raises(Refused) as caught:
            stranger.post("conversions", {"model_id": mine["model_id"], "order": {"target": "onnx-fp16"}})
        assert caught.value.status == 404
        with pytest.raises(Refused) as caught:
            stranger.delete(f"models/{mine['model_id']}")
        assert caught.value.status == 404
        assert stranger.get("models")["total_count"] == 0
        with pytest.raises(Refused) as caught:
            stranger.post("models", {"model_name": "stolen", "source_location": _source(mine)})
        assert (caught.value.status, caught.value.code) == (400, "ModelArts.3017")
    assert client.get(f"models/{mine['model_id']}")["model_status"] == "published"


def _source(model: dict[str, object]) -> str:
    artifacts = model["artifacts"]
    assert isinstance(artifacts, list)
    location = artifacts[0]["location"]
    return f"s3://{location['bucket']}/{location['prefix']}"


def test_roles(yard: Yard, client: Client) -> None:
    token = client.post("tokens", {"name": "looks-only", "role": "reader"})["token"]
    header = {"Authorization": f"Bearer {token}"}
    assert yard.http("GET", "/v1/bounds/models", headers=header).status_code == httpx.codes.OK
    body = {"model_name": "x", "source_location": "s3://training/x/"}
    for path in ("models", "tokens", "gallery"):
        refused(yard.http("POST", f"/v1/bounds/{path}", headers=header, json=body), 403, "ModelArts.9403")
    client.delete("tokens/looks-only")
    refused(yard.http("GET", "/v1/bounds/models", headers=header), 401, "ModelArts.9401")


@pytest.mark.parametrize("way", ["declared", "streamed"])
def test_body_of_two_gigabytes(way: str, yard: Yard, client: Client) -> None:
    """Refused before it is sent, or soon after it has grown too large; the gateway keeps none of it."""
    address = urlsplit(yard.details["gateway_url"])
    assert address.port
    memory = psutil.Process(yard.tree()[0].pid).memory_info().rss
    head = (
        f"POST /v1/bounds/models HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {client.connection.token}\r\n"
    )
    with socket.create_connection(("127.0.0.1", address.port), timeout=120) as connection:
        if way == "declared":
            connection.sendall(f"{head}Content-Length: {TWO_GB}\r\n\r\n".encode())
            sent = 0
        else:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            sent = _stream(connection)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        assert json.loads(answer.read())["error_code"] == "ModelArts.3044"
        answer.close()
    assert sent < TWO_GB // 10
    assert psutil.Process(yard.tree()[0].pid).memory_info().rss - memory < 100 << 20
    assert client.get("models", model_name="0")["total_count"] == 0


def _stream(connection: socket.socket) -> int:
    """Bytes that were sent until an answer came or the connection was closed."""
    sent = 0
    connection.setblocking(False)
    while sent < TWO_GB:
        try:
            if connection.recv(1, socket.MSG_PEEK):
                break
        except BlockingIOError:
            pass
        connection.settimeout(120)
        try:
            connection.sendall(f"{len(CHUNK):x}\r\n".encode() + CHUNK + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            break
        connection.setblocking(False)
        sent += len(CHUNK)
    connection.settimeout(120)
    return sent
