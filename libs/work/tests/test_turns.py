"""Projects are served one after the other, whoever's jobs stand first in the queue. Time is simulated."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.catalogue import VERSION_VERIFY
from modelyard_contracts.jobs import VerifyJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_store.attempts import AFTER_LEASE_MS
from modelyard_store.documents import Between, Document, Equals, Query, Sort
from modelyard_store.sqlite import SqliteDocuments
from modelyard_testkit.faults import ALWAYS

from .queueing import JOB, POLICY, THINGS, Queue, Thing, many, quick


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    documents = SqliteDocuments(tmp_path / "documents.db")
    await documents.open([THINGS])
    yield Queue(tmp_path / "scratch", documents)
    await documents.close()


async def test_one_project_alone_is_served_as_its_jobs_come(queue: Queue) -> None:
    await queue.ask(*many("a", 5))
    assert await queue.work(queue.worker()) == many("a", 5)


async def test_jobs_of_another_kind_are_nobodys_turn(queue: Queue) -> None:
    """This worker may not be able to do them."""
    await queue.ask("a0", "a1")
    other = Outcome(Thing("b", "b0"), ((VERSION_VERIFY, VerifyJob(verification_id="b0")),))
    await queue.attempts.add("b", "b0", other, Cause("c"))
    assert await queue.work(queue.worker()) == ["a0", "a1"]


@pytest.mark.parametrize("crowd", ["a", "c"])
async def test_a_single_job_passes_another_projects_crowd(queue: Queue, crowd: str) -> None:
    await queue.ask(*many(crowd, 50), "b0")
    worker = queue.worker()
    assert "b0" in await queue.work(worker, 2)
    await queue.work(worker)
    assert sorted(queue.served) == sorted([*many(crowd, 50), "b0"]), "each once"


async def test_projects_take_turns_and_each_is_served_oldest_first(queue: Queue) -> None:
    await queue.ask(*many("a", 4), *many("c", 4), *many("b", 2))
    assert await queue.work(queue.worker()) == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "c2", "a3", "c3"]


async def test_what_comes_while_a_crowd_is_worked_on_is_next(queue: Queue) -> None:
    await queue.ask(*many("a", 9))
    worker = queue.worker()
    await queue.work(worker, 3)
    await queue.ask("b0")
    assert await queue.work(worker, 1) == ["b0", "a3"]


async def test_a_hundred_projects(queue: Queue) -> None:
    """A job of whoever comes last waits for one of each other, not for all that they have asked for."""
    projects = [chr(0x100 + number) for number in range(100)]
    await queue.ask(*(f"{project}{number}" for project in projects for number in range(2)))
    served = await queue.work(queue.worker())
    assert {name[0] for name in served[:100]} == set(projects)
    assert sorted(served) == sorted(set(served))


async def test_a_worker_whose_job_is_held_takes_what_waits(queue: Queue) -> None:
    """One worker has b0 out of turn and keeps the job of a0 meanwhile; the job of b0 makes the other take a0."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(thing: Thing) -> None:
        if thing.name == "b0":
            begun.set()
            await go_on.wait()

    await queue.ask("a0", "b0")
    queue.script = slow
    worker = queue.worker()
    worker._turns.served(JOB, "a")
    one = asyncio.create_task(queue.work(worker, 1))
    await begun.wait()
    retry = await queue.deliver(queue.worker(), queue.waiting.popleft())
    assert isinstance(retry, Retry)
    assert queue.served == ["b0", "a0"]
    go_on.set()
    await one
    assert queue.served == ["b0", "a0"], "nothing twice"


async def test_the_job_of_long_work_does_not_use_its_deliveries_up(queue: Queue) -> None:
    await queue.ask("a0")
    assert await queue.attempts.take("a0", lambda thing, _: Outcome(thing), Cause("c"), 8_000)
    waits = [await queue.deliver(queue.worker(), Thing("a", "a0"), attempt) for attempt in (1, 20, 500)]
    assert [each.after for each in waits if each] == [8, 20, 60]


