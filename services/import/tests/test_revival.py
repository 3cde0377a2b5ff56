"""Imports that nobody takes care of any more: asked for again, and given up at last."""

from dataclasses import replace
from pathlib import Path

import pytest

from modelyard_contracts.catalogue import IMPORT_FAILED, IMPORT_FETCH
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_contracts.shapes import Location
from modelyard_import.domain.imports import OPEN, Import, asked_again, start
from modelyard_store.attempts import Taken
from modelyard_store.documents import AnyOf, Between, Equals, Query, Sort
from modelyard_store.watched import SILENT_MS
from modelyard_testkit import models
from modelyard_work.revival import Revival

from .conftest import Yard

pytestmark = pytest.mark.servers


@pytest.fixture
def revival(yard: Yard) -> Revival[Import]:
    return Revival(yard.repository.imports, lambda job: asked_again(job, now=yard.clock()))


async def in_training(yard: Yard, tmp_path: Path) -> Location:
    return await yard.put_folder(models.package(tmp_path / "p"), yard.buckets["training"], "digits/")


async def asked(yard: Yard) -> int:
    return [message.type for message in await yard.said()].count(IMPORT_FETCH.subject)


async def take(yard: Yard, waiting: Import, lease_ms: int) -> Taken[Import]:
    """By a worker of which nothing more is heard."""
    taken = await yard.repository.imports.take(
        waiting.import_id, lambda job, _: start(job, now=yard.clock()), Cause("c"), lease_ms
    )
    assert isinstance(taken, Taken)
    return taken


async def test_a_job_that_was_lost_is_sent_again_once_in_a_while(
    yard: Yard, tmp_path: Path, revival: Revival[Import]
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    assert await revival.sweep() == 0
    yard.clock.now += SILENT_MS
    assert await revival.sweep() == 1
    assert await revival.sweep() == 0
    assert await asked(yard) == 2
    await yard.fetcher().fetch(*yard.job(waiting))
    done = await yard.known(waiting.model_id)
    assert done.state == "succeeded"
    assert any("asked for again" in line.text for line in done.log)
    yard.clock.now += SILENT_MS
    assert await revival.sweep() == 0


async def test_an_import_that_is_at_work_is_left_alone(yard: Yard, tmp_path: Path, revival: Revival[Import]) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    taken = await take(yard, waiting, lease_ms=10 * SILENT_MS)
    yard.clock.now += SILENT_MS
    assert await revival.sweep() == 0
    assert await asked(yard) == 1, "its lease is long"
    await yard.repository.imports.report(taken, Outcome, 10)
    yard.clock.now += SILENT_MS - 10
    assert await revival.sweep() == 0


async def test_a_worker_that_dies_at_every_delivery_ends_it(
    yard: Yard, tmp_path: Path, revival: Revival[Import]
) -> None:
    waiting = await yard.wait_for(await in_training(yard, tmp_path))
    for attempt in range(1, 13):
        taken = (await take(yard, waiting, lease_ms=10)).value
        place = f"{taken.destination.prefix}{taken.folder}/model/config.json"
        await yard.objects.put(taken.destination.bucket, place, b"{}")
        yard.clock.now += SILENT_MS
        assert await revival.sweep() == 1, attempt
    await yard.fetcher().fetch(*yard.job(waiting))
    done: Import = await yard.known(waiting.model_id)
    assert (done.state, done.code) == ("failed", "ModelArts.9000")
    assert "12 workers died" in str(done.reason)
    assert await yard.keys_of(done) == []
    assert [message.type for message in await yard.said()].count(IMPORT_FAILED.subject) == 1
    await yard.fetcher().fetch(*yard.job(waiting))
    assert replace(await yard.known(waiting.model_id), log=()) == replace(done, log=())


async def test_chores_find_what_they_look_for_by_an_index(yard: Yard) -> None:
    from modelyard_import.repository import IMPORTS, UPLOADS

    silent = Query(where=(AnyOf("state", OPEN), Between("due_at", 0, 1)))
    unknown = Query(where=(AnyOf("state", OPEN), Equals("due_at", None)))
    expired = Query(where=(Between("due_at", 0, 1),), sort=(Sort("due_at"),))
    reading = Query(where=(Equals("source.upload_id", "u"), Equals("state", "running")))
    for query in (silent, unknown):
        assert "(state,due_at)" in str(await yard.documents.explain(IMPORTS, query))
    for collection, query in ((UPLOADS, expired), (IMPORTS, reading)):
        plan = await yard.documents.explain(collection, query)
        assert plan is not None
        assert "sort" not in plan
