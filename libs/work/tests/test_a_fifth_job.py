"""What a new long job costs its service: the lines between the two marks, and this is its fault test."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.catalogue import VERSION_AUDIT
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_local.servers import S3Server
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import Collection
from modelyard_store.objects import NoSuchObject, Objects, ObjectSettings
from modelyard_store.sqlite import SqliteDocuments
from modelyard_store.watched import SILENT_MS
from modelyard_work.ending import Policy
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, LongWork, Progress
from modelyard_work.revival import Revival

pytestmark = pytest.mark.servers

# --- the service's own code begins


@dataclass(frozen=True)
class Count:
    """How many bytes lie below a prefix of the bucket."""

    project: str
    prefix: str
    state: str = "waiting"
    attempt: int = 0
    read: int = 0
    reason: str | None = None
    correlationid: str | None = None


def asked(count: Count) -> Outcome[Count]:
    return Outcome(count, ((VERSION_AUDIT, AuditJob(audit_id=count.prefix)),))


class Counting(LongWork[Count]):
    name = "count"
    doing = "they counted"

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._read = 0

    def begin(self, value: Count) -> Outcome[Count]:
        return Outcome(replace(value, state="running"))

    async def run(self, attempt: Attempt[Count]) -> Decide[Count]:
        async for found in self._objects.list("counted", attempt.value.prefix):
            digest = partial(self._objects.digest, "counted", found.key, on_read=self._count)
            await attempt.patiently(digest)
        return lambda count: Outcome(replace(count, state="succeeded", read=self._read))

    def progress(self) -> Progress[Count]:
        read = self._read
        return Progress(lambda count: replace(count, read=read))

    def failed(self, value: Count, failure: Failure) -> Outcome[Count]:
        return Outcome(replace(value, state="failed", reason=failure.message))

    def _count(self, more: int) -> None:
        self._read += more


# --- the service's own code ends

COUNTS = Collection("counts", indexes=(DUE, TURN))


class Bench:
    def __init__(self, documents: SqliteDocuments, objects: Objects, folder: Path) -> None:
        self.now, self.objects = 1_000, objects
        self.counts = Attempts(
            documents, COUNTS, Count, "version", lambda: None, now=lambda: self.now, open_states=("waiting", "running")
        )
        self.job = LongJob(self.counts, lambda: Counting(objects), Policy(patience=0, deaths=1), folder)
        self.revival = Revival(self.counts, asked)

    async def work(self) -> Count:
        await self.job.run(Envelope(source="s", type="t", subject="a/", project="p", data={}), "a/")
        return await self.count()

    async def count(self) -> Count:
        found = await self.counts.get("p", "a/")
        assert found is not None
        return found


@pytest.fixture
async def bench(tmp_path: Path, s3_server: S3Server) -> AsyncIterator[Bench]:
    objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
    await objects.ensure_bucket("counted")
    for number in range(3):
        await objects.put("counted", f"a/{number}", b"x" * 1000)
    documents = SqliteDocuments(tmp_path / "documents.db")
    await documents.open([COUNTS])
    bench = Bench(documents, objects, tmp_path)
    await bench.counts.add("p", "a/", asked(Count("p", "a/")), Cause("c"))
    yield bench
    await documents.close()
    await objects.close()


def test_it_is_short() -> None:
    text = Path(inspect.getfile(Count)).read_text()
    own = text.partition("own code begins")[2].partition("# --- the service's own code ends")[0]
    assert len([line for line in own.splitlines() if line.strip()]) < 60


async def test_it_counts(bench: Bench) -> None:
    assert await bench.work() == replace(Count("p", "a/"), state="succeeded", attempt=1, read=3000)


async def test_it_goes_on_after_a_stop_a_death_a_lost_job_and_a_refused_read(bench: Bench) -> None:
    digest, begun = bench.objects.digest, asyncio.Event()

    async def endless(*place: Any, **options: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    bench.objects.digest = endless  # type: ignore[method-assign]  # the fault
    working = asyncio.create_task(bench.work())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working

    assert await bench.counts.take("a/", lambda count, _: Outcome(count), Cause("c"), 8_000)
    with pytest.raises(Retry, match="another worker holds it"):
        await bench.work()
    bench.now += SILENT_MS
    assert await bench.revival.sweep() == 1

    async def gone(*place: Any, **options: Any) -> Any:
        raise NoSuchObject("somebody removed it")

    bench.objects.digest = gone  # type: ignore[method-assign]  # the fault
    with pytest.raises(Retry, match="somebody removed it"):
        await bench.work()
    bench.objects.digest = digest  # type: ignore[method-assign]  # healed
    done = await bench.work()
    assert (done.state, done.read, done.attempt) == ("succeeded", 3000, 4)