async def test_a_dead_workers_job_is_passed_on_out_of_turn_too(queue: Queue) -> None:
    await queue.ask(*many("a", 5), "b0")
    assert await queue.attempts.take("b0", lambda thing, _: Outcome(thing), Cause("c"), 8_000)
    worker = queue.worker()
    queue.now += 8_000
    assert await queue.work(worker, 2) == ["a0", "a1"], "its own job would come first"
    queue.now += AFTER_LEASE_MS
    assert await queue.work(worker, 1) == ["b0", "a2"]


async def test_trouble_out_of_turn_is_tried_again_later_and_keeps_nobody(queue: Queue) -> None:
    async def away(thing: Thing) -> None:
        if thing.name == "b0":
            raise KeyError("surprise")

    await queue.ask(*many("a", 9), "b0")
    queue.script = away
    worker = queue.worker()
    assert await queue.work(worker, 3) == ["a0", "b0", "a1", "a2"]
    assert await queue.state("b0") == "waiting"
    queue.now += POLICY.lease_ms + AFTER_LEASE_MS
    assert await queue.work(worker, 2) == ["b0", "a3", "a4"]
    queue.now += POLICY.lease_ms + AFTER_LEASE_MS
    await queue.work(worker)
    assert (await queue.state("b0"), queue.served.count("b0")) == ("failed", POLICY.tries)


async def test_a_stop_out_of_turn_lets_go_of_both(queue: Queue) -> None:
    begun = asyncio.Event()

    async def endless(thing: Thing) -> None:
        begun.set()
        await asyncio.Event().wait()

    await queue.ask("a0", "b0")
    worker = queue.worker()
    worker._turns.served(JOB, "a")
    queue.script = endless
    working = asyncio.create_task(queue.deliver(worker, queue.waiting[0]))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    queue.script = quick
    assert await queue.work(queue.worker()) == ["a0", "b0"]


async def test_one_that_cannot_be_read_keeps_nobody_from_being_served(queue: Queue) -> None:
    await queue.ask("b0", *many("a", 3), "b1")
    document = await queue.documents.get(THINGS, "b0")
    assert document is not None
    await queue.documents.save(THINGS, Document("b0", document.revision, document.body | {"name": None}))
    queue.waiting.popleft()
    worker = queue.worker()
    assert await queue.work(worker, 2) == ["a0", "a1"], "it is met before the second"
    assert await queue.work(worker, 1) == ["b1", "a2"]


async def test_a_store_that_is_away_costs_no_job(queue: Queue) -> None:
    await queue.ask("a0", "b0")
    queue.faults.away = ALWAYS
    retry = await queue.deliver(queue.worker(), queue.waiting[0])
    assert str(retry) == "the store is away"
    queue.faults.away = 0
    assert sorted(await queue.work(queue.worker())) == ["a0", "b0"]


async def test_documents_of_an_earlier_release_are_served_by_their_own_jobs(queue: Queue) -> None:
    await queue.ask(*many("a", 3), "b0")
    for name in ("a0", "b0"):
        document = await queue.documents.get(THINGS, name)
        assert document is not None
        del document.body["turn"]
        await queue.documents.save(THINGS, document)
    assert await queue.work(queue.worker()) == ["a0", "a1", "a2", "b0"]


async def test_who_is_next_is_found_along_the_index(queue: Queue) -> None:
    where = (Equals("turn.job", JOB), Between("project", "a!"), Between("turn.ready_at", 0, 1))
    plan = await queue.documents.explain(THINGS, Query(where, (Sort("project"), Sort("turn.ready_at"))))
    assert plan is not None
    assert "(turn.job,project,turn.ready_at)" in plan
    assert "sort" not in plan
    await queue.ask("a0")
    await queue.work(queue.worker())
    document = await queue.documents.get(THINGS, "a0")
    assert document is not None
    assert "turn" not in document.body, "what has ended is not in it"
