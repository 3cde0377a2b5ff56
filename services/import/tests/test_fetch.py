"""The import of one package from end to end: real objects, real inspection, real documents."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.catalogue import IMPORT_FAILED, IMPORT_FETCH, IMPORT_STARTED, IMPORT_SUCCEEDED
from modelyard_contracts.events import ImportFailed, ImportSucceeded
from modelyard_contracts.shapes import Location, UploadSource
from modelyard_import.domain.imports import Import, view
from modelyard_store.objects import ObjectInfo
from modelyard_testkit import models

from .conftest import Yard

pytestmark = pytest.mark.servers


async def test_a_package_comes_in_whole(yard: Yard, tmp_path: Path) -> None:
    folder = models.package(tmp_path / "p", calibration=4)
    source = await yard.put_folder(folder, yard.buckets["training"], "digits/V001/")
    await yard.objects.put(source.bucket, "digits/V001/train.log", b"noise")
    done = await yard.bring_in(source)
    assert done.state == "succeeded", done.reason
    assert await yard.keys_of(done) == [
        "1/calibration_data/samples.npy", "1/model/config.json", "1/model/model.onnx",
    ]  # fmt: skip
    messages = [message for message in await yard.said() if message.type != IMPORT_FETCH.subject]
    assert [message.type for message in messages] == [IMPORT_STARTED.subject, IMPORT_SUCCEEDED.subject]
    assert {(message.subject, message.correlationid) for message in messages} == {(done.model_id, "c")}
    fact = ImportSucceeded.model_validate(messages[1].data)
    artifact = fact.artifact
    assert (artifact.kind, artifact.target, artifact.format) == ("source", "source", "onnx")
    assert artifact.location == Location(bucket=done.destination.bucket, prefix=f"{done.destination.prefix}1/")
    assert [tensor.name for tensor in artifact.inspection.signature.inputs] == ["image"]
    for file in artifact.files:
        assert await yard.objects.digest(artifact.location.bucket, artifact.location.prefix + file.path) == (
            file.sha256,
            file.size,
        )
    assert fact.config.labels
    assert fact.config_sha256 == next(file.sha256 for file in artifact.files if file.path.endswith("config.json"))
    shown = view(done)
    assert shown.copied_bytes == shown.total_bytes == artifact.size
    assert any("left out 1 files" in line for line in shown.log)
    assert yard.ears.heard[-1][2]["state"] == "succeeded"


async def test_openvino_in_a_folder_that_is_the_model_root(yard: Yard, tmp_path: Path) -> None:
    folder = models.package(tmp_path / "p", models.openvino_ir) / "model"
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "ir/"))
    assert done.state == "succeeded", done.reason
    assert await yard.keys_of(done) == ["1/model/config.json", "1/model/model.bin", "1/model/model.xml"]


async def test_external_data_beside_the_model_is_fine(yard: Yard, tmp_path: Path) -> None:
    folder = models.package(tmp_path / "p", models.with_external_data)
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "ext/"))
    assert done.state == "succeeded", done.reason
    assert "1/model/weights.bin" in await yard.keys_of(done)


async def test_parts_of_a_model_keep_their_own_config(yard: Yard, tmp_path: Path) -> None:
    folder = models.package(tmp_path / "p")
    (folder / "model" / "1_Pooling").mkdir()
    (folder / "model" / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "parts/"))
    assert done.state == "succeeded", done.reason
    assert "1/model/1_Pooling/config.json" in await yard.keys_of(done)


async def test_a_large_model_is_hashed_whole_and_inspected_in_part(yard: Yard, tmp_path: Path) -> None:
    build = partial(models.random_model, megabytes=40)
    folder = models.package(tmp_path / "p", build, config={"model_algorithm": "x", "model_type": "ONNX"})
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "large/"))
    assert done.state == "succeeded", done.reason
    assert done.artifact is not None
    assert done.artifact.inspection.parameter_count == 10 * 1024 * 1024
    [file] = [file for file in done.artifact.files if file.path == "model/model.onnx"]
    with (folder / file.path).open("rb") as whole:
        assert file.sha256 == hashlib.file_digest(whole, "sha256").hexdigest()


async def test_a_large_model_that_is_cut_off(yard: Yard, tmp_path: Path) -> None:
    def cut(path: Path) -> Path:
        models.random_model(path, megabytes=40)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
        return path

    folder = models.package(tmp_path / "p", cut, config={"model_algorithm": "x", "model_type": "ONNX"})
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "cut/"))
    await assert_refused(yard, done, "ModelArts.3017", "truncated")


def custom(folder: Path, **files: bytes) -> Path:
    """A package of a type that nobody inspects; `__` in a name stands for a dot."""
    (folder / "model").mkdir(parents=True)
    for name, data in files.items():
        (folder / "model" / name.replace("__", ".")).write_bytes(data)
    (folder / "model" / "config.json").write_text('{"model_algorithm": "anything", "model_type": "Custom"}')
    return folder


def archive_with(pickled: bytes, megabytes: int) -> bytes:
    """As PyTorch writes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", os.urandom(megabytes << 20))
    return made.getvalue()


