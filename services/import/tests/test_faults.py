"""What may happen in the middle of an import: it ends right, and nothing is left that nobody knows of."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.catalogue import IMPORT_FETCH, IMPORT_SUCCEEDED, VERSION_DELETED
from modelyard_contracts.events import VersionDeleted
from modelyard_contracts.outcome import Cause
from modelyard_contracts.shapes import Location, StorageSource
from modelyard_import.domain.imports import start
from modelyard_import.fetching.transfer import Transfer
from modelyard_import.handlers.imports import ImportHandlers
from modelyard_local.servers import S3Server
from modelyard_store.documents import StoreUnavailable
from modelyard_store.objects import ObjectStoreUnavailable
from modelyard_testkit import models

from .conftest import Yard

pytestmark = pytest.mark.servers


async def in_training(yard: Yard, tmp_path: Path) -> Location:
    folder = models.package(tmp_path / "p", calibration=2)
    (folder / "model" / "README.md").write_text("only its ends are read " * 2**16)  # so it is copied, not downloaded
    location: Location = await yard.put_folder(folder, yard.buckets["training"], "digits/V001/")
    return location


async def taken(yard: Yard, import_id: str, lease_ms: int) -> Any:
    """By another worker, of which nothing more is heard."""
    begin = lambda job, _: start(job, now=yard.clock())  # noqa: E731 - short
    return await yard.repository.imports.take(import_id, begin, Cause("c"), lease_ms)


async def count_said(yard: Yard, subject: str) -> int:
    return [message.type for message in await yard.said()].count(subject)


async def test_the_request_heard_twice_makes_one_import_and_one_job(yard: Yard) -> None:
    handlers = ImportHandlers(yard.repository, yard.clock)
    message, fact = yard.requested(StorageSource(location=Location(bucket="training", prefix="a/")))
    await handlers.requested(message, fact)
    await handlers.requested(message, fact)
    assert await count_said(yard, IMPORT_FETCH.subject) == 1


async def test_the_job_delivered_twice_imports_once(yard: Yard, tmp_path: Path) -> None:
    done = await yard.bring_in(await in_training(yard, tmp_path))
    await yard.fetcher().fetch(*yard.job(done))
    assert await yard.known(done.model_id) == done
    assert await count_said(yard, IMPORT_SUCCEEDED.subject) == 1


async def test_a_second_worker_waits_for_the_first(yard: Yard, tmp_path: Path) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    assert await taken(yard, waiting.import_id, 5_000)
    with pytest.raises(Retry) as later:
        await yard.fetcher().fetch(*yard.job(waiting))
    assert later.value.after == pytest.approx(5.1, abs=0.2)


async def test_a_worker_killed_in_mid_copy_is_followed_by_another(
    yard: Yard, tmp_path: Path, s3_server: S3Server
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("killed_worker.py")), str(tmp_path / "documents.db")),
        *(waiting.import_id, waiting.project, yard.buckets["training"]),
        env={"S3": s3_server.endpoint, "KEY": s3_server.access_key, "SECRET": s3_server.secret_key},
        stdout=asyncio.subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert await worker.stdout.readline() == b"in the middle\n"
    while "1/model/config.json" not in await yard.keys_of(waiting):  # noqa: ASYNC110 - it is another process's copy
        await asyncio.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    with pytest.raises(Retry):
        await yard.fetcher().fetch(*yard.job(waiting))
    yard.clock.now += 60_000
    await yard.fetcher().fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert (done.state, done.attempt) == ("succeeded", 2)
    assert sorted(await yard.keys_of(done)) == [
        "2/calibration_data/samples.npy", "2/model/README.md", "2/model/config.json", "2/model/model.onnx",
    ]  # fmt: skip
    assert await count_said(yard, IMPORT_SUCCEEDED.subject) == 1


async def test_a_late_worker_removes_only_what_it_wrote(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    late, go_on = asyncio.Event(), asyncio.Event()
    download = Transfer.download

    async def slow(self: Transfer, file: Any) -> Any:
        found = await download(self, file)
        if "/1/" in self.target.prefix:
            late.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(Transfer, "download", slow)
    first = asyncio.create_task(yard.fetcher().fetch(*yard.job(waiting)))
    await late.wait()
    yard.clock.now += 60_000
    await yard.fetcher().fetch(*yard.job(waiting))
    go_on.set()
    await first
    done = await yard.known(waiting.model_id)
    assert (done.state, done.attempt) == ("succeeded", 2)
    assert {key[:2] for key in await yard.keys_of(done)} == {"2/"}


async def test_a_source_that_changes_in_mid_copy_is_refused(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = await in_training(yard, tmp_path)
    copy = Transfer.copy

    async def overwritten(self: Transfer, file: Any) -> Any:
        await yard.objects.put(source.bucket, file.source.key, b"other bytes")
        return await copy(self, file)

    monkeypatch.setattr(Transfer, "copy", overwritten)
    done = await yard.bring_in(source)
    assert (done.state, done.code) == ("failed", "ModelArts.3017")
    assert f"{source.bucket}/{source.prefix}model/README.md changed while it was copied" in str(done.reason)
    assert await yard.keys_of(done) == []


async def test_a_store_that_is_away_means_later_not_never(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))

    async def away(self: Transfer, file: Any) -> Any:
        raise ObjectStoreUnavailable("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(Transfer, "copy", away)
        with pytest.raises(Retry):
            await yard.fetcher().fetch(*yard.job(waiting))
    await yard.fetcher().fetch(*yard.job(waiting))  # at once: the claim was given back
    done = await yard.known(waiting.model_id)
    assert (done.state, done.attempt) == ("succeeded", 2)
    assert {key[:2] for key in await yard.keys_of(done)} == {"1/"}, "it goes on where the first one was"
    assert any("interrupted" in line.text for line in done.log)


async def test_saved_but_the_answer_got_lost(yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    finish = yard.repository.imports.finish

    async def lossy(*args: Any, **more: Any) -> Any:
        await finish(*args, **more)
        raise StoreUnavailable("the answer got lost")

    with monkeypatch.context() as patched:
        patched.setattr(yard.repository.imports, "finish", lossy)
        with pytest.raises(Retry):
            await yard.fetcher().fetch(*yard.job(waiting))
    await yard.fetcher().fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert (done.state, done.attempt) == ("succeeded", 1)
    assert len(await yard.keys_of(done)) == 4


async def deleted(yard: Yard, model_id: str) -> None:
    fact = VersionDeleted(model_id=model_id, model_name="digits", model_version="0.0.1")
    message = yard.envelope(VERSION_DELETED.subject, model_id, fact.model_dump())
    await ImportHandlers(yard.repository, yard.clock).deleted(message, fact)


async def test_a_version_deleted_in_mid_copy_leaves_nothing(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    download = Transfer.download

    async def slow(self: Transfer, file: Any) -> Any:
        found = await download(self, file)
        await deleted(yard, waiting.model_id)
        return found

    monkeypatch.setattr(Transfer, "download", slow)
    await yard.fetcher().fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert done.state == "cancelled"
    assert await yard.keys_of(done) == []
    assert await count_said(yard, IMPORT_SUCCEEDED.subject) == 0


async def test_a_job_that_comes_after_the_deletion_does_nothing(yard: Yard, tmp_path: Path) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    await deleted(yard, waiting.model_id)
    await deleted(yard, waiting.model_id)
    await yard.fetcher().fetch(*yard.job(waiting))
    assert (await yard.known(waiting.model_id)).state == "cancelled"
    assert await yard.keys_of(waiting) == []


async def test_a_deletion_heard_before_its_request_comes_again(yard: Yard) -> None:
    with pytest.raises(Retry):
        await deleted(yard, "unknown")


async def test_a_stopping_service_gives_the_claim_back(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    reached = asyncio.Event()

    async def endless(self: Transfer, file: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Transfer, "copy", endless)
        work = asyncio.create_task(yard.fetcher().fetch(*yard.job(waiting)))
        await reached.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    await yard.fetcher().fetch(*yard.job(waiting))
    assert (await yard.known(waiting.model_id)).state == "succeeded"
