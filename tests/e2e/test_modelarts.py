"""The register as clients of ModelArts use it: signed requests, their bodies, their polling, what they read back."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from modelyard import Client
from modelyard_testkit.images import image, index, push
from modelyard_testkit.models import digits_config, package
from modelyard_testkit.registry import RegistryDouble
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import put

from .test_bad_packages import contents

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

PROJECT = "modelarts"
MODEL = "model/model.onnx"
HOST = "obs.region.example"
SCHEMA = {"type": "object", "properties": {"images": {"type": "file"}}}
APIS = [{"url": "/", "method": "post", "request": {"data": SCHEMA}, "response": {}}]


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project(PROJECT) as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(package(tmp_path_factory.mktemp("package"), config=digits_config()))


class Signed(httpx.Auth):
    """SDK-HMAC-SHA256 of requests without a query."""

    requires_request_body = True

    def __init__(self, pair: dict[str, str]) -> None:
        self.pair = pair

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # nothing is sent back
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        names = "host;x-sdk-date"
        lines = (
            request.method,
            f"{request.url.path}/",
            "",
            f"host:{request.headers['Host']}",
            f"x-sdk-date:{date}",
            "",
        )
        canonical = "\n".join((*lines, names, hashlib.sha256(request.content).hexdigest()))
        text = f"SDK-HMAC-SHA256\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self.pair["secret_access_key"].encode(), text.encode(), "sha256").hexdigest()
        said = f"Access={self.pair['access_key_id']}, SignedHeaders={names}, Signature={signature}"
        request.headers.update({"X-Sdk-Date": date, "Authorization": f"SDK-HMAC-SHA256 {said}"})
        yield request


Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask(client: Client) -> Iterator[Ask]:
    """A signed request below the project, which must succeed with 200."""
    pair = client.post("access-keys", {"name": "terraform", "role": "writer"})
    assert len(base64.urlsafe_b64decode(pair["secret_access_key"] + "=")) == 32
    with httpx.Client(base_url=f"{client.connection.url}/v1/{PROJECT}/", auth=Signed(pair), timeout=60) as http:

        def one(method: str, path: str, body: Any = None) -> dict[str, Any]:
            reply = http.request(method, path, json=body)
            assert reply.status_code == httpx.codes.OK, reply.text
            answer: dict[str, Any] = reply.json()
            return answer

        yield one


def ended(ask: Ask, body: dict[str, Any]) -> dict[str, Any]:
    """Created and polled, as providers do."""
    model_id = ask("POST", "models", body)["model_id"]
    return eventually(
        lambda: (view := ask("GET", f"models/{model_id}"))["model_status"] != "publishing" and view, "it ends"
    )


def created(ask: Ask, body: dict[str, Any]) -> dict[str, Any]:
    view = ended(ask, body)
    assert view["model_status"] == "published", view["failure"]
    said = {name: value for name, value in body.items() if name not in {"template", "initial_config", "apis", "health"}}
    assert {name: view[name] for name in said} == said, "a second plan would create it again"
    if "initial_config" in body:
        assert json.loads(view["config"]) == json.loads(body["initial_config"])
    return view


def test_a_folder_without_a_config_json(yard: Yard, ask: Ask, files: dict[str, bytes]) -> None:
    put(yard, "training", f"{PROJECT}/plain", {"model.onnx": files[MODEL], "customize_service.py": b"pass\n"})
    place = f"https://training.{HOST}/{PROJECT}/plain"
    body = {
        "model_name": "folder",
        "model_version": "0.0.2",
        "description": "made by a plan",
        "source_location": place,
        "source_copy": "true",
        "model_type": "ONNX",
        "runtime": "python3.12",
        "workspace_id": "0",
        "install_type": ["real-time", "batch"],
        "model_docs": [{"doc_name": "guide", "doc_url": "https://doc.example"}],
        "model_metrics": '{"f1": 0.5}',
        "execution_code": f"{place}/customize_service.py",
        "dependencies": [
            {
                "installer": "pip",
                "packages": [{"package_name": "numpy", "package_version": "1.26", "restraint": "ATLEAST"}],
            }
        ],
        "initial_config": json.dumps({"model_algorithm": "image_classification", "metrics": {}, "apis": APIS}),
    }
    view = created(ask, body)
    assert view["model_algorithm"] == "image_classification"
    assert view["package_config"]["metrics"]["f1"] == 0.5
    assert json.loads(view["apis"])[0]["request"]["data"] == SCHEMA
    links = ask("GET", f"models/{view['model_id']}/files")["files"]
    [link] = [each for each in links if each["path"] == "model/config.json"]
    kept = json.loads(httpx.get(link["url"]).raise_for_status().content)
    assert (kept["runtime"], kept["metrics"]) == ("python3.12", {"f1": 0.5})


def test_a_folder_whose_config_json_says_otherwise(yard: Yard, ask: Ask, files: dict[str, bytes]) -> None:
    put(yard, "training", f"{PROJECT}/package", files)
    body = {"model_name": "package", "model_version": "1.0.0", "source_location": f"/training/{PROJECT}/package"}
    view = ended(ask, {**body, "model_type": "ONNX", "model_algorithm": "object_detection"})
    assert view["failure"]["code"] == "ModelArts.3016"
    assert "object_detection" in view["failure"]["reason"]
    assert "image_classification" in view["failure"]["reason"]
    view = created(ask, {**body, "model_version": "1.0.1", "model_type": "ONNX", "runtime": "python3.12"})
    assert view["runtime"] == "python3.12"


def test_a_training_run(yard: Yard, client: Client, ask: Ask, files: dict[str, bytes]) -> None:
    put(yard, "training", f"{PROJECT}/runs/V001", files)
    data = {"job_id": "d", "job_name": "digits-ma", "job_version": "V001", "status": "completed"}
    data |= {"output": {"bucket": "training", "prefix": f"{PROJECT}/runs/V001/"}}  # type: ignore[dict-item]  # JSON
    event = {"specversion": "1.0", "id": "ma-V001", "source": "training/digits", "subject": "ma-V001"}
    event |= {"type": "modelyard.evt.training.completed.v1", "time": "2026-11-22T10:00:00Z", "project": PROJECT}
    client.post("training-jobs/events", event | {"data": data})
    body = {
        "model_name": "trained",
        "model_version": "0.0.1",
        "source_location": f"obs://training/{PROJECT}/runs/V001/",
        "source_job_id": "digits-ma",
        "source_job_version": "V001",
        "model_type": "ONNX",
    }
    view = created(ask, body)
    assert view["training"]["job_name"] == "digits-ma"


def test_a_template(yard: Yard, ask: Ask, files: dict[str, bytes]) -> None:
    put(yard, "training", f"{PROJECT}/template", {"digits.onnx": files[MODEL]})
    place = f"https://training.{HOST}/{PROJECT}/template"
    found = ask("GET", "models/template")
    assert found["total_count"] == found["count"]
    template = {
        "template_id": "onnx",
        "infer_format": "",
        "template_inputs": [{"input_id": "model_folder", "input": place}],
    }
    body = {"model_name": "templated", "model_version": "0.0.1", "source_location": place, "model_type": "Template"}
    view = created(ask, {**body, "template": template})
    assert view["package_config"]["model_type"] == "ONNX"


def test_an_image(registry: RegistryDouble, ask: Ask) -> None:
    push(registry.url, "team/translator", "2.0", index({"linux/amd64": image("linux/amd64")}))
    body = {
        "model_name": "translator",
        "model_version": "0.0.1",
        "source_location": f"{registry.host}/team/translator:2.0",
        "source_copy": "false",
        "model_type": "Image",
        "health": {"url": "/health", "protocol": "http", "initial_delay_seconds": 5, "timeout_seconds": 3},
    }
    view = created(ask, body)
    assert view["image_address"].startswith(f"{registry.host}/team/translator@sha256:")
    assert view["health"]["initial_delay_seconds"] == "5"


def test_lists_and_the_end(yard: Yard, client: Client, ask: Ask, files: dict[str, bytes]) -> None:
    """After the tests above, whose models it lists; every filter that the provider has."""
    put(yard, "training", f"{PROJECT}/listed", {"model.onnx": files[MODEL]})
    first = {
        "model_name": "listed",
        "model_version": "0.0.1",
        "source_location": f"s3://training/{PROJECT}/listed",
        "model_type": "ONNX",
        "model_algorithm": "image_classification",
        "description": "to be found",
        "workspace_id": "7",
    }
    for number in ("0.0.1", "0.0.2"):
        created(ask, {**first, "model_version": number})
    queries = {
        "model_name": "list", "model_version": "0.0.2", "model_status": "published", "description": "be found",
        "workspace_id": "7", "model_type": "ONNX", "not_model_type": "Image",
    }  # fmt: skip
    for name, value in queries.items():
        found = client.get("models", **{name: value})["models"]
        assert ("listed", "0.0.2") in {(row["model_name"], row["model_version"]) for row in found}, name
    assert client.get("models", model_name="list", exact_match="true")["models"] == []
    rows = client.get("models", model_name="listed", exact_match="true", offset=0, limit=2)["models"]
    assert {row["model_source"] for row in rows} == {"custom"}
    assert client.get("models", model_name="listed", offset=2, limit=2)["models"] == [], "where their pager ends"
    assert client.get("models/template", theme="Common", env="python3.12", offset=1000, limit=1000)["templates"] == []
    gone = ask("DELETE", f"models/{rows[0]['model_id']}")
    assert gone["delete_success_list"] == [rows[0]["model_id"]]
    assert client.delete(f"models/{rows[1]['model_id']}", cascade="true")["delete_failed_list"] == []
    assert client.get("models", model_name="listed")["total_count"] == 0
