"""What can be wrong with the place a package lies in, and whose it is."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import CheckSource
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import (
    Location,
    Role,
    Source,
    StorageSource,
    TemplateInput,
    TemplateSource,
    TrainingSource,
    UploadSource,
)
from modelyard_import.domain.imports import Import
from modelyard_import.domain.sources import Places
from modelyard_import.domain.training import training_job
from modelyard_import.errors import PackageTooLarge
from modelyard_import.fetching.room import Room
from modelyard_import.handlers.sources import SourceCalls
from modelyard_import.settings import ImportSettings
from modelyard_store.objects import AccessDenied, ObjectError
from modelyard_testkit import models

from .conftest import PROJECT, Yard

pytestmark = pytest.mark.servers
ENCRYPTED = (
    "InvalidRequest: The object was stored using a form of Server Side Encryption. The correct parameters must be"
)


async def source(yard: Yard, tmp_path: Path, prefix: str = "digits/V001/") -> Location:
    location: Location = await yard.put_folder(models.package(tmp_path / "p"), yard.buckets["training"], prefix)
    return location


async def assert_refused(yard: Yard, done: Import, *words: str) -> None:
    assert (done.state, done.code) == ("failed", "ModelArts.3017"), done.reason
    text = " ".join(f"{problem.message} {problem.field} {problem.rule}" for problem in done.problems)
    assert all(word in text for word in words), text
    assert await yard.keys_of(done) == []


def failing(error: Exception) -> Any:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def failing_list(error: Exception) -> Any:
    async def fail(*_: Any) -> Any:
        raise error
        yield

    return fail


async def test_a_folder_that_may_not_be_listed(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, fetcher = await yard.wait_for(await source(yard, tmp_path)), yard.fetcher()
    with monkeypatch.context() as patched:
        patched.setattr(yard.objects, "list", failing_list(AccessDenied("training: AccessDenied")))
        patched.setattr(yard.objects, "remove_prefix", failing_nothing)
        await fetcher.fetch(*yard.job(waiting))
    await assert_refused(yard, await yard.known(waiting.model_id), "digits/V001/", "may not be listed")


async def failing_nothing(*_: Any) -> int:
    return 0


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        ("read", AccessDenied("x: AccessDenied"), ["model/config.json", "may not be read"]),
        ("read", ObjectError(f"x: {ENCRYPTED}"), ["model/config.json", "Server Side Encryption", "not encrypted"]),
        ("download", AccessDenied("x: AccessDenied"), ["digits/V001/model/", "may not be read"]),
        ("download", ObjectError(f"x: {ENCRYPTED}"), ["digits/V001/model/", "Server Side Encryption", "not encrypted"]),
    ],
)
@pytest.mark.parametrize("copied", [True, False])
async def test_files_that_the_store_does_not_hand_out(
    yard: Yard, tmp_path: Path, method: str, error: Exception, words: list[str], copied: bool
) -> None:
    place = await source(yard, tmp_path)
    setattr(yard.objects, method, failing(error))
    await assert_refused(yard, await yard.bring_in(StorageSource(location=place, source_copy=copied)), *words)


async def test_an_object_that_the_store_does_not_copy(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await source(yard, tmp_path)
    monkeypatch.setattr(yard.objects, "copy", failing(ObjectError(f"x: {ENCRYPTED}")))
    await assert_refused(yard, await yard.bring_in(place), "digits/V001/model/", "Server Side Encryption")


async def test_a_config_that_vanishes_after_it_was_listed(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await source(yard, tmp_path)
    real = yard.objects.read

    async def vanishing(bucket: str, key: str, most: int) -> bytes:
        await yard.objects.remove(bucket, key)
        return await real(bucket, key, most)

    monkeypatch.setattr(yard.objects, "read", vanishing)
    await assert_refused(yard, await yard.bring_in(place), "model/config.json does not exist")


async def test_a_config_that_changes_after_it_was_read(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await source(yard, tmp_path)
    real = yard.objects.read

    async def changing(bucket: str, key: str, most: int) -> bytes:
        found = await real(bucket, key, most)
        await yard.objects.put(bucket, key, found + b" ")
        return found

    monkeypatch.setattr(yard.objects, "read", changing)
    await assert_refused(yard, await yard.bring_in(place), "model/config.json changed while it was copied")


async def test_everything_that_is_wrong_is_said_at_once(yard: Yard, tmp_path: Path) -> None:
    place = await source(yard, tmp_path)
    await yard.objects.put(place.bucket, "digits/V001/model/config.json", b'{"model_type": "ONNX", "surprise": 1}')
    await yard.objects.put(place.bucket, "digits/V001/model/second.onnx", b"x")
    done = await yard.bring_in(place)
    assert done.code == "ModelArts.3016"
    text = " ".join(problem.message for problem in done.problems)
    assert all(word in text for word in ("model_algorithm", "surprise", "2 models")), text


async def test_a_project_is_kept_to_its_folder_where_the_operator_says_so(yard: Yard, tmp_path: Path) -> None:
    yard.folders = {yard.buckets["training"]: "teams/{project}/"}
    theirs, ours = await source(yard, tmp_path, "teams/theirs/V001/"), await source(yard, tmp_path, "teams/mine/V001/")
    await assert_refused(yard, await yard.bring_in(theirs), "belongs to another project", "only below 'teams/mine/'")
    by_reference = StorageSource(location=theirs, source_copy=False)
    await assert_refused(yard, await yard.bring_in(by_reference), "belongs to another project")
    assert (await yard.bring_in(ours)).state == "succeeded"


async def test_a_run_that_names_another_projects_folder(yard: Yard, tmp_path: Path) -> None:
    yard.folders = {yard.buckets["training"]: "{project}/"}
    fact = TrainingCompleted(
        job_id="j", job_name="digits", job_version="V001", status="completed",
        output=await source(yard, tmp_path, "theirs/V001/"),
    )  # fmt: skip
    run = training_job(yard.project, "e", fact, now=1, correlationid=None)
    await yard.repository.training_jobs.add(yard.project, run.training_job_id, Outcome(run))
    done = await yard.bring_in(TrainingSource(training_job_id=run.training_job_id))
    await assert_refused(yard, done, "theirs/V001/", "belongs to another project")


def test_settings_of_places_and_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_SOURCE_PREFIXES", "training={project}/, datasets=teams/{project}/")
    monkeypatch.setenv("MODELYARD_IMPORT_REGISTRIES", "ghcr.io/team, 127.0.0.1:5000")
    monkeypatch.setenv("MODELYARD_IMPORT_REGISTRY_CREDENTIALS", '{"ghcr.io": "user:pass:word"}')
    found = ImportSettings()
    assert found.source_prefixes == {"training": "{project}/", "datasets": "teams/{project}/"}
    assert found.import_registries == ("ghcr.io/team", "127.0.0.1:5000")
    assert "pass:word" not in repr(found)
    for wrong in ("training", "training=", "training=shared/", "training=/{project}/", "training={project}"):
        monkeypatch.setenv("MODELYARD_SOURCE_PREFIXES", wrong)
        with pytest.raises(ValidationError):
            ImportSettings()


async def test_what_does_not_fit_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": (256 << 20) + 100}))
    room = Room(tmp_path)
    async with room.take(0), room.take(100):
        pass
    with pytest.raises(PackageTooLarge, match="101 bytes"):
        async with room.take(101):
            pass


async def test_a_package_waits_for_the_room_that_another_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": (256 << 20) + 100}))
    room, order = Room(tmp_path), list[str]()
    begun, end = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with room.take(80):
            begun.set()
            await end.wait()
            order.append("first")

    async def second() -> None:
        await begun.wait()
        end.set()
        async with room.take(80):
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("source", "field", "words"),
    [
        (StorageSource(location=Location(bucket="trainin", prefix="x/")), "source.location.bucket", "not open"),
        (UploadSource(upload_id="nope"), "source.upload_id", "upload 'nope' does not exist"),
        (TrainingSource(training_job_id="nope"), "source.training_job_id", "training job 'nope' does not exist"),
        (
            TemplateSource(
                template_id="onnx",
                template_inputs=(TemplateInput(input_id="m", location=Location(bucket="trainin", prefix="x/")),),
            ),
            "source.template_inputs.m.bucket",
            "not open",
        ),
    ],
)
async def test_what_is_known_not_to_be_there_is_refused_before_a_version_is_made(
    yard: Yard, source: Source, field: str, words: str
) -> None:
    caller = CallContext(project=PROJECT, actor="ann", role=Role.WRITER, correlationid="c")
    calls = SourceCalls(yard.repository, Places(tuple(yard.buckets.values())), yard.buckets["artifacts"])
    with pytest.raises(Failure, match=words) as caught:
        await calls.check(caller, CheckSource(source=source))
    assert (caught.value.kind, caught.value.problems[0].field) == (FailureKind.INVALID, field)
    good = StorageSource(location=Location(bucket=yard.buckets["training"], prefix="x/"))
    assert await calls.check(caller, CheckSource(source=good)) == Nothing()
