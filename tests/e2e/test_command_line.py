"""Everything by hand: the command line as people and scripts use it, with a Chinese model name all the way."""

import json
import select
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client
from modelyard_contracts.catalogue import TRAINING_COMPLETED
from modelyard_testkit.main_job import images, trained
from modelyard_testkit.yard import PROGRAM, Yard, eventually
from modelyard_testkit.yard_inside import as_operator, put

pytestmark = [pytest.mark.e2e, pytest.mark.servers, pytest.mark.timeout(90)]

NAME = "手写数字"
SAMPLES = 60


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project("by-hand") as made:
        yield made


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("packages") / "digits", trained().files)


@pytest.fixture(scope="module")
def model(yard: Yard, client: Client, package: Path) -> dict[str, Any]:
    """Uploaded by presigned URLs and imported."""
    return yard.json("import", str(package), "--name", NAME, "--description", "从笔记本上传", client=client)


@pytest.fixture(scope="module")
def converted(yard: Yard, client: Client, model: dict[str, Any]) -> dict[str, Any]:
    return yard.json("convert", NAME, "--to", "openvino-fp16", client=client)


@pytest.fixture(scope="module")
def dataset(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    some = folder(tmp_path_factory.mktemp("datasets") / "held-out", dict(list(images(1).items())[:SAMPLES]))
    return yard.json("datasets", "add", str(some), "--name", "留出集", client=client)


@pytest.fixture(scope="module")
def competition(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    some = folder(tmp_path_factory.mktemp("datasets") / "hidden", dict(list(images(2).items())[:SAMPLES]))
    yard.json("datasets", "add", str(some), "--name", "hidden", "--hidden", client=client)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    options = ("--title", "无人见过", "--dataset", "hidden", "--deadline", tomorrow)
    return yard.json("competitions", "create", *options, client=client)


def test_import_and_show(yard: Yard, client: Client, model: dict[str, Any]) -> None:
    assert (model["model_name"], model["model_version"], model["model_status"]) == (NAME, "0.0.1", "published")
    listed = yard.json("models", "list", "--name", "写数", client=client)
    assert [found["model_id"] for found in listed["models"]] == [model["model_id"]]
    for reference in (NAME, f"{NAME}:0.0.1", model["model_id"]):
        assert yard.json("models", "show", reference, client=client)["model_id"] == model["model_id"]
    assert NAME in yard.command("models", "list", client=client).stdout
    assert "从笔记本上传" in yard.command("models", "show", NAME, client=client).stdout
    assert yard.json("models", "lineage", NAME, client=client)["nodes"]


def test_alias(yard: Yard, client: Client, model: dict[str, Any]) -> None:
    yard.json("models", "alias", NAME, "冠军", "--version", "0.0.1", client=client)
    assert yard.json("models", "show", f"{NAME}@冠军", client=client)["model_id"] == model["model_id"]
    assert yard.json("models", "alias", NAME, "冠军", "--remove", client=client)["aliases"] == []


def test_download(
    yard: Yard, client: Client, model: dict[str, Any], converted: dict[str, Any], package: Path, tmp_path: Path
) -> None:
    got = yard.json("models", "download", NAME, "--to", str(tmp_path / "source"), client=client)
    assert got["digest"] == model["artifacts"][0]["digest"]
    for path, content in trained().files.items():
        assert (tmp_path / "source" / path).read_bytes() == content
    options = ("--artifact", "openvino-fp16", "--to", str(tmp_path / "converted"))
    yard.json("models", "download", NAME, *options, client=client)
    assert {".xml", ".bin"} <= {path.suffix for path in (tmp_path / "converted").rglob("*")}


def test_convert(yard: Yard, client: Client, converted: dict[str, Any]) -> None:
    assert (converted["state"], converted["artifact"]["parity"]["verdict"]) == ("succeeded", "passed")
    targets = yard.json("conversions", "targets", client=client)["targets"]
    assert {"openvino-fp16", "onnx-int8-static"} <= {found["target"] for found in targets if found["offered"]}
    listed = yard.json("conversions", "list", "--model", NAME, client=client)["conversions"]
    identifier = converted["conversion_id"]
    assert identifier in [found["conversion_id"] for found in listed]
    assert yard.json("conversions", "show", identifier, client=client)["state"] == "succeeded"
    assert "parity passed" in yard.json("conversions", "log", identifier, client=client)["text"]
    assert "parity passed" in yard.command("conversions", "log", identifier, client=client).stdout
    assert "openvino-fp16" in yard.command("conversions", "show", identifier, client=client).stdout


def test_evaluate(yard: Yard, client: Client, converted: dict[str, Any], dataset: dict[str, Any]) -> None:
    assert dataset["samples"] == SAMPLES
    assert "留出集" in yard.command("datasets", "list", client=client).stdout
    for artifact in ((), ("--artifact", "openvino-fp16")):
        result = yard.json("evaluate", NAME, "--dataset", "留出集", *artifact, client=client)
        assert result["run"]["metrics"]["accuracy"] > 0.8
    listed = yard.json("evaluations", "list", "--model", NAME, client=client)["evaluations"]
    identifier = listed[0]["evaluation_id"]
    assert yard.json("evaluations", "show", identifier, client=client)["run"]["samples"] == SAMPLES
    assert yard.json("evaluations", "compare", identifier, client=client)["rows"]
    assert "Confusion matrix" in yard.command("evaluations", "show", identifier, client=client).stdout


def test_gallery(yard: Yard, client: Client, model: dict[str, Any], tmp_path: Path) -> None:
    listing = yard.json("publish", NAME, "--to", "gallery", "--title", "数字识别", client=client)
    identifier = listing["listing_id"]
    assert NAME in listing["card"]
    assert identifier in [found["listing_id"] for found in yard.json("gallery", "list", client=client)["listings"]]
    assert NAME in yard.command("gallery", "show", identifier, client=client).stdout
    yard.json("gallery", "download", identifier, "--to", str(tmp_path), client=client)
    assert (tmp_path / "model/digits.onnx").read_bytes() == trained().files["model/digits.onnx"]
    yard.json("gallery", "withdraw", identifier, client=client)


def test_competition(yard: Yard, client: Client, model: dict[str, Any], competition: dict[str, Any]) -> None:
    identifier = competition["competition_id"]
    entry = yard.json("publish", NAME, "--to", "competition", "--competition", identifier, client=client)
    assert (entry["state"], entry["score"] > 0.8) == ("scored", True)
    board = yard.json("competitions", "leaderboard", identifier, client=client)
    assert [row["model_name"] for row in board["rows"]] == [NAME]
    assert NAME in yard.command("competitions", "leaderboard", identifier, client=client).stdout
    assert yard.json("competitions", "show", identifier, client=client)["entries"] == 1
    assert identifier in [
        row["competition_id"] for row in yard.json("competitions", "list", client=client)["competitions"]
    ]
    refused = yard.command("models", "delete", NAME, "--yes", client=client, code=1)
    assert "kept" in refused.stdout


def test_training_job(yard: Yard, client: Client, tmp_path: Path) -> None:
    output = put(yard, "training", "by-hand/V001", trained().files)
    yard.json(
        "rules", "create", "--name", "夜间", "--job-name", "by-hand-*", "--model-name", "夜间模型",
        "--min-metric", "accuracy=0.5", client=client,
    )  # fmt: skip
    said = (
        "training", "complete", "--job-name", "by-hand-job", "--output", output, "--event-id", "one-and-the-same",
        "--metric", "accuracy=0.9", "--parameter", "seed=7", "--framework", "scikit-learn",
        "--dataset-uri", "s3://datasets/x/", "--repository", "https://git.example/x", "--commit", "abc",
    )  # fmt: skip
    job = yard.json(*said, client=client)["training_job_id"]

    def versions() -> list[dict[str, str]]:
        made: list[dict[str, str]] = client.get(f"training-jobs/{job}")["imports"]
        return made

    (made,) = eventually(versions, "the version that the rule makes")
    eventually(lambda: client.get(f"models/{made['model_id']}")["model_status"] == "published", "its import")
    assert yard.json("training", "show", job, client=client)["imports"] == [made]
    assert yard.json("training", "list", client=client)["total_count"] == 1
    assert "夜间" in yard.command("rules", "list", client=client).stdout
    (rule,) = yard.json("rules", "list", client=client)["rules"]
    yard.json("rules", "delete", rule["rule_id"], client=client)


def test_delete(yard: Yard, client: Client, package: Path) -> None:
    made = yard.json("import", str(package), "--name", "一次性", "--version", "3.2.1", client=client)
    asked = yard.command("models", "delete", "一次性", client=client, text="n\n", code=1)
    assert "Delete 一次性" in asked.stderr
    report = yard.json("models", "delete", "一次性:3.2.1", "--yes", client=client)
    assert report["delete_success_list"] == [made["model_id"]]
    assert "一次性" in yard.command("models", "show", "一次性", client=client, code=2).stderr


def test_dead_letters(yard: Yard) -> None:
    """A message that is none: it is kept for an operator to look at, and comes back when it is sent again as it is."""
    as_operator(yard, lambda bus: bus.js.publish(TRAINING_COMPLETED.subject, b"no JSON at all"))

    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = yard.json("dlq", "list")["dead_letters"]
        return found

    (letter,) = eventually(letters, "the dead letter")
    assert letter["subject"] == TRAINING_COMPLETED.subject
    shown = yard.json("dlq", "show", str(letter["sequence"]))
    assert shown["payload"] == "no JSON at all"
    assert shown["reason"]
    yard.json("dlq", "replay", str(letter["sequence"]))
    again = eventually(lambda: [one for one in letters() if one["sequence"] != letter["sequence"]], "its return")
    assert len(again) == 1
    assert "training.completed" in yard.command("dlq", "list").stdout
    yard.json("dlq", "drop", str(again[0]["sequence"]))
    assert letters() == []
    yard.command("dlq", "show", str(again[0]["sequence"]), code=3)


def test_event_tail(yard: Yard, client: Client, tmp_path: Path) -> None:
    """One JSON event on each line, as it happens."""
    tail = subprocess.Popen(
        [PROGRAM, "events", "--json"], env=yard.environment(client), stdout=subprocess.PIPE, text=True
    )
    assert tail.stdout
    try:
        number = iter(range(1000))

        def heard() -> dict[str, Any] | None:
            """The tail has no way to say that it listens, so something happens until it is told of."""
            client.post("models", {"model_name": f"tail-{next(number)}", "source_location": "s3://training/none/"})
            ready, _, _ = select.select([tail.stdout], [], [], 0.5)
            return json.loads(tail.stdout.readline()) if ready and tail.stdout else None

        event = eventually(heard, "an event on the tail")
    finally:
        tail.terminate()
        tail.wait(10)
        tail.stdout.close()
    assert event["type"].startswith("modelyard.evt.")
    assert event["project"] == "by-hand"


def test_tokens(yard: Yard, client: Client) -> None:
    made = yard.json("tokens", "create", "ci", "--role", "writer", client=client)
    assert made["token"].startswith("my_")
    listed = yard.command("tokens", "list", client=client).stdout
    assert "ci" in listed
    assert made["token"] not in listed
    yard.json("tokens", "revoke", "ci", client=client)


def test_exit_codes(yard: Yard, client: Client) -> None:
    yard.command("models", "show", "nobody", client=client, code=2)
    yard.command("import", "s3://training/none/", "--name", "two words", client=client, code=3)
    yard.command("import", "s3://training/none/", "--name", "none", client=client, code=1)
    environment = yard.environment(client) | {"MODELYARD_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [PROGRAM, "models", "list"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 4
    assert "modelyard up" in done.stderr
