"""A version of the register is copied with all it has: inside the store, unread, whole or not at all."""

from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.catalogue import IMPORT_SUCCEEDED, VERSION_DELETED
from modelyard_contracts.events import ImportSucceeded, Original, VersionDeleted
from modelyard_contracts.shapes import Artifact, EvaluationSummary, FileEntry, Location, PromotionSource, StorageSource
from modelyard_import.domain.imports import Import, view
from modelyard_import.fetching.transfer import Transfer
from modelyard_import.handlers.imports import ImportHandlers
from modelyard_local.servers import S3Server
from modelyard_store.manifest import manifest_digest
from modelyard_store.objects import Objects
from modelyard_testkit import models

from .conftest import Yard
from .test_resume import LARGE, copies, half, killed, objects

pytestmark = pytest.mark.servers
__all__ = ["copies", "objects"]  # fixtures

SOURCE = PromotionSource(project="theirs", model_id="m-1", model_name="digits", model_version="0.0.1")
NAME = "digits 0.0.1 of project 'theirs'"


async def told_of(yard: Yard, done: Import) -> ImportSucceeded:
    said = [each.data for each in await yard.said() if each.type == IMPORT_SUCCEEDED.subject]
    [data] = [each for each in said if each["model_id"] == done.model_id]
    return ImportSucceeded.model_validate(data)


async def original(yard: Yard, tmp_path: Path, *, copied: bool = True, extra: int = 0) -> Original:
    """A version as the register knows it: its source, what it was converted to, what that scored."""
    folder = models.package(tmp_path / "p", calibration=1)
    if extra:
        (folder / "model" / "table.bin").write_bytes(b"x" * extra)
    place = await yard.put_folder(folder, yard.buckets["training"], "digits/V001/")
    brought = await yard.bring_in(StorageSource(location=place, source_copy=copied))
    assert brought.artifact is not None, brought.reason
    fact = await told_of(yard, brought)
    there = Location(bucket=yard.buckets["artifacts"], prefix="theirs/models/m-1/variants/v/")
    files = []
    for number in range(10):
        path, data = f"model/part-{number}.bin", bytes([number]) * 1000
        await yard.objects.put(there.bucket, there.prefix + path, data)
        sha256, size = await yard.objects.digest(there.bucket, there.prefix + path)
        files.append(FileEntry(path=path, size=size, sha256=sha256))
    converted = brought.artifact.model_copy(
        update={
            **{"artifact_id": "new-converted", "kind": "conversion", "target": "openvino-fp16", "location": there},
            **{"files": tuple(files), "digest": manifest_digest(files), "size": 10_000, "by_reference": False},
            "conversion_id": "k-1",
        }
    )
    run = EvaluationSummary(
        **{"evaluation_id": "e", "version": "V0001", "run_id": "r", "artifact_id": "new-source"},
        **{"target": "source", "dataset_id": "d", "samples": 9, "metrics": {"accuracy": 0.9}, "made_in": "theirs"},
    )
    source = brought.artifact.model_copy(update={"artifact_id": "new-source"})
    return Original(
        config=fact.config, artifacts=(source, converted), evaluations=(run,), training=fact.training, scan=fact.scan
    )


async def promoted(yard: Yard, told: Original, source: PromotionSource = SOURCE) -> Import:
    waiting = await yard.wait_for(source, original=told)
    await yard.fetcher().fetch(*yard.job(waiting))
    return await yard.known(waiting.model_id)


async def assert_copied(yard: Yard, done: Import, told: Original) -> ImportSucceeded:
    """Every file byte for byte, each artifact below the version's own folder, and nothing else."""
    assert done.state == "succeeded", done.reason
    fact = await told_of(yard, done)
    copies: tuple[Artifact, ...] = (fact.artifact, *fact.artifacts)
    keys = []
    for copy, before in zip(copies, told.artifacts, strict=True):
        moved = {"location", "files", "by_reference"}
        assert copy.model_dump(exclude=moved) == before.model_dump(exclude=moved)
        assert copy.location.prefix.startswith(f"{done.destination.prefix}1/")
        assert (copy.by_reference, manifest_digest(copy.files)) == (False, before.digest)
        for file in copy.files:
            place = copy.location
            assert await yard.objects.digest(place.bucket, place.prefix + file.path) == (file.sha256, file.size)
            keys.append(place.prefix.removeprefix(done.destination.prefix) + file.path)
    assert sorted(await yard.keys_of(done)) == sorted(keys)
    assert await yard.objects.abort_multiparts(done.destination.bucket, done.destination.prefix) == 0
    total = sum(each.size for each in copies)
    assert (view(done).copied_bytes, view(done).total_bytes) == (total, total)
    return fact


