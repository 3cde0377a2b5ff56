"""What may happen to a long job, one thing at a time."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.failures import Code, Failure, FailureKind
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.watched import SILENT_MS
from modelyard_testkit.faults import ALWAYS
from modelyard_work import long_job
from modelyard_work.long_work import Progress

from .conftest import Task, Working, Yard


def raising(error: Exception) -> Any:
    async def script(attempt: Any) -> None:
        raise error

    return script


async def stopped(yard: Yard) -> None:
    """An orderly stop in the middle, as a rolling update does."""
    begun = asyncio.Event()

    async def script(attempt: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    working = asyncio.create_task(yard.deliver(script))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_it_is_worked_on_once_and_ends_once(yard: Yard) -> None:
    assert await yard.deliver() == "done"
    task = await yard.task()
    assert (task.state, task.attempt, task.steps) == ("succeeded", 1, 1)
    yard.messages = 1
    assert await yard.deliver(raising(AssertionError("again"))) == "done"
    assert (await yard.task(), yard.outputs) == (task, {1})
    assert list(Path(yard.folder).iterdir()) == []  # noqa: ASYNC240 - one small folder


async def test_three_orderly_stops_and_one_more_delivery(yard: Yard) -> None:
    """B1: nobody died."""
    for _ in range(3):
        await stopped(yard)
        task = await yard.task()
        assert (task.state, task.reason) == ("waiting", "the worker stops")
    assert await yard.deliver() == "done"
    task = await yard.task()
    assert (task.state, task.attempt) == ("succeeded", 4)


async def test_another_service_that_is_away_kills_no_workers(yard: Yard) -> None:
    away = Failure(FailureKind.UNAVAILABLE, Code("ModelArts.9001"), "no worker answers version.get")
    for _ in range(2):
        assert await yard.deliver(raising(away)) == "no worker answers version.get"
    assert await yard.deliver(raising(away)) == "done"
    task = await yard.task()
    assert (task.state, task.reason) == ("failed", "no worker answers version.get")


async def test_a_store_that_is_away_through_all_deliveries(yard: Yard) -> None:
    """B2: the job lies among the dead letters, and nothing could be written down. Somebody looks again."""
    yard.faults.away = ALWAYS
    for number in range(1, 6):
        assert await yard.deliver(last=number == 5) == "the store is away"
    yard.faults.away = 0
    assert (yard.messages, (await yard.task()).state) == (0, "waiting")
    assert await yard.revival.sweep() == 0
    yard.now += SILENT_MS
    assert await yard.revival.sweep() == 1
    await yard.relay()
    assert (yard.messages, await yard.deliver()) == (1, "done")
    assert (await yard.task()).state == "succeeded"
    yard.now += 100 * SILENT_MS
    assert await yard.revival.sweep() == 0


async def test_a_reason_can_always_be_stored(yard: Yard) -> None:
    async def script(attempt: Any) -> None:
        raise Failure(FailureKind.UNPROCESSABLE, Code("ModelArts.3017"), "no \x00 model")

    assert await yard.deliver(script) == "done"
    task = await yard.task()
    assert (task.state, task.attempt, task.reason) == ("failed", 1, "no \ufffd model")


async def test_progress_that_cannot_be_stored_ends_it(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: Progress[Task] = Progress(lambda task: replace(task, correlationid="\x00"))
    monkeypatch.setattr(Working, "progress", lambda self: noted)
    assert await yard.deliver() == "done"
    task = await yard.task()
    assert (task.state, task.attempt) == ("failed", 1)
    assert task.reason == "tasks: correlationid: the character U+0000 cannot be stored"
    assert (yard.messages, await yard.revival.sweep()) == (0, 0)


async def test_a_document_of_an_earlier_release_is_looked_at_too(yard: Yard) -> None:
    document = await yard.documents.get(long_job_collection(yard), "t")
    assert document is not None
    del document.body["due_at"]
    await yard.documents.save(long_job_collection(yard), document)
    yard.now += 10 * SILENT_MS
    assert await yard.revival.sweep() == 0
    assert await yard.attempts.adopt() == 1
    assert await yard.attempts.adopt() == 0
    yard.now += SILENT_MS
    assert await yard.revival.sweep() == 1


def long_job_collection(yard: Yard) -> Any:
    return yard.attempts._collection


async def test_one_that_cannot_be_read_keeps_no_other_from_being_looked_at(yard: Yard) -> None:
    await yard.documents.add(
        long_job_collection(yard), "a", {"project": "mine", "state": "waiting", "due_at": 1, "steps": "none"}
    )
    yard.now += SILENT_MS
    assert await yard.revival.sweep() == 1


async def test_a_long_queue_is_asked_for_more_and_more_seldom(yard: Yard) -> None:
    asked = 0
    for _ in range(64):
        yard.now += SILENT_MS
        asked += await yard.revival.sweep()
    assert asked == 7, "after 1, 2, 4, 8, 16, 32 and 64 times that long"


async def test_dead_workers_are_counted_and_nobody_else_is(yard: Yard) -> None:
    for _ in range(3):
        taken = await yard.attempts.take("t", lambda task, _: Outcome(task), Cause("c"), yard.policy.lease_ms)
        assert taken is not None
        assert "another worker holds it" in await yard.deliver()
        yard.now += yard.policy.lease_ms
    assert await yard.deliver() == "done"
    task = await yard.task()
    assert (task.state, task.reason) == ("failed", "3 workers died while they worked on it")


async def test_a_store_that_is_away_at_the_end_makes_nobody_dead(yard: Yard) -> None:
    """It could not be said that the worker let go; the same worker says so when it comes back."""

    async def cut_off(attempt: Any) -> None:
        yard.faults.away = ALWAYS
        raise KeyError("surprise")

    yard.job = type(yard.job)(yard.attempts, yard.job._make, yard.policy.__class__(tries=9, deaths=2, patience=0))
    for _ in range(5):
        assert "surprise" in await yard.deliver(cut_off)
        yard.faults.away = 0
        yard.now += yard.policy.lease_ms
    assert await yard.deliver() == "done"
    assert (await yard.task()).state == "succeeded"


async def test_a_crash_is_forgiven_once_whatever_else_happened(yard: Yard) -> None:
    crash = SubprocessFailed("crashed", "killed by SIGSEGV", -11)
    await stopped(yard)
    assert "surprise" in await yard.deliver(raising(KeyError("surprise")))
    assert await yard.deliver(raising(crash)) == "killed by SIGSEGV"
    assert await yard.deliver(raising(crash)) == "done"
    assert (await yard.task()).reason == "the child killed by SIGSEGV"


async def test_a_stop_by_somebody_else_ends_the_work(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_job, "BEAT_SECONDS", 0.001)
    ended = asyncio.Event()

    async def script(attempt: Any) -> None:
        await yard.attempts.change("mine", "t", lambda task: Outcome(type(task)("mine", "stopped")), Cause("c"))
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert await yard.deliver(script) == "done"
    assert ended.is_set()
    assert ((await yard.task()).state, yard.outputs) == ("stopped", set())


async def test_the_lease_is_kept_and_the_progress_saved_while_it_runs(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_job, "BEAT_SECONDS", 0.001)

    async def script(attempt: Any) -> None:
        async with asyncio.timeout(20):
            while (await yard.task()).steps < 3:
                yard.now += yard.policy.lease_ms - 1

    assert await yard.deliver(script) == "done"
    assert (await yard.task()).attempt == 1


async def test_an_end_whose_tidying_up_failed_is_tidied_by_the_next_delivery(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(self: Any, value: Any) -> None:
        raise OSError("the objects are away")

    with monkeypatch.context() as once:
        once.setattr(Working, "ended", failing)
        assert "the objects are away" in await yard.deliver()
    yard.outputs.add(7)
    assert await yard.deliver(raising(AssertionError("again"))) == "done"
    assert ((await yard.task()).attempt, yard.outputs) == (1, {1})


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device"), "the worker could not use its disk: No space left on device"),
        (ConnectionRefusedError(111, "Connection refused"), "internal error; the worker's log has the details"),
        (KeyError("a secret"), "internal error; the worker's log has the details"),
    ],
)
async def test_reasons_are_for_people(yard: Yard, error: Exception, words: str) -> None:
    assert await yard.deliver(raising(error), last=True) == "done"
    assert (await yard.task()).reason == words
