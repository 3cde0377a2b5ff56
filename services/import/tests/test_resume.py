"""An import that is killed goes on where it was: nothing is copied twice, and nobody takes anything from anybody."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.catalogue import VERSION_DELETED
from modelyard_contracts.events import VersionDeleted
from modelyard_contracts.shapes import Location
from modelyard_import.domain.imports import OPEN, Import
from modelyard_import.handlers.imports import ImportHandlers
from modelyard_import.repository import IMPORTS, Repository
from modelyard_local.servers import S3Server
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import Attempts, Taken
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_testkit import models
from modelyard_work import long_job

from .conftest import Yard
from .halting_worker import PART

pytestmark = pytest.mark.servers
MIB = 1 << 20
LARGE = 33 * MIB  # six parts


@pytest.fixture
async def objects(s3_server: S3Server) -> AsyncIterator[Objects]:
    """With parts as small as those of the killed worker."""
    settings = ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key, copy_part_size=PART)
    objects = Objects.connect(settings)
    yield objects
    await objects.close()


@pytest.fixture
def copies(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is copied inside the store, `key` or `key#part`, in the order in which it is asked for."""
    asked = list[str]()
    real: Any = objects._client._execute

    def execute(method: str, bucket: str, *args: Any, **more: Any) -> Any:
        if method == "PUT" and "x-amz-copy-source" in (more.get("headers") or {}):
            key = args[0] if args else more["object_name"]
            part = (more.get("query_params") or {}).get("partNumber")
            asked.append(key.partition("/source/")[2] + (f"#{part}" if part else ""))
        return real(method, bucket, *args, **more)

    monkeypatch.setattr(objects._client, "_execute", execute)
    return asked


async def one_large_file(yard: Yard, tmp_path: Path) -> Location:
    folder = models.package(tmp_path / "p", calibration=1)
    (folder / "model" / "table.bin").write_bytes(random.Random(1).randbytes(LARGE))
    location: Location = await yard.put_folder(folder, yard.buckets["training"], "large/")
    return location


async def many_files(yard: Yard, tmp_path: Path) -> Location:
    folder = models.package(tmp_path / "p")
    for number in range(20):
        (folder / "model" / f"table-{number:02}.bin").write_bytes(bytes([number]) * 1000)
    location: Location = await yard.put_folder(folder, yard.buckets["training"], "many/")
    return location


async def killed(
    yard: Yard,
    tmp_path: Path,
    s3: S3Server,
    waiting: Import,
    *,
    most: int,
    kind: str = "part",
    when: Callable[[Import], bool],
) -> Import:
    """What the document says after a worker died that was at its n-th copy, and had saved what `when` asks for."""
    yard.clock.now += 60_000
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("halting_worker.py")), str(tmp_path / "documents.db")),
        *(waiting.import_id, waiting.project, yard.buckets["training"], kind, str(most), str(yard.clock.now)),
        env={"S3": s3.endpoint, "KEY": s3.access_key, "SECRET": s3.secret_key},
    )
    try:
        while not when(known := await yard.known(waiting.model_id)):
            assert worker.returncode is None
            await asyncio.sleep(0.02)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
    yard.clock.now += 60_000
    assert isinstance(known, Import)
    return known


def files_done(job: Import) -> int:
    return sum(1 for file in job.files if file.copied and file.sha256 is not None)


def half(job: Import) -> str | None:
    return next((file.upload_id for file in job.files if file.upload_id is not None and not file.copied), None)


async def parts(yard: Yard, job: Import) -> list[int]:
    upload_id = half(job)
    assert upload_id is not None
    key = f"{job.destination.prefix}{job.folder}/model/table.bin"
    return [part.number for part in await yard.objects.list_parts(job.destination.bucket, key, upload_id)]


async def assert_whole(yard: Yard, job: Import, folder: str) -> None:
    """Exactly the artifact, byte for byte, and no parts of anything."""
    assert job.state == "succeeded", job.reason
    assert job.artifact is not None
    place = job.artifact.location
    assert sorted(await yard.keys_of(job)) == [folder + file.path for file in job.artifact.files]
    for file in job.artifact.files:
        assert await yard.objects.digest(place.bucket, place.prefix + file.path) == (file.sha256, file.size)
    assert await yard.objects.abort_multiparts(job.destination.bucket, job.destination.prefix) == 0
    assert (job.files, job.pins, job.copied_bytes) == ((), None, job.total_bytes)


