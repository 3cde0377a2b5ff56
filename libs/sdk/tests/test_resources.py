"""What the command line does can be done from Python: by the same words, with the same waits."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import modelyard.cli
from modelyard import Client, NotFoundHere, TaskFailed
from modelyard.gateway import Gateway

from .conftest import Scripted
from .gateway_replies import (
    COMPETITION,
    CONVERSION,
    DATASET,
    ENTRY,
    EVALUATION,
    JOB,
    LISTING,
    MODEL,
    RULE,
    conversion,
    entry,
    model,
    runs,
)

HTTP = {name for name in vars(Gateway) if not name.startswith("_")} - {"close", "events", "status", "whoami"}


def calls_of_http(source: str) -> Iterator[str]:
    """`client.get(…)`, `client_of(context).post(…)`: a command that asks by path instead of by a resource."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in HTTP:
            asked = ast.unparse(node.func.value)
            if asked.rpartition(".")[2] in {"client", "client_of(context)"}:
                yield f"{node.lineno}: {asked}.{node.func.attr}"


def test_no_command_asks_by_path() -> None:
    modules = sorted(Path(modelyard.cli.__file__).parent.glob("*.py"))
    assert len(modules) > 20
    assert {file.name: found for file in modules if (found := [*calls_of_http(file.read_text("utf-8"))])} == {}
    assert list(calls_of_http('client_of(context).get("x")')) == ["1: client_of(context).get"]
    assert list(calls_of_http("client.follow(read)")) == ["1: client.follow"]
    assert list(calls_of_http('client.models.delete("x")\nrow.get("x")')) == []


EVERY_VERSION = [MODEL, "digits", "digits:0.0.1", "digits@champion"]
TAKES_A_VERSION: dict[str, Callable[[Client, str, Path], Any]] = {
    "show": lambda client, version, _: client.models.show(version)["model_id"] == MODEL,
    "update": lambda client, version, _: client.models.update(version, labels=["candidate"])["labels"] == ["candidate"],
    "delete": lambda client, version, _: client.models.delete(version)["delete_success_list"] == [MODEL],
    "deletion": lambda client, version, _: client.models.deletion(version),
    "history": lambda client, version, _: len(list(client.models.history(version))) == 3,
    "verify_history": lambda client, version, _: client.models.verify_history(version)["intact"],
    "compare": lambda client, version, _: client.models.compare([version, version])["versions"],
    "lineage": lambda client, version, _: client.models.lineage(version)["edges"],
    "lineage_svg": lambda client, version, _: client.models.lineage_svg(version) == "<svg/>",
    "verify": lambda client, version, _: client.models.verify(version)["intact"],
    "files": lambda client, version, _: client.models.files(version, "openvino-fp16")["files"],
    "download": lambda client, version, folder: client.models.download(version, folder)[0].name == "数字.onnx",
    "copy": lambda client, version, _: client.models.copy(version, "digits-eu")["model_id"] == MODEL,
    "wait": lambda client, version, _: client.imports.wait(version)["model_status"] == "published",
    "convert": lambda client, version, _: client.conversions.create(version, "onnx-int8-static")["conversion_id"],
    "conversions": lambda client, version, _: client.conversions.list(model=version)["conversions"],
    "evaluate": lambda client, version, _: client.evaluations.create(version, "digits-held-out")["evaluation_id"],
    "evaluations": lambda client, version, _: client.evaluations.list(model=version)["evaluations"],
    "publish": lambda client, version, _: client.gallery.publish(version, title="Digits")["listing_id"],
    "enter": lambda client, version, _: client.competitions.enter(COMPETITION, version)["entry_id"],
    "move": lambda client, version, _: client.aliases.move("digits", "champion", version) == {},
}


@pytest.mark.parametrize("version", EVERY_VERSION)
@pytest.mark.parametrize("method", TAKES_A_VERSION)
def test_a_version_by_all_its_names(
    client: Client, yard: Scripted, tmp_path: Path, no_pauses: list[float], method: str, version: str
) -> None:
    assert TAKES_A_VERSION[method](client, version, tmp_path)


def test_a_conversion(client: Client, yard: Scripted, tmp_path: Path, no_pauses: list[float]) -> None:
    options = {"per_channel": True}
    tolerance = {"max_rel_error": 0.5, "roles": {"boxes": {"min_cosine": 0.5}}}
    made = client.conversions.create(
        "digits@champion", "onnx-int8-static", options=options, tolerance=tolerance, calibration="digits-held-out"
    )
    order = yard.last("POST").body["order"]
    assert (order["options"], order["calibration_dataset_id"]) == (options, DATASET)
    assert order["tolerance"] == {"min_cosine": 0.99, "min_top1_agreement": 0.98, "outputs": {}, **tolerance}
    states: list[str] = []
    ended = client.conversions.wait(made["conversion_id"], lambda reply: states.append(reply["state"]))
    assert (ended["state"], states) == ("succeeded", ["running", "succeeded"])
    assert client.conversions.log(CONVERSION)["text"] == "line 1\n"
    assert [path.name for path in client.conversions.download(CONVERSION, tmp_path)] == ["model.onnx"]
    assert client.conversions.delete([CONVERSION])["deleted"] == [CONVERSION]
    with pytest.raises(NotFoundHere, match="there is no target x; known are onnx-int8-static"):
        client.conversions.create(MODEL, "x", tolerance={"min_cosine": 1})
    yard.on(f"GET conversions/{CONVERSION}", conversion("failed", reason="cosine 0.5 is below 0.99"))
    with pytest.raises(TaskFailed, match="below"):
        client.conversions.wait(CONVERSION)


