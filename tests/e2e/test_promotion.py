"""Two projects of one yard: a version is promoted with all it has, and lives on when its original is gone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard import Client
from modelyard_testkit.main_job import images, trained
from modelyard_testkit.refusals import refused
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import events, keys, put

from .test_bad_packages import imported

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

STAGING, PRODUCTION = "promoted-from", "promoted-to"


@pytest.fixture(scope="module")
def staging(yard: Yard) -> Iterator[Client]:
    with yard.project(STAGING) as made:
        yield made


@pytest.fixture(scope="module")
def production(yard: Yard) -> Iterator[Client]:
    with yard.project(PRODUCTION) as made:
        yield made


@pytest.fixture(scope="module")
def reader(staging: Client) -> Iterator[Client]:
    """Who may look at the first project, and no more."""
    token = staging.tokens.create("looks", "reader")["token"]
    with Client(replace(staging.connection, token=token)) as made:
        yield made


@pytest.fixture(scope="module")
def original(yard: Yard, staging: Client) -> dict[str, Any]:
    """Converted, and both artifacts evaluated."""
    place = put(yard, "training", f"{STAGING}/package", trained().files)
    held_out = put(yard, "datasets", f"{STAGING}/held-out", images(1))
    dataset = staging.datasets.storage("held-out", held_out)
    made = imported(staging, model_name="digits", source_location=place, labels=["nightly"], description="from here")
    model_id = made["model_id"]
    staging.conversions.wait(staging.conversions.create(model_id, "openvino-fp16")["conversion_id"])
    for artifact in ("source", "openvino-fp16"):
        evaluation = staging.evaluations.create(model_id, dataset["dataset_id"], artifact=artifact)
        staging.evaluations.wait(evaluation["evaluation_id"])

    def known() -> dict[str, Any] | None:
        model = staging.models.show(model_id)
        return model if len(model["evaluations"]) == len(model["artifacts"]) == 2 and not model["in_use"] else None

    return eventually(known, "a version with two artifacts and two evaluations")


def _promoted(source: Client, target: Client, model: str, **details: Any) -> dict[str, Any]:
    made = source.models.promote(model, target, **details)
    copy: dict[str, Any] = target.imports.wait(made["model_id"])
    return copy


def test_a_reader_promotes_what_was_proved_and_it_outlives_its_original(
    yard: Yard, staging: Client, production: Client, reader: Client, original: dict[str, Any], tmp_path: Path
) -> None:
    before = staging.models.lineage(original["model_id"]), list(staging.models.history(original["model_id"]))
    copy = _promoted(reader, production, "digits")
    for part in ("config", "training", "labels", "description", "model_size", "metrics"):
        assert copy[part] == original[part], part
    told = ("target", "digest", "size", "parity", "benchmark", "conversion_id", "inspection")
    for there, here in zip(original["artifacts"], copy["artifacts"], strict=True):
        assert [here[name] for name in told] == [there[name] for name in told]
        assert (here["made_in"], here["location"]["prefix"].startswith(f"{PRODUCTION}/models/")) == (STAGING, True)
    assert [run["metrics"] for run in copy["evaluations"]] == [run["metrics"] for run in original["evaluations"]]
    assert {run["made_in"] for run in (*copy["evaluations"], copy["scan"])} == {STAGING}

    assert production.models.history(copy["model_id"]).__next__()["action"] == "promoted"
    graph = production.models.lineage(copy["model_id"])
    [node] = [node for node in graph["nodes"] if node["id"] == original["model_id"]]
    assert (node["label"], node["facts"]) == ("digits 0.0.1", {"project": STAGING})
    assert {"source": node["id"], "target": copy["model_id"], "relation": "promoted as"} in graph["edges"]
    assert STAGING in production.models.lineage_svg(copy["model_id"])
    assert before == (staging.models.lineage(original["model_id"]), list(staging.models.history(original["model_id"])))

    again = _promoted(reader, production, original["model_id"], name="elsewhere", labels=["eu"])
    assert (again["model_name"], again["model_version"], again["labels"]) == ("elsewhere", "0.0.1", ["eu"])
    third = _promoted(production, staging, again["model_id"], name="back")
    assert [artifact["made_in"] for artifact in third["artifacts"]] == [None, None]

    staging.get(f"models/{original['model_id']}/deletion")
    staging.delete(f"models/{original['model_id']}", purge="true")
    eventually(lambda: not keys(yard, "artifacts", f"{STAGING}/models/{original['model_id']}/"), "an empty folder")
    assert production.models.verify(copy["model_id"])["intact"]
    for artifact in ("source", "openvino-fp16"):
        assert production.models.download(copy["model_id"], tmp_path / artifact, artifact=artifact)
    assert production.models.lineage(copy["model_id"]) == graph
    further = production.conversions.create(copy["model_id"], "onnx-fp16")
    assert production.conversions.wait(further["conversion_id"])["artifact"]["parity"]["verdict"] == "passed"


def test_a_plan_is_carried_out_on_every_artifact_that_came_along(
    yard: Yard, staging: Client, production: Client, reader: Client
) -> None:
    """As if all had been made there: each is measured on data of the project it came to."""
    place = put(yard, "training", f"{STAGING}/package", trained().files)
    model_id = imported(staging, model_name="planned", source_location=place)["model_id"]
    staging.conversions.wait(staging.conversions.create(model_id, "openvino-fp16")["conversion_id"])
    eventually(lambda: len(staging.models.show(model_id)["artifacts"]) == 2, "the conversion in the register")
    held_out = put(yard, "datasets", f"{PRODUCTION}/held-out", images(1))
    dataset_id = production.datasets.storage("held-out", held_out)["dataset_id"]
    plan = {"evaluate": [{"dataset_id": dataset_id}], "publish": [{"channel": "gallery"}]}
    copy = _promoted(reader, production, model_id, plan=plan)

    def measured() -> list[dict[str, Any]] | None:
        runs: list[dict[str, Any]] = production.models.show(copy["model_id"])["evaluations"]
        return runs if len(runs) == 2 else None

    runs = eventually(measured, "an evaluation of each artifact")
    assert {run["target"] for run in runs} == {"source", "openvino-fp16"}
    assert {(run["dataset_id"], run["made_in"]) for run in runs} == {(dataset_id, None)}


def test_nobody_promotes_without_a_right_on_both_sides(
    yard: Yard, staging: Client, production: Client, reader: Client
) -> None:
    place = put(yard, "training", f"{STAGING}/package", trained().files)
    model_id = imported(staging, model_name="kept", source_location=place)["model_id"]
    auto_id = imported(staging, model_name="kept", source_location=place, source_type="auto")["model_id"]
    looks, admin = reader.connection.token, production.connection.token

    def ask(project: str, token: str, second: str | None, wanted: str = model_id) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **({"X-Source-Token": second} if second else {})}
        body = {"model_name": "taken", "promotion": {"project": STAGING, "model_id": wanted}}
        return yard.http("POST", f"/v1/{project}/models", headers=headers, json=body)

    refused(ask(PRODUCTION, admin, None), 401, "ModelArts.9401")
    refused(ask(PRODUCTION, admin, "a-guess-that-nobody-has"), 401, "ModelArts.9401")
    refused(ask(PRODUCTION, admin, admin), 403, "ModelArts.9403")
    refused(ask(PRODUCTION, looks, looks), 403, "ModelArts.9403")
    refused(ask(STAGING, looks, looks), 403, "ModelArts.9403")
    [problem] = refused(ask(PRODUCTION, admin, looks, auto_id), 403, "ModelArts.9403")
    assert problem["field"] == "promotion.model_id"
    staging.models.show(model_id)
    staging.post(f"models/{model_id}/archive", {})
    refused(ask(PRODUCTION, admin, looks), 409, "ModelArts.3070")
    refused(ask(PRODUCTION, admin, looks, "no-such-model"), 404, "ModelArts.3001")
    assert production.get("models", model_name="taken")["total_count"] == 0


def test_by_command_with_connection_files(yard: Yard, staging: Client, production: Client, tmp_path: Path) -> None:
    place = put(yard, "training", f"{STAGING}/package", trained().files)
    imported(staging, model_name="by-command", source_location=place, source_copy=False)
    staging.aliases.move("by-command", "champion", "0.0.1")
    there = production.connection
    file = tmp_path / "production.json"
    file.write_text(json.dumps({"gateway_url": there.url, "token": there.token, "project": there.project}))
    words = ("models", "promote", "by-command@champion", "--to-connection", str(file), "--version", "2.0.0")
    copy = yard.json(*words, client=staging)
    assert (copy["project"], copy["model_version"], copy["artifacts"][0]["by_reference"]) == (
        PRODUCTION,
        "2.0.0",
        False,
    )
    own = yard.json("models", "copy", "by-command", "--name", "by-command-eu", client=staging)
    assert (own["project"], own["source"]["model_name"], own["artifacts"][0]["made_in"]) == (
        STAGING,
        "by-command",
        None,
    )


def test_no_token_is_in_any_log_event_or_document(yard: Yard, staging: Client, reader: Client) -> None:
    """After all that was promoted above."""
    secrets = (reader.connection.token, "a-guess-that-nobody-has", staging.connection.token)
    told = json.dumps(events(yard)) + yard.output()
    stored = [path.read_bytes() for path in yard.data.rglob("*") if path.is_file() and path.name != "connection.json"]
    for secret in secrets:
        assert secret not in told
        assert not [1 for each in stored if secret.encode() in each]
