"""One model through every way in, and what each refuses."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard import Client
from modelyard_testkit.images import image, index, push
from modelyard_testkit.main_job import trained
from modelyard_testkit.models import digits_config, package
from modelyard_testkit.registry import Answer, RegistryDouble
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import keys, put

from .test_bad_packages import contents, imported
from .test_readme import run

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

PROJECT = "sources"
MODEL = "model/model.onnx"


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project(PROJECT) as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return contents(package(tmp_path_factory.mktemp("package"), config=digits_config(runtime="python3.12")))


def published(client: Client, **fields: Any) -> dict[str, Any]:
    made = imported(client, **fields)
    assert made["model_status"] == "published", made["failure"]
    return made


def downloaded(client: Client, model: dict[str, Any]) -> dict[str, bytes]:
    links = client.get(f"models/{model['model_id']}/files")["files"]
    return {link["path"]: httpx.get(link["url"]).raise_for_status().content for link in links}


def failure(client: Client, **fields: Any) -> dict[str, Any]:
    made = imported(client, **fields)
    assert made["model_status"] == "failed"
    refusal: dict[str, Any] = made["failure"]
    return refusal


def test_upload(client: Client, files: dict[str, bytes]) -> None:
    listing = [{"path": path, "size": len(content)} for path, content in files.items()]
    ticket = client.post("uploads", {"files": listing})
    for target in ticket["files"]:
        httpx.put(target["urls"][0], content=files[target["path"]]).raise_for_status()
    client.post(f"uploads/{ticket['upload_id']}/complete", [{"path": path} for path in files])
    model = published(client, model_name="uploaded", upload_id=ticket["upload_id"])
    assert downloaded(client, model) == files
    assert model["source"]["kind"] == "upload"


def test_storage_copy_outlives_its_source(yard: Yard, client: Client, files: dict[str, bytes]) -> None:
    place = put(yard, "training", f"{PROJECT}/copied", files)
    model = published(client, model_name="copied", source_location=place)
    put(yard, "training", f"{PROJECT}/copied", {MODEL: b"something else"})
    assert downloaded(client, model) == files
    (source,) = model["artifacts"]
    assert not source["by_reference"]
    assert model["scan"]["files"] == len(files)


def test_storage_by_reference(yard: Yard, client: Client, files: dict[str, bytes]) -> None:
    """Nothing is copied; a changed object is found by whoever reads, and deleting leaves the objects alone."""
    place = put(yard, "training", f"{PROJECT}/referred", files)
    model = published(client, model_name="referred", source_location=place, source_copy=False)
    (source,) = model["artifacts"]
    assert (source["by_reference"], source["location"]["bucket"]) == (True, "training")
    assert keys(yard, "artifacts", f"{PROJECT}/models/{model['model_id']}/") == set()
    assert downloaded(client, model) == files
    put(yard, "training", f"{PROJECT}/referred", {MODEL: files[MODEL][:-1] + b"\0"})
    header = {"Authorization": f"Bearer {client.connection.token}"}
    reply = yard.http("GET", f"/v1/{PROJECT}/models/{model['model_id']}/files", headers=header)
    assert reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert reply.json()["error_code"] == "ModelArts.3017"
    assert [problem["file"] for problem in reply.json()["problems"]] == [MODEL]
    assert client.delete(f"models/{model['model_id']}")["delete_success_list"] == [model["model_id"]]
    assert len(keys(yard, "training", f"{PROJECT}/referred/")) == len(files)


def test_training_run(yard: Yard, client: Client, files: dict[str, bytes]) -> None:
    put(yard, "training", f"{PROJECT}/digits/V001", files)
    data = {
        "job_id": "digits",
        "job_name": "digits-sources",
        "job_version": "V001",
        "status": "completed",
        "output": {"bucket": "training", "prefix": f"{PROJECT}/digits/V001/"},
        "metrics": {"accuracy": 0.97},
        "dataset": {"uri": "s3://datasets/digits/", "digest": "sha256:9f86d081"},
        "code": {"repository": "https://git.example/digits.git", "commit": "4f2c1d9"},
    }
    event = {"specversion": "1.0", "id": "digits-V001", "source": "training/digits", "subject": "digits-V001"}
    event |= {"type": "modelyard.evt.training.completed.v1", "time": "2026-11-22T10:00:00Z", "project": PROJECT}
    job = client.post("training-jobs/events", event | {"data": data})
    for query in ({"job_name": "digits-*"}, {"job_version": "V001"}, {"status": "completed"}):
        assert client.get("training-jobs", **query)["total_count"] == 1
    for query in ({"job_name": "cats-*"}, {"job_version": "V002"}, {"status": "failed"}):
        assert client.get("training-jobs", **query)["total_count"] == 0
    model = published(client, model_name="trained", training_job_id=job["training_job_id"])
    assert model["training"]["metrics"] == {"accuracy": 0.97}
    assert downloaded(client, model) == files
    kinds = {node["kind"] for node in client.get(f"models/{model['model_id']}/lineage")["nodes"]}
    assert {"dataset", "code", "training-job", "version", "artifact"} <= kinds


def test_template(yard: Yard, client: Client, files: dict[str, bytes]) -> None:
    """The folder has no config.json: the template fixes what it would say, with another mode where it may."""
    place = put(yard, "training", f"{PROJECT}/plain", {"digits.onnx": files[MODEL]})
    template = {"template_id": "onnx", "template_inputs": [{"input_id": "model_folder", "input": place}]}
    model = published(client, model_name="templated", template=template | {"infer_format": "predictive-analysis"})
    assert model["model_type"] == "ONNX"
    found = downloaded(client, model)
    assert found["model/digits.onnx"] == files[MODEL]
    assert "req_data" in json.dumps(json.loads(found["model/config.json"])["apis"])
    assert "resp_data" in json.dumps(model["package_config"]["apis"])
    assert "template" in {node["kind"] for node in client.get(f"models/{model['model_id']}/lineage")["nodes"]}
    put(yard, "training", f"{PROJECT}/plain", {"config.json": files["model/config.json"]})
    refusal = failure(client, model_name="templated", template=template)
    assert refusal["code"] == "ModelArts.3015"
    assert "template" in refusal["reason"]


CONFIG = {
    "model_algorithm": "translation",
    "model_type": "Image",
    "apis": [{"url": "/translate", "method": "post", "request": {}, "response": {}}],
    "health": {"url": "/health", "protocol": "http", "initial_delay_seconds": 5, "timeout_seconds": 3},
}


@pytest.fixture
def reference(registry: RegistryDouble) -> Iterator[str]:
    """An index over two platforms behind a token, as public registries have them."""
    built = index({name: image(name) for name in ("linux/amd64", "linux/arm64/v8")})
    registry.wants = "token"
    push(registry.url, "team/translator", "1.4", built)
    yield f"{registry.host}/team/translator:1.4"
    registry.failures.clear()
    registry.wants = "nothing"


def test_container_image(client: Client, registry: RegistryDouble, reference: str) -> None:
    asked = {"reference": reference, "platform": "linux/arm64/v8", "config": CONFIG}
    registry.asked.clear()
    model = published(client, model_name="translator", image=asked)
    (artifact,) = model["artifacts"]
    about = artifact["inspection"]["image"]
    built = image("linux/arm64/v8")
    assert (about["digest"], about["size"]) == (built.digest, built.size)
    assert about["reference"] == f"{registry.host}/team/translator@{built.digest}"
    assert (about["requested"], about["platform"], about["ports"]) == (reference, "linux/arm64/v8", ["8080/tcp"])
    pulled = [target for _, target, _ in registry.asked if "/blobs/" in target]
    assert len(set(pulled)) == 1, "the configuration, and no layer"
    assert set(downloaded(client, model)) == {"model/config.json", "model/image.json"}


def test_container_image_with_config_in_a_bucket(yard: Yard, client: Client, reference: str) -> None:
    place = put(yard, "training", f"{PROJECT}/image", {"translate.json": json.dumps(CONFIG).encode()})
    asked = {"reference": reference, "config_location": f"{place}translate.json"}
    model = published(client, model_name="translator", image=asked)
    assert model["package_config"]["health"]["url"] == "/health"
    assert model["artifacts"][0]["inspection"]["image"]["platform"] == "linux/amd64"


def test_images_that_are_refused(client: Client, registry: RegistryDouble, reference: str) -> None:
    def asked(**changed: Any) -> dict[str, Any]:
        return failure(client, model_name="none", image={"reference": reference, "config": CONFIG} | changed)

    assert "docker.io" in asked(reference="team/translator:1.4")["reason"]  # not one of the operator's registries
    assert "9.9" in asked(reference=reference.replace("1.4", "9.9"))["reason"]
    assert "linux/s390x" in asked(platform="linux/s390x")["reason"]
    wrong = asked(config=CONFIG | {"model_type": "Imaginary"})
    assert (wrong["code"], wrong["problems"][0]["field"]) == ("ModelArts.3016", "model_type")
    registry.failures["/token"] = Answer(401, b"{}")
    assert asked()["code"] == "ModelArts.3017"


def test_resumed_upload_sends_only_what_is_missing(client: Client, files: dict[str, bytes]) -> None:
    listing = [{"path": path, "size": len(content)} for path, content in files.items()]
    upload_id = client.post("uploads", {"files": listing})["upload_id"]
    first, *others = client.get(f"uploads/{upload_id}/parts")["files"]
    assert not first["done"]
    httpx.put(first["missing"]["1"], content=files[first["path"]]).raise_for_status()
    resumed = {file["path"]: file for file in client.get(f"uploads/{upload_id}/parts")["files"]}
    assert resumed[first["path"]]["done"]
    assert resumed[first["path"]]["missing"] == {}
    for other in others:
        httpx.put(resumed[other["path"]]["missing"]["1"], content=files[other["path"]]).raise_for_status()
    assert all(file["done"] for file in client.get(f"uploads/{upload_id}/parts")["files"])
    client.post(f"uploads/{upload_id}/complete", [{"path": path} for path in files])
    assert downloaded(client, published(client, model_name="resumed", upload_id=upload_id)) == files


def test_rule_dry_run_takes_nothing(yard: Yard, client: Client) -> None:
    rule = {"name": "dry", "job_name": "digits-sources", "min_metrics": {"accuracy": 0.99}, "model_name": "dry"}
    told = client.post("import-rules/dry-run", rule)
    assert (told["looked_at"], told["taken"]) == (1, 0)
    assert "accuracy" in told["verdicts"][0]["reason"]
    told = client.post("import-rules/dry-run", rule | {"min_metrics": {"accuracy": 0.9}})
    assert (told["taken"], told["verdicts"][0]["taken"]) == (1, True)
    assert client.get("models", model_name="dry")["total_count"] == 0
    assert client.get("import-rules")["rules"] == []


def test_templates_of_ones_own(client: Client, yard: Yard, files: dict[str, bytes]) -> None:
    built_in = client.get("models/template")
    assert built_in["total_count"] == built_in["count"] >= 19
    for query, expected in (
        ({"model_type": "ONNX"}, {"onnx"}),
        ({"environment": "py27", "model_type": "TensorFlow"}, {"tensorflow-image-classification", "tensorflow-py27"}),
        ({"keyword": "no such thing"}, set()),
    ):
        found = {each["template_id"] for each in client.get("models/template", **query)["templates"]}
        assert found <= expected
        assert bool(found) == bool(expected)
    body = {
        "template_name": "我们的模板",
        "model_type": "ONNX",
        "runtime": "python3.12",
        "model_algorithm": "image_classification",
        "infer_format": "image-processing",
        "infer_format_fixed": True,
        "template_inputs": [{"input_id": "network", "label": "网络"}],
        "keywords": ["vision"],
    }
    made = client.post("models/template", body, idempotency_key="t")
    assert client.post("models/template", body, idempotency_key="t") == made
    assert client.get(f"models/template/{made['template_id']}") == made
    assert made["template_id"] in {t["template_id"] for t in client.get("models/template", keyword="visi")["templates"]}
    place = put(yard, "training", f"{PROJECT}/own-template", {"net.onnx": files[MODEL]})
    inputs = [{"input_id": "network", "input": place}]
    model = published(
        client, model_name="own", template={"template_id": made["template_id"], "template_inputs": inputs}
    )
    assert model["package_config"]["model_algorithm"] == "image_classification"
    assert client.delete(f"models/template/{made['template_id']}") == {}
    eventually(lambda: client.get("models/template")["total_count"] == built_in["total_count"], "only built-in ones")


API = Path(__file__).parents[2] / "docs/api.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples need curl")
def test_examples_of_the_page_about_http(yard: Yard, registry: RegistryDouble, reference: str, tmp_path: Path) -> None:
    """Run by bash in order, with what they say lies in the bucket and at the registry."""
    put(yard, "training", "digits/V001", trained().files)
    put(yard, "training", "digits/plain", {"digits.onnx": trained().files["model/digits.onnx"]})
    environment = yard.environment()
    subprocess.run(["modelyard", "sample", "sample"], cwd=tmp_path, env=environment, check=True)
    details = yard.details
    environment |= {"URL": f"{details['gateway_url']}/v1/default", "TOKEN": details["token"]}
    steps = re.findall(r"^```sh\n(.*?)^```$", API.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(steps) > 8
    said = run("\n".join(steps).replace("ghcr.io/team/translator:1.4", reference), tmp_path, environment)
    assert said.splitlines().count("published") >= 6
    assert f"{registry.host}/team/translator@sha256:" in said
    assert "accuracy" in said, "what the dry run says of the run that it leaves"
    assert "0.0.1 token:operator" in said.replace("'", "").replace(",", "").replace("(", "")
    assert (tmp_path / "lineage.svg").read_text("utf-8").startswith("<?xml")
