"""Every file is read again: a flipped byte, a missing object and a changed reference are found and named."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts.calls.version import DeleteVersions, GetVerification, GetVersion, VerificationView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import VerifyJob
from modelyard_contracts.shapes import FileEntry, Location
from modelyard_store.objects import Objects, ObjectSettings, ObjectStoreUnavailable
from modelyard_testkit.faults import Faults
from modelyard_version.domain.checks import MOST_BYTES, MOST_NAMED, Named
from modelyard_version.handlers.verifications import VerificationHandlers
from modelyard_version.repository.checks import verifications_in

from .conftest import Facts, Register


@dataclass
class Bench:
    """A register with a version of two files in a real store."""

    register: Register
    facts: Facts
    objects: Objects
    project: str = field(default_factory=lambda: f"p-{uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.faults = Faults("digest", error=ObjectStoreUnavailable)
        checks = verifications_in(self.register.documents, lambda: None, self.register.clock)
        self.verifying = VerificationHandlers(
            self.register.versions, checks, self.faults.before(self.objects), self.register.clock
        )

    async def version(self, bucket: str = "artifacts", **fields: Any) -> str:
        model_id: str = await self.register.create(project=self.project)
        place = Location(bucket=bucket, prefix=f"{self.project}/models/{model_id}/source/1/")
        files = []
        for name, data in (("a.onnx", b"a" * 70_000), ("b.bin", b"b" * 30_000)):
            etag = await self.objects.put(bucket, f"{place.prefix}model/{name}", data)
            sha256, size = await self.objects.digest(bucket, f"{place.prefix}model/{name}")
            files.append(FileEntry(path=f"model/{name}", size=size, sha256=sha256, etag=etag))
        fact = self.facts.imported(model_id)
        artifact = fact.artifact.model_copy(update={"location": place, "files": tuple(files), **fields})
        fact = fact.model_copy(update={"artifact": artifact})
        await self.register.tell(self.register.reports.import_succeeded, fact, project=self.project)
        return model_id

    def key(self, model_id: str, name: str) -> str:
        return f"{self.project}/models/{model_id}/source/1/model/{name}"

    async def start(self, model_id: str, key: str | None = None) -> VerificationView:
        context = self.register.context(project=self.project, key=key)
        return await self.verifying.start(context, GetVersion(model_id=model_id))

    async def work(self, begun: VerificationView) -> VerificationView:
        job = VerifyJob(verification_id=begun.verification_id)
        await self.register.tell(self.verifying.work, job, project=self.project)
        return await self.look(begun)

    async def look(self, begun: VerificationView) -> VerificationView:
        context = self.register.context(project=self.project)
        return await self.verifying.get(context, GetVerification(verification_id=begun.verification_id))

    async def verified(self, model_id: str) -> VerificationView:
        return await self.work(await self.start(model_id))


@pytest.fixture
async def bench(register: Register, facts: Facts, s3_server: Any) -> AsyncIterator[Bench]:
    objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
    for bucket in ("artifacts", "training"):
        await objects.ensure_bucket(bucket)
    yield Bench(register, facts, objects)
    await objects.close()


pytestmark = pytest.mark.servers


async def test_what_is_whole_is_intact(bench: Bench) -> None:
    begun = await bench.start(await bench.version())
    assert (begun.state, begun.intact, begun.checked_bytes, begun.total_bytes) == ("waiting", None, 0, 100_000)
    done = await bench.work(begun)
    assert (done.state, done.intact, done.damaged, done.checked_bytes) == ("succeeded", True, (), 100_000)
    assert done.finished_at is not None
    assert await bench.work(begun) == done


async def test_a_flipped_byte_is_found_and_named(bench: Bench) -> None:
    model_id = await bench.version()
    await bench.objects.put("artifacts", bench.key(model_id, "a.onnx"), b"a" * 69_999 + b"A")
    done = await bench.verified(model_id)
    assert (done.state, done.intact) == ("succeeded", False)
    [damaged] = done.damaged
    assert (damaged.artifact_id, damaged.path, damaged.reason) == ("a-source", "model/a.onnx", "digest")
    assert "its manifest says" in damaged.message


async def test_a_missing_and_a_shortened_file_too(bench: Bench) -> None:
    model_id = await bench.version()
    await bench.objects.put("artifacts", bench.key(model_id, "a.onnx"), b"a")
    await bench.objects.remove("artifacts", bench.key(model_id, "b.bin"))
    done = await bench.verified(model_id)
    assert [(each.path, each.reason) for each in done.damaged] == [("model/a.onnx", "size"), ("model/b.bin", "missing")]


async def test_a_changed_reference_is_one_even_with_the_same_bytes(bench: Bench) -> None:
    model_id = await bench.version("training", by_reference=True)
    assert (await bench.verified(model_id)).intact
    await bench.objects.put("training", bench.key(model_id, "b.bin"), b"B" * 30_000)
    [damaged] = (await bench.verified(model_id)).damaged
    assert (damaged.path, damaged.reason) == ("model/b.bin", "changed")


async def test_a_version_deleted_meanwhile_is_not_damaged(bench: Bench) -> None:
    model_id = await bench.version()
    begun = await bench.start(model_id)
    context = bench.register.context(project=bench.project)
    await bench.register.deletion.delete(context, DeleteVersions(model_id=model_id))
    done = await bench.work(begun)
    assert (done.state, done.intact, done.reason) == ("failed", None, "the version was deleted meanwhile")


async def test_a_store_that_is_away_is_asked_again_and_at_last_not(bench: Bench) -> None:
    begun = await bench.start(await bench.version())
    bench.faults.away = 2
    with pytest.raises(Retry, match="the store is away"):
        await bench.work(begun)
    assert (await bench.look(begun)).state == "running"
    bench.faults.away = 2
    envelope = Envelope(source="modelyard/test", type="t", subject="s", project=bench.project, data={})
    with handling(Delivery(envelope, attempt=12, last=True), "version-verify"):
        done = await bench.work(begun)
    assert (done.state, done.intact) == ("failed", None)
    assert done.reason == "it was tried 12 times: the store is away"


async def test_two_workers_do_it_once(bench: Bench) -> None:
    begun = await bench.start(await bench.version())
    first, second = await asyncio.gather(bench.work(begun), bench.work(begun), return_exceptions=True)
    outcomes = [first, second]
    assert sum(isinstance(outcome, Retry) for outcome in outcomes) == 1
    assert (await bench.look(begun)).intact


async def test_who_may_ask(bench: Bench) -> None:
    model_id = await bench.version()
    begun = await bench.start(model_id, key="k")
    assert await bench.start(model_id, key="k") == begun
    with pytest.raises(Failure, match="Idempotency-Key"):
        await bench.start(await bench.version(), key="k")
    other = bench.register.context(project="other")
    with pytest.raises(Failure, match="no verification"):
        await bench.verifying.get(other, GetVerification(verification_id=begun.verification_id))
    with pytest.raises(Failure, match="no model"):
        await bench.verifying.start(other, GetVersion(model_id=model_id))
    with pytest.raises(Failure, match="publishing"):
        await bench.start(await bench.register.create(project=bench.project))


def test_names_are_counted_and_bounded() -> None:
    short = Named(f"k{number}" for number in range(MOST_NAMED + 5))
    assert (len(short), short.total) == (MOST_NAMED, MOST_NAMED + 5)
    long = Named("x" * 10_000 for _ in range(100))
    assert len(long) * 10_000 <= MOST_BYTES
    assert long.total == 100