async def test_killed_twice_in_the_middle_of_one_large_file(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects, copies: list[str]
) -> None:
    waiting = await yard.wait_for(await one_large_file(yard, tmp_path))

    def small_ones_and_parts(job: Import) -> bool:
        return sum(file.copied for file in job.files) == 3 and job.copied_bytes >= (LARGE + 2 * PART) // 2

    first = await killed(yard, tmp_path, s3_server, waiting, most=2, when=small_ones_and_parts)
    assert len(await parts(yard, first)) == 2
    second = await killed(
        yard, tmp_path, s3_server, waiting, most=4, when=lambda job: job.copied_bytes >= (LARGE + 4 * PART) // 2
    )
    there = await parts(yard, second)
    assert (second.attempt, half(second), len(there)) == (2, half(first), 4)
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert sorted(copies) == [f"1/model/table.bin#{number}" for number in range(1, 7) if number not in there]
    await assert_whole(yard, done, "1/")
    assert (done.attempt, sum("goes on in" in line.text for line in done.log)) == (3, 2)


async def test_killed_in_the_middle_of_many_files(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects, copies: list[str]
) -> None:
    waiting = await yard.wait_for(await many_files(yard, tmp_path))
    first = await killed(
        yard, tmp_path, s3_server, waiting, most=11, kind="whole", when=lambda job: files_done(job) >= 8
    )
    read = list[str]()
    real = objects.copy_and_digest

    async def counting(bucket: str, key: str, *args: Any, **more: Any) -> Any:
        read.append(key)
        return await real(bucket, key, *args, **more)

    objects.copy_and_digest = counting  # type: ignore[method-assign,assignment]  # to see what is read
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    have = {f"1/{file.path}" for file in first.files if file.copied}
    assert {key for key in copies if key in have} == set()
    assert len(copies) == 22 - len(have)
    assert len(read) <= 20 - (files_done(first) - 2)
    await assert_whole(yard, done, "1/")


