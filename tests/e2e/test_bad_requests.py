"""What cannot be fulfilled is refused at once with code, field and rule, or ends with a reason. Nothing stays."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from modelyard import Client, Refused
from modelyard_testkit.main_job import images
from modelyard_testkit.models import mlp_weights, model, package
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import dead_letters, keys, pending_outbox, put, stray_keys, unsettled

from .test_bad_packages import contents, imported

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

PROJECT = "bad-requests"


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project(PROJECT) as made:
        yield made


@pytest.fixture(scope="module")
def good(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A published version."""
    root = package(tmp_path_factory.mktemp("good"), calibration=32)
    return _published(yard, client, root, "good")


def _published(yard: Yard, client: Client, root: Path, name: str) -> dict[str, Any]:
    made = imported(client, model_name=name, source_location=put(yard, "training", f"{PROJECT}/{name}", contents(root)))
    assert made["model_status"] == "published", made["failure"]
    return made


@pytest.fixture(autouse=True)
def no_debris(yard: Yard, client: Client, good: dict[str, Any]) -> Iterator[None]:
    known = client.get("models")["total_count"]
    yield
    eventually(lambda: unsettled(yard) == 0 and not pending_outbox(yard), "an idle yard")
    models = [client.get(f"models/{each['model_id']}") for each in client.get("models")["models"]]
    assert len(models) - known in (0, 1), "at most the one that the test published"
    assert stray_keys(yard, PROJECT, models) == set()
    assert keys(yard, "artifacts", f"{PROJECT}/evaluations/") == set()
    assert dead_letters(yard) == ()


def refused(client: Client, path: str, body: Any, status: int, code: str, field: str | None, words: str = "") -> None:
    with pytest.raises(Refused) as caught:
        client.post(path, body)
    refusal = caught.value
    assert (refusal.status, refusal.code) == (status, f"ModelArts.{code}"), str(refusal)
    assert words in str(refusal)
    if field is not None:
        assert field in [problem.get("field") for problem in refusal.problems]
    assert refusal.correlation_id


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model_name": "two words"}, "model_name"),
        ({"model_name": "x" * 65}, "model_name"),
        ({"model_name": ""}, "model_name"),
        ({"model_name": "../up"}, "model_name"),
        ({"model_version": "1.0"}, "model_version"),
        ({"model_version": "1.0.100"}, "model_version"),
        ({"model_version": "01.0.0"}, "model_version"),
        ({"description": "a < b"}, "description"),
        ({"nmae": "misspelt"}, "nmae"),
        ({"source_location": "http://elsewhere/x/"}, "source_location"),
        ({"plan": {"convert": [{"traget": "onnx-fp16"}]}}, "plan.convert.0.traget"),
    ],
)
def test_name_version_and_fields(client: Client, fields: dict[str, Any], field: str) -> None:
    body = {"model_name": "fine", "source_location": "s3://training/x/"} | fields
    refused(client, "models", body, 400, "3017" if field == "source_location" else "3037", field)


def test_missing_name(client: Client) -> None:
    refused(client, "models", {"source_location": "s3://training/x/"}, 400, "3036", "model_name")


def test_version_that_exists(client: Client, good: dict[str, Any]) -> None:
    body = {"model_name": "good", "model_version": good["model_version"], "source_location": "s3://training/x/"}
    refused(client, "models", body, 409, "3002", "model_version", good["model_version"])


def test_conversion_target(yard: Yard, client: Client, good: dict[str, Any]) -> None:
    body = {"model_id": good["model_id"], "order": {"target": "tensorrt-int4"}}
    refused(client, "conversions", body, 400, "3052", "order.target", "tensorrt-int4")
    done = yard.command("convert", "good", "--to", "tensorrt-int4", client=client, code=2)
    assert "tensorrt-int4" in done.stderr
    body["order"] = {"target": "onnx-int8-static", "options": {"per_chanel": True}}
    refused(client, "conversions", body, 400, "3037", None, "per_chanel")
    assert client.get("conversions")["total_count"] == 0