def test_an_evaluation(client: Client, yard: Scripted, tmp_path: Path, no_pauses: list[float]) -> None:
    made = client.evaluations.create("digits@champion", "digits-held-out", artifact="onnx-int8-static")
    assert yard.last("POST").body["dataset_id"] == DATASET
    assert yard.last("POST").body["artifact_id"] != model().artifacts[0].artifact_id
    assert client.evaluations.wait(made["evaluation_id"])["state"] == "succeeded"
    assert client.evaluations.result(EVALUATION)["run"]["metrics"]["accuracy"] > 0.9
    assert [path.name for path in client.evaluations.plots(EVALUATION, tmp_path)] == ["roc.png"]
    assert client.evaluations.compare(EVALUATION)["rows"]
    yard.on(f"POST evaluations/{EVALUATION}/versions", runs("waiting"))
    client.evaluations.again(EVALUATION, artifact="source")
    assert yard.last("POST").body == {"dataset_id": None, "artifact_id": str(model().artifacts[0].artifact_id)}
    assert client.evaluations.stop(EVALUATION, "V0001")["versions"][0]["state"] == "stopped"
    assert client.evaluations.delete(EVALUATION) == {}


def test_datasets(client: Client, yard: Scripted, package: Path) -> None:
    assert client.datasets.upload("digits-held-out", package, kind="npz", hidden=True)["dataset_id"] == DATASET
    assert yard.last("POST").body == {"name": "digits-held-out", "kind": "npz", "hidden": True, "upload_id": "u 1"}
    client.datasets.storage("digits-held-out", "s3://datasets/digits/")
    assert yard.last("POST").body["source_location"] == "s3://datasets/digits/"
    assert client.datasets.show("digits-held-out")["dataset_id"] == DATASET
    assert client.datasets.delete("digits-held-out") == {}


def test_publications(client: Client, yard: Scripted, tmp_path: Path, no_pauses: list[float]) -> None:
    assert client.gallery.list(text="digits")["listings"]
    assert client.gallery.show(LISTING)["card"]
    assert [path.name for path in client.gallery.download(LISTING, str(tmp_path))] == ["数字.onnx"]
    assert client.gallery.withdraw(LISTING) == {}
    opened = client.competitions.create("Digits", "digits-held-out", 1_801_353_600_000, metric="f1")
    assert (yard.last("POST").body["dataset_id"], yard.last("POST").body["metric"]) == (DATASET, "f1")
    client.competitions.enter(opened["competition_id"], "digits", artifact="onnx-int8-static")
    assert client.competitions.wait(ENTRY)["state"] == "scored"
    assert client.competitions.leaderboard(COMPETITION)["rows"]
    assert client.competitions.list()["competitions"]
    yard.on(f"GET entries/{ENTRY}", entry("rejected", reason="the model crashed"))
    with pytest.raises(TaskFailed, match="the model crashed"):
        client.competitions.wait(ENTRY)


def test_training_rules_and_templates_by_name(client: Client, yard: Scripted) -> None:
    client.imports.training(None, "digits-mlp", "V001")
    assert yard.last("POST").body == {"model_name": "digits-mlp", "training_job_id": JOB}
    client.imports.template("digits", "ONNX-通用", {"model_folder": "s3://b/x/"})
    assert yard.last("POST").body["template"]["template_id"] == "onnx"
    assert client.templates.show("ONNX-通用")["template_id"] == "onnx"
    assert client.rules.show("nightly")["rule_id"] == RULE
    assert client.rules.delete("nightly") == {}
    client.training.complete("j", "s3://training/j/V002", metrics={"accuracy": 0.5}, event_id="e")
    said = yard.last("POST").body
    assert (said["id"], said["data"]["output"]) == ("e", {"bucket": "training", "prefix": "j/V002/"})
    with pytest.raises(NotFoundHere, match="is not s3://bucket/folder/"):
        client.training.complete("j", "/a/folder")


def test_operations(client: Client, yard: Scripted) -> None:
    assert client.dead_letters.list()["dead_letters"][0]["sequence"] == client.dead_letters.show(7)["sequence"] == 7
    assert client.dead_letters.replay(7) == client.dead_letters.drop(7) == {}
    assert client.tokens.create("laptop", "writer")["token"] == "the-secret"
    assert client.tokens.list()["tokens"]
    assert client.tokens.revoke("laptop") == {}
    assert client.projects.create("other")["token"] == "the-secret"


def test_an_alias_goes_to_a_version_of_its_name_only(client: Client, yard: Scripted) -> None:
    client.aliases.move("digits", "champion", "digits@champion")
    assert yard.last("PUT").body == {"model_version": "0.0.1"}
    with pytest.raises(NotFoundHere, match="'digits@champion' is a version of 'digits', not of 'letters'"):
        client.aliases.move("letters", "champion", "digits@champion")


def test_an_alias_that_moves_does_not_mix_two_versions(client: Client, yard: Scripted, tmp_path: Path) -> None:
    """Links of a download that has begun are renewed for the version that it began with."""
    link = yard.keeps("w.bin", b"w" * 100)
    stale = {**link, "url": yard.storage("gone")}
    yard.storage_status["gone"] = 403
    page = {"digest": "sha256:" + "ab" * 32, "next_after": None}
    yard.on(f"GET models/{MODEL}/files", {**page, "files": [stale]}, {**page, "files": [link]})
    client.models.download("digits@champion", tmp_path)
    assert [asked.path for asked in yard.asked].count("model-names/digits/aliases") == 1
    assert (tmp_path / "w.bin").read_bytes() == b"w" * 100
