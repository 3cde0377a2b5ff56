"""One model file by itself, and what is wrong with a package before its first byte is sent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelyard
from modelyard import Client, Refused
from modelyard.errors import NotFoundHere
from modelyard.packages import TYPES
from modelyard_contracts.calls import version
from modelyard_contracts.package import MODEL_TYPES
from modelyard_testkit import models

from .conftest import Scripted, Uploads
from .gateway_replies import MODEL

TAKEN = {"error_code": "ModelArts.3002", "error_msg": "digits 1.0.0 exists already"}


def sent(yard: Scripted) -> list[str]:
    """Paths of the newest upload."""
    return [file["path"] for asked in yard.asked if asked.path == "uploads" for file in asked.body["files"]]


def asked(yard: Scripted, path: str) -> list[Any]:
    return [each.body for each in yard.asked if (each.method, each.path) == ("POST", path)]


def test_one_file_by_the_command_line(yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    path = models.digits_like_mlp(tmp_path / "digits.onnx")
    ended = run("import", str(path), "--name", "digits", "--json")
    assert ended.code == 0
    assert sorted(sent(yard)) == ["config.json", "digits.onnx"]
    config = next(content for name, content in yard.stored.items() if name.endswith("/config.json.1"))
    assert json.loads(config) == {"model_algorithm": "predict_analysis", "model_type": "ONNX"}
    fields = "model_algorithm predict_analysis, model_type ONNX"
    made = f"config.json is made for digits.onnx: {fields} (--type, --algorithm)"
    assert made in ended.err
    assert ended.json["notes"] == [made]
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["digits.onnx"]


def test_one_file_from_python(yard: Scripted, client: Client, tmp_path: Path) -> None:
    path = models.digits_like_mlp(tmp_path / "digits.onnx")
    assert client.imports.upload("digits", path)["model_id"] == MODEL
    assert modelyard.save("digits", str(path), algorithm="image_classification", connection=client.connection)["notes"]
    configs = {content for name, content in yard.stored.items() if name.endswith("/config.json.1")}
    assert {json.loads(each)["model_algorithm"] for each in configs} == {"predict_analysis", "image_classification"}


def test_the_same_file_again_goes_on_and_another_algorithm_does_not(
    client: Client, gateway: Scripted, uploads: Uploads, tmp_path: Path
) -> None:
    path = models.digits_like_mlp(tmp_path / "digits.onnx")
    gateway.on("POST models", version.VersionCreated(model_id="m", model_name="digits", model_version="0.0.1"))
    for algorithm in ("aaaa", "aaaa", "bbbb"):
        client.imports.upload("digits", path, algorithm=algorithm)
    assert len(uploads.begun) == 2


def test_external_data_come_along(yard: Scripted, client: Client, tmp_path: Path) -> None:
    path = models.with_external_data(tmp_path / "digits.onnx")
    (tmp_path / "other.bin").write_bytes(b"x")
    notes = client.imports.upload("digits", path)["notes"]
    assert sorted(sent(yard)) == ["config.json", "digits.onnx", "weights.bin"]
    assert notes[1] == "with it: weights.bin"


def test_openvino_takes_its_weights(yard: Scripted, client: Client, tmp_path: Path) -> None:
    path = models.openvino_ir(tmp_path / "digits.xml")
    client.imports.upload("digits", path)
    assert sorted(sent(yard)) == ["config.json", "digits.bin", "digits.xml"]
    (tmp_path / "digits.bin").unlink()
    with pytest.raises(NotFoundHere, match=r"keeps its weights in 'digits\.bin'.*leads nowhere"):
        client.imports.upload("digits", path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname"])
def test_nothing_outside_of_its_folder_is_sent(client: Client, yard: Scripted, tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"x" * 100_000)
    path = models.with_data_at(tmp_path / "model" / "digits.onnx", location)
    with pytest.raises(NotFoundHere, match="cannot be sent with it"):
        client.imports.upload("digits", path)
    assert not yard.asked


def test_a_link_to_a_file_is_that_file(yard: Scripted, client: Client, tmp_path: Path) -> None:
    models.digits_like_mlp(tmp_path / "blobs" / "aa")
    (tmp_path / "digits.onnx").symlink_to(tmp_path / "blobs" / "aa")
    client.imports.upload("digits", tmp_path / "digits.onnx")
    assert sorted(sent(yard)) == ["config.json", "digits.onnx"]


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [("a.tflite", None, "TFLite"), ("a.pkl", None, "Scikit_Learn"), ("a.pkl", "XGBoost", "XGBoost")],
)
def test_the_type_follows_from_the_ending(
    yard: Scripted, client: Client, tmp_path: Path, name: str, given: str | None, kind: str
) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert f"model_type {kind}" in client.imports.upload("digits", tmp_path / name, model_type=given)["notes"][0]


def test_a_file_of_no_known_kind_needs_its_type(client: Client, yard: Scripted, tmp_path: Path) -> None:
    (tmp_path / "weights.xyz").write_bytes(b"x")
    with pytest.raises(NotFoundHere, match=r"may be anything; alone go \.onnx"):
        client.imports.upload("digits", tmp_path / "weights.xyz")
    assert not yard.asked
    client.imports.upload("digits", tmp_path / "weights.xyz", model_type="Custom")


def test_the_types_are_those_of_the_contract() -> None:
    assert set(MODEL_TYPES) == TYPES


def test_what_cannot_be_a_model_is_refused_before_a_byte_is_sent(
    client: Client, yard: Scripted, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.onnx").write_bytes(b"x")
    with pytest.raises(NotFoundHere, match="--type 'Onnx' is none; did you mean 'ONNX'"):
        client.imports.upload("digits", tmp_path / "a.onnx", model_type="Onnx")
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(NotFoundHere, match=r"a\.onnx is empty"):
        client.imports.upload("digits", tmp_path / "a.onnx")
    (package / "config.json").write_text('{"model_type": "Onnx"}')
    with pytest.raises(NotFoundHere, match=r"config\.json: model_type 'Onnx' is none"):
        client.imports.upload("digits", package)
    (package / "config.json").write_text("{}")
    for weights in [each for each in package.rglob("*") if each.is_file() and each.name != "config.json"]:
        weights.unlink()
    (package / "digits.onnx").symlink_to(tmp_path / "a.onnx")
    with pytest.raises(NotFoundHere, match=r"digits\.onnx: a link that leads out of the folder"):
        client.imports.upload("digits", package)
    (package / "digits.onnx").unlink()
    (package / "digits.onnx").write_bytes(b"")
    with pytest.raises(NotFoundHere, match=r"digits\.onnx is empty"):
        client.imports.upload("digits", package)
    assert not yard.asked


def test_a_name_is_checked_before_a_byte_is_sent(yard: Scripted, run: Callable[..., Any], package: Path) -> None:
    yard.on("POST models/check", lambda gateway: gateway.refusal(409, **TAKEN))
    labels = "--label", "a", "--description", "d", "--version", "1.0.0"
    ended = run("import", str(package), "--name", "digits", *labels)
    assert (ended.code, "digits 1.0.0 exists already" in ended.err) == (3, True)
    assert asked(yard, "models/check") == [
        {"model_name": "digits", "model_version": "1.0.0", "description": "d", "labels": ["a"]}
    ]
    assert not sent(yard)
    assert not yard.storage_headers


def test_a_gateway_that_cannot_be_asked_is_asked_later(yard: Scripted, client: Client, package: Path) -> None:
    assert client.imports.check("digits") is None
    assert client.imports.upload("digits", package)["model_id"] == MODEL
    yard.on("POST models/check", 503)
    with pytest.raises(Refused):
        client.imports.upload("digits", package)


@pytest.mark.parametrize(
    ("config", "words"),
    [("{", "is not valid JSON: Expecting"), ("[]", "holds no JSON object"), (" " * (2**20 + 1), "1,048,577 bytes")],
)
def test_what_is_wrong_with_the_folder_is_said_first(
    client: Client, yard: Scripted, package: Path, config: str, words: str
) -> None:
    (package / "config.json").write_text(config)
    with pytest.raises(NotFoundHere, match=words):
        client.imports.upload("digits", package)
    assert not yard.asked


def test_more_files_than_any_gateway_takes(client: Client, yard: Scripted, package: Path) -> None:
    for number in range(1_199):
        (package / f"{number}.txt").write_bytes(b"x")
    with pytest.raises(NotFoundHere, match=r"holds 1,201 files, at most 1,000 .* into one archive"):
        client.imports.upload("digits", package)
    assert not yard.asked