HOSTILE = b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R."
LARGE: dict[str, Callable[[], bytes]] = {
    "pytorch_model__bin": lambda: archive_with(HOSTILE, 17),
    "model__onnx": lambda: archive_with(HOSTILE, 33),  # which would be skimmed
    "photo__png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(17 << 20) + archive_with(HOSTILE, 0),
    "weights__safetensors": lambda: HOSTILE + bytes(17 << 20),
}


@pytest.mark.parametrize("name", LARGE)
async def test_code_in_a_large_file_is_found_by_its_ends(yard: Yard, tmp_path: Path, name: str) -> None:
    folder = custom(tmp_path / "p", **{name: LARGE[name]()})
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "hostile/"))
    await assert_refused(yard, done, "ModelArts.3017", "os.system")


async def test_what_was_not_read_whole_is_told(yard: Yard, tmp_path: Path) -> None:
    weights = b"\xff" * (17 << 20)
    folder = custom(tmp_path / "p", weights__bin=weights, small__bin=b"\xff" * 99, photo__png=b"\x89PNG" * 2**19)
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "honest/"))
    assert done.state == "succeeded", done.reason
    assert done.scan is not None
    assert (done.scan.files, done.scan.read, done.scan.sniffed) == (4, 3, 1)
    told = {each.file: (each.size, each.reason) for each in done.scan.partly_read}
    assert told.keys() == {"model/weights.bin"}
    assert told["model/weights.bin"] == (len(weights), "larger than 16 MiB and of a kind that the scan does not know")


async def assert_refused(yard: Yard, done: Import, code: str, *words: str) -> ImportFailed:
    assert (done.state, done.code) == ("failed", code), done.reason
    text = " ".join([done.reason or "", *(problem.message for problem in done.problems)])
    assert all(word in text for word in words), text
    assert await yard.keys_of(done) == []
    [fact] = [message for message in await yard.said() if message.type == IMPORT_FAILED.subject]
    return ImportFailed.model_validate(fact.data)


async def test_a_missing_bucket(yard: Yard) -> None:
    yard.buckets["gone"] = "gone-for-good"
    done = await yard.bring_in(Location(bucket="gone-for-good", prefix="a/"))
    await assert_refused(yard, done, "ModelArts.3017", "gone-for-good", "does not exist")


async def test_an_empty_prefix(yard: Yard) -> None:
    done = await yard.bring_in(Location(bucket=yard.buckets["training"], prefix="nothing/here/"))
    await assert_refused(yard, done, "ModelArts.3017", f"{yard.buckets['training']}/nothing/here/")