async def test_progress_grows_inside_one_large_file_and_goes_on_after_a_kill(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_job, "BEAT_SECONDS", 0.005)
    fresh = await yard.wait_for(await one_large_file(yard, tmp_path))
    await yard.fetcher(objects).fetch(*yard.job(fresh))
    told = [payload["copied_bytes"] for _, about, payload in yard.ears.heard if about == fresh.model_id]
    total = (await yard.known(fresh.model_id)).total_bytes
    assert told == sorted(told)
    assert len([each for each in told if LARGE // 4 < each < LARGE]) >= 2
    assert told[-1] == total
    waiting = await yard.wait_for(await one_large_file(yard, tmp_path / "again"))
    await killed(
        yard, tmp_path, s3_server, waiting, most=4, when=lambda job: job.copied_bytes >= (LARGE + 4 * PART) // 2
    )
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    told = [payload["copied_bytes"] for _, about, payload in yard.ears.heard if about == waiting.model_id]
    assert min(each for each in told if each) >= (4 * PART) // 2, "what is there counts at once"
    assert told[-1] == total


async def test_a_deletion_after_a_kill_frees_everything(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects
) -> None:
    waiting = await yard.wait_for(await one_large_file(yard, tmp_path))
    half_way = await killed(
        yard, tmp_path, s3_server, waiting, most=3, when=lambda job: half(job) is not None and files_done(job) > 0
    )
    fact = VersionDeleted(model_id=waiting.model_id, model_name="digits", model_version="0.0.1")
    message = yard.envelope(VERSION_DELETED.subject, waiting.model_id, fact.model_dump())
    await ImportHandlers(yard.repository, yard.clock).deleted(message, fact)
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    assert await yard.keys_of(half_way) == []
    assert await yard.objects.abort_multiparts(waiting.destination.bucket, waiting.destination.prefix) == 0


async def interrupted(yard: Yard, objects: Objects, waiting: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service stops when half of the large file is copied."""
    reached, loop = asyncio.Event(), asyncio.get_running_loop()
    real: Any = objects._client._upload_part_copy

    def telling(*args: Any) -> Any:
        if args[3] > 2:
            loop.call_soon_threadsafe(reached.set)
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(objects._client, "_upload_part_copy", telling)
        work = asyncio.create_task(yard.fetcher(objects).fetch(*yard.job(waiting)))
        await reached.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


async def test_a_source_that_changed_between_two_attempts_begins_anew(
    yard: Yard, tmp_path: Path, objects: Objects, copies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await one_large_file(yard, tmp_path)
    waiting = await yard.wait_for(source)
    await interrupted(yard, objects, waiting, monkeypatch)
    assert half(await yard.known(waiting.model_id)) is not None
    config = await yard.objects.read(source.bucket, f"{source.prefix}model/config.json", 1 << 20)
    await yard.objects.put(source.bucket, f"{source.prefix}model/config.json", config + b"\n")
    copies.clear()
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert len(copies) == 3 + 6
    assert any("the source changed" in line.text for line in done.log)
    await assert_whole(yard, done, "2/")


async def test_a_file_that_vanished_from_the_folder_is_copied_again(
    yard: Yard, tmp_path: Path, s3_server: S3Server, objects: Objects, copies: list[str]
) -> None:
    waiting = await yard.wait_for(await many_files(yard, tmp_path))
    before = await killed(
        yard, tmp_path, s3_server, waiting, most=11, kind="whole", when=lambda job: files_done(job) >= 8
    )
    lost = next(file.path for file in before.files if file.copied and file.sha256 is not None)
    await yard.objects.remove(waiting.destination.bucket, f"{waiting.destination.prefix}1/{lost}")
    await yard.fetcher(objects).fetch(*yard.job(waiting))
    assert f"1/{lost}" in copies
    await assert_whole(yard, await yard.known(waiting.model_id), "1/")


class Paused(Attempts[Import]):
    """A worker whose every word to its document hangs until `go_on`."""

    paused: asyncio.Event
    go_on: asyncio.Event

    async def report(self, taken: Taken[Import], decide: Decide[Import], lease_ms: int) -> None:
        told = decide(taken.value)
        if told is not None and files_done(told.value) >= 2 and half(told.value) is not None:
            await super().report(taken, decide, lease_ms)
            self.paused.set()
            await self.go_on.wait()
        await super().report(taken, decide, lease_ms)


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_late_worker_in_the_same_folder_harms_nobody(
    yard: Yard, tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch, deleted: bool
) -> None:
    """It wakes when the other has succeeded, and goes on copying until it hears that it has lost."""
    monkeypatch.setattr(long_job, "BEAT_SECONDS", 0.01)
    waiting = await yard.wait_for(await one_large_file(yard, tmp_path))
    late = Paused(yard.documents, IMPORTS, Import, "import", lambda: None, now=yard.clock, open_states=OPEN)
    late.paused, late.go_on = asyncio.Event(), asyncio.Event()
    repository = Repository(yard.documents, lambda: None, yard.clock)
    repository.imports = late
    slow = replace(yard.fetcher(objects), repository=repository)
    first = asyncio.create_task(slow.fetch(*yard.job(waiting)))
    await late.paused.wait()
    yard.clock.now += 60_000
    await yard.fetcher().fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    await assert_whole(yard, done, "1/")
    if deleted:
        await yard.objects.remove_prefix(done.destination.bucket, done.destination.prefix)
        fact = VersionDeleted(model_id=waiting.model_id, model_name="digits", model_version="0.0.1")
        message = yard.envelope(VERSION_DELETED.subject, waiting.model_id, fact.model_dump())
        await ImportHandlers(yard.repository, yard.clock).deleted(message, fact)
    late.go_on.set()
    await first
    if deleted:
        assert await yard.keys_of(done) == []
    else:
        await assert_whole(yard, await yard.known(waiting.model_id), "1/")
    assert await yard.objects.abort_multiparts(done.destination.bucket, done.destination.prefix) == 0
