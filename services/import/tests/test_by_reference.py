"""Files that stay where they lie: read, checked and pinned, never copied, never removed."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.catalogue import VERSION_DELETED
from modelyard_contracts.events import VersionDeleted
from modelyard_contracts.shapes import Location, StorageSource
from modelyard_import.domain.imports import Import
from modelyard_import.fetching.pinning import Pinning
from modelyard_import.handlers.imports import ImportHandlers
from modelyard_testkit import models

from .conftest import Yard

pytestmark = pytest.mark.servers


async def lying(yard: Yard, tmp_path: Path, prefix: str = "digits/V001/", part: str = "") -> StorageSource:
    folder = models.package(tmp_path / "p", calibration=2)
    location = await yard.put_folder(folder / part, yard.buckets["training"], prefix)
    return StorageSource(location=location, source_copy=False)


async def keys(yard: Yard, location: Location) -> set[str]:
    return {found.key async for found in yard.objects.list(location.bucket, location.prefix)}


def assert_refused(done: Import, *words: str) -> None:
    assert (done.state, done.code) == ("failed", "ModelArts.3017"), done.reason
    text = " ".join(f"{problem.message} {problem.field} {problem.rule}" for problem in done.problems)
    assert all(word in text for word in words), text


async def test_nothing_is_copied_and_everything_is_pinned(yard: Yard, tmp_path: Path) -> None:
    source = await lying(yard, tmp_path)
    await yard.objects.put(source.location.bucket, "digits/V001/train.log", b"noise")
    done = await yard.bring_in(source)
    assert done.state == "succeeded", done.reason
    assert await yard.keys_of(done) == []
    artifact = done.artifact
    assert artifact is not None
    assert (artifact.by_reference, artifact.location) == (True, source.location)
    assert [file.path for file in artifact.files] == [
        "calibration_data/samples.npy", "model/config.json", "model/model.onnx",
    ]  # fmt: skip
    for file in artifact.files:
        key = artifact.location.prefix + file.path
        found = await yard.objects.stat(artifact.location.bucket, key)
        data = await yard.objects.read(artifact.location.bucket, key, 1 << 20)
        assert found is not None
        assert (file.etag, file.size, file.sha256) == (found.etag, len(data), hashlib.sha256(data).hexdigest())
    assert artifact.inspection.signature.inputs


async def test_what_is_copied_has_no_pins(yard: Yard, tmp_path: Path) -> None:
    done = await yard.bring_in((await lying(yard, tmp_path)).location)
    assert done.artifact is not None
    assert {file.etag for file in done.artifact.files} == {None}
    assert not done.artifact.by_reference


async def test_the_folder_has_to_hold_model(yard: Yard, tmp_path: Path) -> None:
    done = await yard.bring_in(await lying(yard, tmp_path, part="model"))
    assert_refused(done, "has no folder model/", "source.source_copy")


async def test_not_what_the_yard_itself_keeps(yard: Yard) -> None:
    place = Location(bucket=yard.buckets["artifacts"], prefix="mine/uploads/1/")
    assert_refused(await yard.bring_in(StorageSource(location=place, source_copy=False)), "source.source_copy")


async def test_a_bad_package_is_refused_and_left_alone(yard: Yard, tmp_path: Path) -> None:
    source = await lying(yard, tmp_path)
    await yard.objects.put(source.location.bucket, "digits/V001/model/model.onnx", b"no model")
    before = await keys(yard, source.location)
    assert_refused(await yard.bring_in(source), "model.onnx")
    assert await keys(yard, source.location) == before


@pytest.mark.parametrize("file", ["calibration_data/samples.npy", "model/model.onnx", "model/README.md"])
@pytest.mark.parametrize("gone", [True, False])
async def test_a_file_that_changes_or_vanishes_while_it_is_read(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, gone: bool
) -> None:
    source = await lying(yard, tmp_path)
    await yard.objects.put(source.location.bucket, "digits/V001/model/README.md", b"only its ends are read " * 2**16)
    waiting = await yard.wait_for(source)
    state = Pinning._state

    def touched(self: Pinning, planned: Any) -> Any:
        if planned.path == file:
            client, place = yard.objects._client, (planned.source.bucket, planned.source.key)
            client.remove_object(*place) if gone else client._put_object(*place, b"other", {})
        return state(self, planned)

    monkeypatch.setattr(Pinning, "_state", touched)
    await yard.fetcher().fetch(*yard.job(waiting))
    assert_refused(await yard.known(waiting.model_id), f"digits/V001/{file} changed while it was")


async def test_a_deleted_version_leaves_the_files_alone(yard: Yard, tmp_path: Path) -> None:
    source = await lying(yard, tmp_path)
    before = await keys(yard, source.location)
    done = await yard.bring_in(source)
    fact = VersionDeleted(model_id=done.model_id, model_name="digits", model_version="0.0.1")
    message = yard.envelope(VERSION_DELETED.subject, done.model_id, fact.model_dump())
    await ImportHandlers(yard.repository, yard.clock).deleted(message, fact)
    await yard.fetcher().fetch(*yard.job(done))
    assert await keys(yard, source.location) == before


async def test_an_image_is_not_kept_by_reference(yard: Yard) -> None:
    place = Location(bucket=yard.buckets["training"], prefix="app/")
    text = b'{"model_algorithm": "x", "model_type": "Image", "swr_location": "ghcr.io/a/b:1"}'
    await yard.objects.put(place.bucket, "app/model/config.json", text)
    assert_refused(await yard.bring_in(StorageSource(location=place, source_copy=False)), "source.source_copy")