def test_operator_the_toolchain_lacks(yard: Yard, client: Client, tmp_path: Path) -> None:
    """ONNX Runtime has it, OpenVINO has not."""

    def build(path: Path) -> Path:
        nodes = [
            helper.make_node("Inverse", ["image"], ["inverse"], domain="com.microsoft"),
            helper.make_node("Flatten", ["inverse"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w1", "b1"], ["h1"]),
            helper.make_node("Gemm", ["h1", "w2", "b2"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"]),
        ]
        made = model(nodes, mlp_weights(), opsets={"": 17, "com.microsoft": 1})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.SerializeToString())
        return path

    version = _published(yard, client, package(tmp_path, build), "inverse")
    order = {"model_id": version["model_id"], "order": {"target": "openvino-fp16"}}
    conversion_id = client.post("conversions", order)["conversion_id"]

    def ended() -> dict[str, Any] | None:
        made = client.get(f"conversions/{conversion_id}")
        return made if made["state"] in ("succeeded", "failed") else None

    made = eventually(ended, "the end of the conversion")
    assert (made["state"], made["code"]) == ("failed", "ModelArts.3049")
    assert "com.microsoft" in made["reason"]
    assert "Inverse" in made["reason"]
    assert "Inverse" in client.get(f"conversions/{conversion_id}/log")["text"]
    assert [artifact["kind"] for artifact in client.get(f"models/{version['model_id']}")["artifacts"]] == ["source"]


def test_empty_dataset(client: Client) -> None:
    for kind in ("image-folder", "npz"):
        body = {"name": "empty", "kind": kind, "source_location": "s3://datasets/nothing-here/"}
        refused(client, "datasets", body, 422, "3080", None, "nothing-here")
    body = {"name": "empty", "source_location": "s3://nobodys-bucket/x/"}
    refused(client, "datasets", body, 422, "3017", None, "nobodys-bucket")
    assert client.get("datasets")["datasets"] == []


def test_class_the_model_does_not_know(yard: Yard, client: Client, good: dict[str, Any]) -> None:
    some = {f"{path[0]}-of-hearts/{path[2:]}": content for path, content in list(images(1).items())[:4]}
    body = {"name": "cards", "source_location": put(yard, "datasets", f"{PROJECT}/cards", some)}
    dataset_id = client.post("datasets", body)["dataset_id"]
    order = {"model_id": good["model_id"], "dataset_id": dataset_id}
    refused(client, "evaluations", order, 422, "3082", "labels", "-of-hearts")
    done = yard.command("evaluate", "good", "--dataset", "cards", client=client, code=3)
    assert "-of-hearts" in done.stderr
    assert client.get("evaluations")["evaluations"] == []


def closing(client: Client, title: str, dataset_id: str) -> str:
    """A competition that closes soon; later on a machine so slow that the deadline is over when it is read."""
    for ahead in (1_000, 5_000, 25_000):
        body = {"title": title, "dataset_id": dataset_id, "deadline": int(time.time() * 1000) + ahead}
        try:
            return str(client.post("competitions", body)["competition_id"])
        except Refused as refusal:
            if refusal.problems[0]["field"] != "deadline":
                raise
    raise AssertionError("25 s are too short")


def test_deadline_passed(yard: Yard, client: Client, good: dict[str, Any]) -> None:
    place = put(yard, "datasets", f"{PROJECT}/hidden", dict(list(images(2).items())[:20]))
    hidden = client.post("datasets", {"name": "hidden", "source_location": place, "hidden": True})["dataset_id"]
    past = {"title": "Too late", "dataset_id": hidden, "deadline": int(time.time() * 1000) - 1}
    refused(client, "competitions", past, 400, "3037", "deadline")
    competition = f"competitions/{closing(client, 'Too late', hidden)}"
    eventually(lambda: not client.get(competition)["open"], "the deadline")
    refused(client, f"{competition}/entries", {"model_id": good["model_id"]}, 409, "3073", "deadline", "closed at")
    assert client.get(f"{competition}/leaderboard")["rows"] == []


def test_plan_with_a_closed_competition_still_lists_in_the_gallery(yard: Yard, client: Client, tmp_path: Path) -> None:
    """One refused step does not stop the others (docs/adr/0003)."""
    place = put(yard, "datasets", f"{PROJECT}/late", dict(list(images(2).items())[20:30]))
    hidden = client.post("datasets", {"name": "late", "source_location": place, "hidden": True})["dataset_id"]
    competition_id = closing(client, "Closing", hidden)
    eventually(lambda: not client.get(f"competitions/{competition_id}")["open"], "the deadline")
    source = put(yard, "training", f"{PROJECT}/planned", contents(package(tmp_path)))
    publish = [{"channel": "competition", "competition_id": competition_id}, {"channel": "gallery"}]
    planned = imported(client, model_name="planned", source_location=source, plan={"publish": publish})

    def listed() -> bool:
        return any(found["model_id"] == planned["model_id"] for found in client.get("gallery")["listings"])

    eventually(listed, "the listing")
    assert client.get(f"competitions/{competition_id}")["entries"] == 0


def test_label_the_model_does_not_know(yard: Yard, client: Client, good: dict[str, Any], tmp_path: Path) -> None:
    """Labels inside an `.npz` are only read by the run, which ends with the reason."""
    buffer = tmp_path / "data.npz"
    np.savez(buffer, x=np.zeros((2, 1, 8, 8), np.float32), y=np.array([3, 12]))
    place = put(yard, "datasets", f"{PROJECT}/outside", {"data.npz": buffer.read_bytes()})
    body = {"name": "outside", "kind": "npz", "source_location": place}
    order = {"model_id": good["model_id"], "dataset_id": client.post("datasets", body)["dataset_id"]}
    path = f"evaluations/{client.post('evaluations', order)['evaluation_id']}"

    def ended() -> dict[str, Any] | None:
        (run,) = client.get(path)["versions"]
        return run if run["state"] not in ("waiting", "running") else None

    run = eventually(ended, "the end of the evaluation")
    assert (run["state"], run["code"]) == ("failed", "ModelArts.3082")
    assert "12" in run["reason"]
    assert client.get(f"models/{good['model_id']}")["evaluations"] == []