async def test_another_projects_folder(yard: Yard) -> None:
    place = Location(bucket=yard.buckets["artifacts"], prefix="theirs/models/1/source/")
    await yard.objects.put(place.bucket, f"{place.prefix}config.json", b"{}")
    await assert_refused(yard, await yard.bring_in(place), "ModelArts.3017", "another project")


async def test_an_upload_that_does_not_exist(yard: Yard) -> None:
    await assert_refused(yard, await yard.bring_in(UploadSource(upload_id="u")), "ModelArts.3017", "upload 'u'")


def write_config(folder: Path, **changes: Any) -> None:
    path = folder / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without_config(folder: Path) -> None:
    (folder / "model" / "config.json").unlink()


def without_model(folder: Path) -> None:
    (folder / "model" / "model.onnx").unlink()


def second_model(folder: Path) -> None:
    shutil.copy(folder / "model" / "model.onnx", folder / "model" / "other.onnx")


def no_json(folder: Path) -> None:
    (folder / "model" / "config.json").write_text("{")


def truncated(folder: Path) -> None:
    models.truncated(folder / "model" / "model.onnx")


def unstorable_name(folder: Path) -> None:
    path = folder / "model" / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"image", b"i\x00age"))


def explosive(folder: Path) -> None:
    models.with_functions(folder / "model" / "model.onnx", levels=40)


def escaping(folder: Path) -> None:
    models.with_data_at(folder / "model" / "model.onnx", "../../../etc/passwd")


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (without_config, "ModelArts.3015", ["config.json is missing"]),
        (no_json, "ModelArts.3015", ["config.json", "JSON"]),
        (partial(write_config, model_type="Unknown"), "ModelArts.3016", ["model_type"]),
        (partial(write_config, labels=["same", "same"]), "ModelArts.3016", ["labels"]),
        (partial(write_config, labels=["a\x00"]), "ModelArts.3016", ["labels.0", "U+0000"]),
        (unstorable_name, "ModelArts.3017", ["signature.inputs.0.name", "U+0000"]),
        (explosive, "ModelArts.3017", ["once its functions are written out"]),
        (without_model, "ModelArts.3017", ["no model file"]),
        (second_model, "ModelArts.3017", ["2 models", "other.onnx"]),
        (truncated, "ModelArts.3017", ["model.onnx"]),
        (escaping, "ModelArts.3017", ["etc/passwd"]),
    ],
)
async def test_a_bad_package_says_why_and_leaves_nothing(
    yard: Yard, tmp_path: Path, spoil: Callable[[Path], None], code: str, words: list[str]
) -> None:
    folder = models.package(tmp_path / "p")
    spoil(folder)
    done = await yard.bring_in(await yard.put_folder(folder, yard.buckets["training"], "bad/"))
    fact = await assert_refused(yard, done, code, *words)
    assert fact.problems
    assert done.attempt == 1
    assert all(problem["file"] for problem in fact.problems)


async def test_a_package_that_is_too_large(yard: Yard, tmp_path: Path) -> None:
    source = await yard.put_folder(models.package(tmp_path / "p"), yard.buckets["training"], "big/")
    done = await yard.bring_in(source, max_bytes=100)
    await assert_refused(yard, done, "ModelArts.3017", "bytes", source.prefix)


async def test_a_name_that_is_a_file_and_a_folder(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await yard.put_folder(models.package(tmp_path / "p"), yard.buckets["training"], "both/")
    listing = listing_with(yard.objects.list, "both/model/data", "both/model/data/1.bin")
    monkeypatch.setattr(yard.objects, "list", listing)
    done = await yard.bring_in(source)
    assert (done.state, done.problems[0].message) == ("failed", "model/data is a file and a folder")


def listing_with(listing: Any, *keys: str) -> Any:
    """S3 keeps such names; the test server does not."""

    async def listed(bucket: str, prefix: str) -> Any:
        async for found in listing(bucket, prefix):
            yield found
        for key in keys:
            yield ObjectInfo(key, 1, "e")

    return listed
