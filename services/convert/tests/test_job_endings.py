"""Everything that can go wrong around a conversion job, and how it goes on."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts.events import VersionDeleted
from modelyard_contracts.outcome import Cause
from modelyard_convert import domain
from modelyard_convert.bootstrap import asked_again
from modelyard_convert.domain import Conversion
from modelyard_convert.repository import CONVERSIONS
from modelyard_runtime.clock import now_ms
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.attempts import Taken
from modelyard_store.documents import StoreUnavailable
from modelyard_store.objects import ObjectStoreUnavailable
from modelyard_store.watched import SILENT_MS
from modelyard_testkit.children import killed_at_work
from modelyard_work.ending import Policy
from modelyard_work.revival import Revival

LEASE_MS = Policy().lease_ms


async def taken(yard: Any, conversion_id: str) -> Taken[Conversion]:
    """By another worker, of which nothing more is heard."""
    found = await yard.repository.conversions.take(
        conversion_id, lambda value, _: domain.begun(value), Cause("c-1"), LEASE_MS
    )
    assert found is not None
    return found


def ending(kind: Any = "crashed", message: str = "killed by SIGSEGV", times: int = 100) -> Any:
    """A subprocess that ends badly, `times` times."""
    left = [times]

    def stand_in(real: Any) -> Any:
        async def run(module: str, request: Any, **options: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise SubprocessFailed(kind, message, -11)
            return await real(module, request, **options)

        return run

    return stand_in


async def test_a_killed_subprocess_is_tried_again(yard: Any) -> None:
    """For real: SIGKILL in the middle of work."""
    conversion_id = await yard.create()
    ordinary, yard.run = yard.run, killed_at_work
    with pytest.raises(Retry, match="SIGKILL"):
        await yard.work(conversion_id)
    between = await yard.known(conversion_id)
    assert (between.state, between.progress) == ("running", "waiting for a worker")
    yard.run = ordinary
    done = await yard.work(conversion_id)
    assert (done.state, done.attempt) == ("succeeded", 2)
    assert "it is tried once more" in done.log
    assert {name.split("/")[0] for name in yard.written(done)} == {done.artifact.artifact_id}
    assert await yard.said(conversion_id) == ["created", "job", "started", "started", "succeeded"]


async def test_a_subprocess_that_crashes_twice_ends_it(yard: Any) -> None:
    conversion_id = await yard.create()
    yard.run = ending()(yard.run)
    with pytest.raises(Retry):
        await yard.work(conversion_id)
    failed = await yard.work(conversion_id)
    assert (failed.state, failed.code, failed.attempt) == ("failed", "ModelArts.3058", 2)
    assert failed.reason == "the converter stopped: killed by SIGSEGV"


async def test_an_exception_of_the_converter_is_not_tried_again(yard: Any) -> None:
    async def run(module: str, request: Any, **options: Any) -> Any:
        raise SubprocessFailed("crashed", "ValueError: no such tensor", 0)

    yard.run = run
    failed = await yard.work(await yard.create())
    assert (failed.attempt, failed.reason) == (1, "the converter stopped: ValueError: no such tensor")


@pytest.mark.parametrize(("kind", "words"), [("timeout", "did not finish within 5 s"), ("memory", "ran out of memory")])
async def test_too_slow_or_too_large_ends_it_at_once(yard: Any, kind: str, words: str) -> None:
    yard.run = ending(kind, words)(yard.run)
    failed = await yard.work(await yard.create())
    assert (failed.state, failed.attempt) == ("failed", 1)
    assert words in str(failed.reason)


async def test_a_store_that_is_away_for_a_moment_is_waited_for(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_work.patience.FIRST_DELAY", 0.001)
    yard.transfers.away = yard.others.away = 0
    conversion_id = await yard.create()
    yard.transfers.away, yard.others.away = 3, 2
    done = await yard.work(conversion_id)
    assert (done.state, done.attempt) == ("succeeded", 1)


async def test_a_store_that_stays_away_means_later_and_at_last_failure(yard: Any) -> None:
    yard.settings = yard.settings.model_copy(update={"convert_patience": 0})
    conversion_id = await yard.create()
    yard.transfers.away = 1
    with pytest.raises(Retry, match="the shelf is away"):
        await yard.work(conversion_id)
    yard.transfers.away = 1
    envelope, _ = yard.job(conversion_id)
    with handling(Delivery(envelope, 5, last=True), "convert-onnx"):
        failed = await yard.work(conversion_id)
    assert (failed.state, failed.code) == ("failed", "ModelArts.3058")
    assert failed.reason == "it was tried 5 times: the shelf is away"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device"), "ModelArts.3058", "could not use its disk: No space left on device"),
        (KeyError("secret detail"), "ModelArts.9000", "internal error"),
    ],
)
async def test_whatever_else_goes_wrong_no_conversion_hangs(yard: Any, error: Any, code: str, words: str) -> None:
    async def run(module: str, request: Any, **options: Any) -> Any:
        raise error

    yard.run = run
    conversion_id = await yard.create()
    with pytest.raises(Retry):
        await yard.work(conversion_id)
    envelope, _ = yard.job(conversion_id)
    with handling(Delivery(envelope, 5, last=True), "convert-onnx"):
        failed = await yard.work(conversion_id)
    assert (failed.state, failed.code) == ("failed", code)
    assert words in str(failed.reason)
    assert "secret" not in str(failed.reason)


async def test_a_job_that_another_worker_holds_comes_back_when_the_lease_ends(yard: Any) -> None:
    conversion_id = await yard.create()
    began = now_ms()
    first = await taken(yard, conversion_id)
    with pytest.raises(Retry) as caught:
        await yard.work(conversion_id)
    assert caught.value.after is not None
    assert LEASE_MS - (now_ms() - began) <= caught.value.after * 1000 <= LEASE_MS
    assert await yard.known(conversion_id) == first.value


async def test_an_attempt_that_lost_its_claim_removes_what_it_wrote(yard: Any) -> None:
    """Its successor finished while it was uploading: nothing of it may stay, and nothing of the successor may go."""
    conversion_id = await yard.create()
    successor: list[Any] = []
    upload = yard.shelf.upload

    async def slow(bucket: str, key: str, path: Path) -> Any:
        written = await upload(bucket, key, path)
        if not successor:
            yard.now = lambda: now_ms() + LEASE_MS + 1000
            successor.append(asyncio.create_task(yard.work(conversion_id)))
            await asyncio.wait(successor)
        return written

    yard.shelf.upload = slow
    await yard.work(conversion_id)
    late = await successor[0]
    assert (late.state, late.attempt) == ("succeeded", 2)
    assert {name.split("/")[0] for name in yard.written(late)} == {late.artifact.artifact_id}
    assert (await yard.said(conversion_id)).count("succeeded") == 1


async def test_a_version_deleted_in_the_middle_stops_the_attempt(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_work.long_job.BEAT_SECONDS", 0.01)
    conversion_id = await yard.create()
    model_id = (await yard.known(conversion_id)).model_id
    cancelled = asyncio.Event()

    async def run(module: str, request: Any, **options: Any) -> Any:
        fact = VersionDeleted(model_id=model_id, model_name="digits", model_version="0.0.1")
        await yard.events.deleted(yard.envelope("modelyard.evt.version.deleted.v1", model_id, fact), fact)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    yard.run = run
    ended = await yard.work(conversion_id)
    assert cancelled.is_set()
    assert (ended.state, ended.reason) == ("failed", "the version was deleted")
    assert yard.written(ended) == []
    assert list((yard.folder / "work").iterdir()) == []


async def test_a_worker_that_is_told_to_stop_lets_go_at_once(yard: Any) -> None:
    conversion_id = await yard.create()
    started = asyncio.Event()
    real = yard.run

    async def run(module: str, request: Any, **options: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    yard.run = run
    working = asyncio.create_task(yard.work(conversion_id))
    await started.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    yard.run = real
    done = await yard.work(conversion_id)
    assert (done.state, done.attempt) == ("succeeded", 2)


async def interrupted(yard: Any, conversion_id: str) -> None:
    started, real = asyncio.Event(), yard.run

    async def run(module: str, request: Any, **options: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    yard.run = run
    working = asyncio.create_task(yard.work(conversion_id))
    await started.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    yard.run = real


async def test_three_orderly_stops_are_no_deaths(yard: Any) -> None:
    conversion_id = await yard.create()
    for _ in range(3):
        await interrupted(yard, conversion_id)
    done = await yard.work(conversion_id)
    assert (done.state, done.attempt) == ("succeeded", 4)


async def test_a_document_store_that_is_away_through_all_deliveries_keeps_nobody_waiting_for_ever(yard: Any) -> None:
    conversion_id = await yard.create()
    await yard.heard(conversion_id)
    get = yard.documents.get

    async def away(*arguments: Any) -> Any:
        raise StoreUnavailable("the documents are away")

    yard.documents.get = away
    envelope, _ = yard.job(conversion_id)
    with handling(Delivery(envelope, 5, last=True), "convert-onnx"), pytest.raises(Retry, match="documents are away"):
        await yard.jobs.convert(*yard.job(conversion_id))
    yard.documents.get = get
    yard.now = lambda: now_ms() + SILENT_MS + 1000
    revival = Revival(yard.repository.conversions, asked_again)
    assert await revival.sweep() == 1
    assert await yard.said(conversion_id) == ["job"]
    done = await yard.work(conversion_id)
    assert done.state == "succeeded"
    assert "asked for again" in done.log


async def test_the_lease_is_kept_and_the_log_saved_while_it_runs(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_work.long_job.BEAT_SECONDS", 0.01)
    conversion_id = await yard.create()
    seen: list[Any] = []
    leases: list[int] = []

    async def run(module: str, request: Any, *, on_line: Any, **options: Any) -> Any:
        await on_line("==> thinking")
        while not seen or seen[-1].progress != "thinking":
            seen.append(await yard.known(conversion_id))
            leases.append((await yard.documents.get(CONVERSIONS, conversion_id)).body["claim"]["lease_until"])
        raise SubprocessFailed("timeout", "did not finish", None)

    yard.run = run
    before = now_ms()
    failed = await yard.work(conversion_id)
    assert leases[-1] >= before + LEASE_MS
    assert seen[-1].log.endswith("==> thinking\n")
    assert failed.log.count("==> thinking") == 1


async def test_a_save_whose_answer_got_lost_is_not_done_twice(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_work.patience.FIRST_DELAY", 0.001)
    conversion_id = await yard.create()
    finish, lost = yard.repository.conversions.finish, [1]

    async def losing(*arguments: Any, **options: Any) -> Any:
        done = await finish(*arguments, **options)
        if lost:
            lost.pop()
            raise ObjectStoreUnavailable("the answer got lost")
        return done

    monkeypatch.setattr(yard.repository.conversions, "finish", losing)
    done = await yard.work(conversion_id)
    assert done.state == "succeeded"
    assert (await yard.said(conversion_id)).count("succeeded") == 1
    assert yard.written(done)


async def test_dead_workers_are_counted(yard: Any) -> None:
    conversion_id = await yard.create()
    for attempt in range(1, 4):
        claimed = (await taken(yard, conversion_id)).value
        yard.now = lambda later=attempt: now_ms() + later * (LEASE_MS + 1)
        place = f"mine/models/{claimed.model_id}/variants/{yard.place(claimed, attempt)}"
        yard.shelf.content["artifacts", f"{place}model/half"] = b"half"
    failed = await yard.work(conversion_id)
    assert (failed.state, failed.reason) == ("failed", "3 workers died while converting it")
    assert yard.written(failed) == []