@pytest.mark.parametrize("copied", [True, False])
async def test_all_of_it_is_copied_and_nothing_is_read(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    """Also what lies elsewhere by reference: then the copy has files of its own."""
    told = await original(yard, tmp_path, copied=copied)

    def read(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model's bytes came through the service")

    with monkeypatch.context() as patched:
        for way in ("digest", "download", "pour", "read", "read_span", "copy_and_digest"):
            patched.setattr(yard.objects, way, read)
        done = await promoted(yard, told)
    fact = await assert_copied(yard, done, told)
    assert (fact.config, fact.scan, fact.training, fact.evaluations) == (
        told.config,
        told.scan,
        told.training,
        told.evaluations,
    )
    assert [file.etag for file in fact.artifact.files] == [None] * len(fact.artifact.files)
    assert view(done).scan == told.scan
    assert any(NAME in line.text for line in done.log)


async def test_killed_in_the_middle_it_goes_on_and_copies_nothing_twice(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects, copies: list[str]
) -> None:
    told = await original(yard, tmp_path)
    waiting = await yard.wait_for(SOURCE, original=told)
    before = await killed(
        yard,
        tmp_path,
        s3_server,
        waiting,
        most=7,
        kind="whole",
        when=lambda job: sum(file.copied for file in job.files) == 7,
    )
    assert before.copied_bytes == sum(file.size for file in before.files)
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert not set(copies) & {f"1/{file.path}" for file in before.files}
    assert len(copies) == sum(len(each.files) for each in told.artifacts) - 7
    await assert_copied(yard, done, told)


async def test_a_large_file_goes_on_at_the_part_where_it_was(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects, copies: list[str]
) -> None:
    told = await original(yard, tmp_path, extra=LARGE)
    waiting = await yard.wait_for(SOURCE, original=told)
    before = await killed(
        yard, tmp_path, s3_server, waiting, most=3, when=lambda job: job.copied_bytes > LARGE // 2 and bool(half(job))
    )
    copies.clear()
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert [each.partition("#")[2] for each in copies if "table.bin" in each] == ["4", "5", "6"]
    assert (before.attempt, done.attempt) == (1, 2)
    await assert_copied(yard, done, told)


def assert_refused(done: Import, *words: str) -> None:
    assert (done.state, done.code) == ("failed", "ModelArts.3017")
    assert {problem.field for problem in done.problems} <= {"source.model_id", "source.location"}
    for word in (NAME, *words):
        assert word in str(done.reason) + str(done.problems)


async def test_an_original_that_is_gone_leaves_nothing(yard: Yard, tmp_path: Path) -> None:
    told = await original(yard, tmp_path)
    place = told.artifacts[1].location
    await yard.objects.remove_prefix(place.bucket, place.prefix)
    done = await promoted(yard, told)
    assert_refused(done, "deleted or damaged", "model/part-0.bin is gone", "model/part-9.bin is gone")
    assert await yard.keys_of(done) == []


async def test_what_is_kept_by_reference_must_be_what_came_in(yard: Yard, tmp_path: Path) -> None:
    told = await original(yard, tmp_path, copied=False)
    place = told.artifacts[0].location
    size = next(file.size for file in told.artifacts[0].files if file.path == "model/model.onnx")
    await yard.objects.put(place.bucket, f"{place.prefix}model/model.onnx", b"x" * size)
    done = await promoted(yard, told)
    assert_refused(done, "model/model.onnx is not what it was")
    assert await yard.keys_of(done) == []


@pytest.fixture
def vanishing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> str:
    """The last file of the conversion goes away when its turn comes."""
    path, state = "model/part-9.bin", Transfer._state

    def touched(self: Transfer, planned: Any) -> Any:
        if planned.path.endswith(path):
            yard.objects._client.remove_object(planned.source.bucket, planned.source.key)
        return state(self, planned)

    monkeypatch.setattr(Transfer, "_state", touched)
    return path


async def test_an_original_that_is_deleted_in_the_middle_leaves_nothing(
    yard: Yard, tmp_path: Path, vanishing: str
) -> None:
    done = await promoted(yard, await original(yard, tmp_path))
    assert_refused(done, vanishing)
    assert await yard.keys_of(done) == []


async def test_a_copy_that_is_deleted_in_the_middle_leaves_nothing_and_takes_nothing(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects
) -> None:
    told = await original(yard, tmp_path)
    waiting = await yard.wait_for(SOURCE, original=told)
    await killed(
        yard, tmp_path, s3_server, waiting, most=5, kind="whole", when=lambda job: any(f.copied for f in job.files)
    )
    fact = VersionDeleted(model_id=waiting.model_id, model_name="digits", model_version="0.0.1")
    message = yard.envelope(VERSION_DELETED.subject, waiting.model_id, fact.model_dump())
    await ImportHandlers(yard.repository, yard.clock).deleted(message, fact)
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    assert await yard.keys_of(waiting) == []
    await assert_copied(yard, await promoted(yard, told), told)


async def test_a_version_that_nobody_found_is_refused(yard: Yard) -> None:
    done = await yard.bring_in(SOURCE)
    assert_refused(done, "was not resolved")
