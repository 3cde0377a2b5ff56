"""An audit finds what nobody needs and what is needed and gone, and a repair harms nothing that is being made."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import (
    ArchiveVersion,
    AuditView,
    DeleteVersions,
    DeletionPreview,
    GetAudit,
    GetFiles,
    GetHistory,
    SetAlias,
    StartAudit,
    VersionView,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import ConversionCreated, ImportSucceeded
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.shapes import Artifact, FileEntry, Location
from modelyard_runtime.clock import now_ms
from modelyard_store.documents import Equals, Query
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_version.handlers.audits import AuditHandlers
from modelyard_version.handlers.deletion import DeletionHandlers
from modelyard_version.handlers.reports import ReportEvents
from modelyard_version.repository.checks import audits_in
from modelyard_version.repository.versions import VERSIONS

from .conftest import Facts, Register

GRACE = 3_600_000
BUCKET = "artifacts"


@dataclass
class Yard:
    """A register over a real store; `later` moves its clock, so that objects grow old."""

    register: Register
    facts: Facts
    objects: Objects
    project: str = field(default_factory=lambda: f"p-{uuid4().hex[:8]}")
    later: int = 2 * GRACE
    behind: bool = False

    def __post_init__(self) -> None:
        register = self.register
        self.deletion = DeletionHandlers(register.versions, register.aliasing, self.objects, BUCKET, self.clock)
        self.reports = ReportEvents(register.versions, self.deletion, self.clock)
        checks = audits_in(register.documents, lambda: None, self.clock)
        self.auditing = AuditHandlers(
            register.versions, checks, self.objects, BUCKET, self.clock, grace_ms=GRACE, caught_up=self.caught_up
        )

    def clock(self) -> int:
        return now_ms() + self.later

    async def caught_up(self) -> bool:
        return not self.behind

    def context(self, **fields: Any) -> Any:
        return self.register.context(project=self.project, **fields)

    async def requested(self, name: str = "digits") -> str:
        model_id: str = await self.register.create(name, project=self.project)
        return model_id

    async def put(self, prefix: str, *names: str, bucket: str = BUCKET) -> tuple[FileEntry, ...]:
        files = []
        for name in names:
            etag = await self.objects.put(bucket, prefix + name, name.encode() * 10)
            sha256, size = await self.objects.digest(bucket, prefix + name)
            files.append(FileEntry(path=name, size=size, sha256=sha256, etag=etag))
        return tuple(files)

    async def artifact(self, prefix: str, *, bucket: str = BUCKET, **fields: Any) -> Artifact:
        files = await self.put(prefix, "model/config.json", "model/a.onnx", bucket=bucket)
        place = Location(bucket=bucket, prefix=prefix)
        artifact: Artifact = self.facts.artifact(location=place, files=files, **fields)
        return artifact

    def folder(self, model_id: str) -> str:
        return f"{self.project}/models/{model_id}/"

    async def imported(self, model_id: str, artifact: Artifact) -> None:
        fact: ImportSucceeded = self.facts.imported(model_id).model_copy(update={"artifact": artifact})
        await self.register.tell(self.reports.import_succeeded, fact, project=self.project)

    async def published(self, name: str = "digits") -> str:
        model_id = await self.requested(name)
        await self.imported(model_id, await self.artifact(f"{self.folder(model_id)}source/1/"))
        return model_id

    async def converted(self, model_id: str, conversion_id: str = "k-1") -> str:
        prefix = f"{self.folder(model_id)}variants/{conversion_id}/"
        made = await self.artifact(prefix, artifact_id=f"a-{conversion_id}", kind="conversion", target="onnx-fp16")
        fact = self.facts.converted(model_id, conversion_id).model_copy(update={"artifact": made})
        await self.register.tell(self.reports.conversion_succeeded, fact, project=self.project)
        return prefix

    async def start(self, repair: bool, key: str | None = None) -> AuditView:
        return await self.auditing.start(self.context(key=key), StartAudit(repair=repair))

    async def audit(self, repair: bool = False) -> AuditView:
        return await self.work(await self.start(repair))

    async def work(self, begun: AuditView) -> AuditView:
        await self.register.tell(self.auditing.work, AuditJob(audit_id=begun.audit_id), project=self.project)
        done = await self.auditing.get(self.context(), GetAudit(audit_id=begun.audit_id))
        assert isinstance(done, AuditView)
        return done

    async def keys(self, prefix: str = "") -> list[str]:
        whole = f"{self.project}/{prefix}"
        return [found.key[len(whole) :] async for found in self.objects.list(BUCKET, whole)]

    async def view(self, model_id: str) -> VersionView:
        view: VersionView = await self.register.view(model_id, project=self.project)
        return view

    async def preview(self, model_id: str, *, cascade: bool = False) -> DeletionPreview:
        return await self.deletion.preview(self.context(), DeleteVersions(model_id=model_id, cascade=cascade))


@pytest.fixture
async def yard(register: Register, facts: Facts, s3_server: Any) -> AsyncIterator[Yard]:
    objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
    for bucket in (BUCKET, "training"):
        await objects.ensure_bucket(bucket)
    yield Yard(register, facts, objects)
    await objects.close()


pytestmark = pytest.mark.servers


async def test_where_all_is_well_nothing_is_found(yard: Yard) -> None:
    model_id = await yard.published()
    await yard.converted(model_id)
    done = await yard.audit(repair=True)
    assert (done.state, done.repaired, done.objects, done.versions) == ("succeeded", True, 4, 1)
    assert (done.stray_objects, done.strays, done.incomplete) == (0, (), ())
    assert len(await yard.keys()) == 4


async def test_strays_are_named_and_with_repair_removed(yard: Yard) -> None:
    model_id = await yard.published()
    folder = yard.folder(model_id)
    await yard.put(f"{folder}source/0/", "model/a.onnx")
    await yard.put(f"{folder}source/1/", "model/extra.bin")
    await yard.put(f"{yard.project}/models/{uuid4()}/source/", "model/x")
    await yard.put(f"{yard.project}/models/{model_id}-x/", "y")
    await yard.put(f"{yard.project}/models/", "loose")
    await yard.put(f"{yard.project}/uploads/u/", "model/kept")
    found = await yard.audit()
    assert (found.stray_objects, found.repaired, len(found.strays)) == (5, False, 5)
    assert found.stray_bytes == 10 * sum(map(len, ("model/a.onnx", "model/extra.bin", "model/x", "y", "loose")))
    assert len(await yard.keys()) == 8
    mended = await yard.audit(repair=True)
    assert set(mended.strays) == set(found.strays)
    assert await yard.keys() == [
        f"models/{model_id}/source/1/model/a.onnx", f"models/{model_id}/source/1/model/config.json",
        "uploads/u/model/kept",
    ]  # fmt: skip
    assert (await yard.audit()).stray_objects == 0


async def test_what_is_archived_is_no_stray(yard: Yard) -> None:
    ids = sorted([await yard.published(name) for name in ("a", "b", "c")])
    archived = await yard.deletion.archive(yard.context(), ArchiveVersion(model_id=ids[1]))
    found = await yard.audit(repair=True)
    assert (found.stray_objects, found.objects, found.versions) == (0, 6, 3)
    await yard.objects.remove(BUCKET, f"{yard.folder(ids[1])}source/1/model/a.onnx")
    [damaged] = (await yard.audit()).incomplete
    assert (damaged.artifact_id, damaged.path) == (archived.artifacts[0].artifact_id, "model/a.onnx")


async def test_young_objects_and_work_under_way_are_left_alone(yard: Yard) -> None:
    publishing = await yard.requested()
    await yard.put(f"{yard.folder(publishing)}source/1/", "model/half")
    converting = await yard.published("other")
    created = ConversionCreated(conversion_id="k-9", model_id=converting, target="onnx-fp16", origin="request")
    await yard.register.tell(yard.reports.conversion_created, created, project=yard.project)
    await yard.put(f"{yard.folder(converting)}variants/attempt/", "model/half")
    assert (await yard.audit(repair=True)).stray_objects == 0
    yard.later = 0
    await yard.put(f"{yard.project}/models/{uuid4()}/", "young")
    assert (await yard.audit(repair=True)).stray_objects == 0
    yard.later = 2 * GRACE
    assert (await yard.audit()).stray_objects == 1


async def test_an_incomplete_conversion_is_taken_off(yard: Yard) -> None:
    model_id = await yard.published()
    prefix = await yard.converted(model_id)
    await yard.objects.remove(BUCKET, f"{prefix}model/a.onnx")
    found = await yard.audit()
    [damaged] = found.incomplete
    assert (damaged.artifact_id, damaged.path, damaged.reason) == ("a-k-1", "model/a.onnx", "missing")
    assert len((await yard.view(model_id)).artifacts) == 2
    await yard.register.said()
    mended = await yard.audit(repair=True)
    assert (mended.incomplete, mended.repaired) == (found.incomplete, True)
    view = await yard.view(model_id)
    assert (view.model_status, [artifact.kind for artifact in view.artifacts]) == ("published", ["source"])
    history = await yard.register.histories.history(yard.context(), GetHistory(model_id=model_id))
    assert (history.records[-1].action, history.records[-1].by) == ("artifact-removed", "alice")
    assert (await yard.audit(repair=True)).stray_objects == 1
    assert len(await yard.keys()) == 2


async def test_a_version_that_lost_its_own_files_fails_and_says_why(yard: Yard) -> None:
    model_id, whole = await yard.published(), await yard.published("whole")
    key = f"{yard.folder(model_id)}source/1/model/a.onnx"
    await yard.objects.put(BUCKET, key, b"short")
    await yard.register.said()
    mended = await yard.audit(repair=True)
    assert [(each.path, each.reason) for each in mended.incomplete] == [("model/a.onnx", "size")]
    view = await yard.view(model_id)
    assert view.model_status == "failed"
    assert view.failure is not None
    assert (view.failure["code"], view.failure["problems"][0]["file"]) == ("ModelArts.3084", "model/a.onnx")
    said = [message.type for message in await yard.register.said()]
    assert catalogue.VERSION_FAILED.subject in said
    assert (await yard.view(whole)).model_status == "published"
    again = await yard.audit(repair=True)
    assert (again.incomplete, again.stray_objects) == ((), 0)
    with pytest.raises(Failure, match="failed; only a published version"):
        await yard.register.reading.files(yard.context(), GetFiles(model_id=model_id))


async def test_a_version_without_any_object_is_found(yard: Yard) -> None:
    made = [await yard.published() for _ in range(3)]
    await yard.objects.remove_prefix(BUCKET, yard.folder(made[1]))
    done = await yard.audit()
    assert (len(done.incomplete), done.versions) == (2, 3)
    await yard.objects.remove_prefix(BUCKET, f"{yard.project}/models/")
    assert len((await yard.audit()).incomplete) == 6


async def test_what_is_held_by_reference_is_reported_and_never_repaired(yard: Yard) -> None:
    model_id = await yard.requested()
    place = f"{yard.project}/elsewhere/"
    await yard.imported(model_id, await yard.artifact(place, bucket="training", by_reference=True))
    assert (await yard.audit()).incomplete == ()
    await yard.put(place, "model/a.onnx", bucket="training")  # the same bytes are the same object
    await yard.objects.put("training", f"{place}model/a.onnx", b"other")
    done = await yard.audit(repair=True)
    assert [each.reason for each in done.incomplete] == ["changed"]
    assert (await yard.view(model_id)).model_status == "published"
    assert len([found async for found in yard.objects.list("training", place)]) == 2


async def test_imports_and_conversions_at_the_same_time_lose_nothing(yard: Yard) -> None:
    """Every object is older than the grace for this clock, so only what the register knows protects it."""
    for number in range(5):
        await yard.put(f"{yard.project}/models/{uuid4()}/source/1/", f"stray-{number}")

    async def bring(number: int) -> str:
        model_id = await yard.requested(f"m-{number}")
        await yard.imported(model_id, await yard.artifact(f"{yard.folder(model_id)}source/1/"))
        conversion_id = f"k-{number}"
        created = ConversionCreated(
            conversion_id=conversion_id, model_id=model_id, target="onnx-fp16", origin="request"
        )
        await yard.register.tell(yard.reports.conversion_created, created, project=yard.project)
        await yard.converted(model_id, conversion_id)
        if number % 4 == 0:
            await yard.deletion.delete(yard.context(), DeleteVersions(model_id=model_id))
        return model_id

    async def audit_over_and_over(stop: asyncio.Event) -> list[AuditView]:
        done = []
        while not stop.is_set():
            done.append(await yard.audit(repair=True))
        return done

    stop = asyncio.Event()
    auditing = asyncio.create_task(audit_over_and_over(stop))
    made: list[str] = []
    for start in range(0, 24, 4):
        made += await asyncio.gather(*(bring(number) for number in range(start, start + 4)))
    stop.set()
    audits = await auditing
    assert len(audits) > 1
    assert all(each.state == "succeeded" and each.incomplete == () for each in audits)
    kept = [model_id for number, model_id in enumerate(made) if number % 4]
    for model_id in kept:
        view = await yard.view(model_id)
        assert (view.model_status, len(view.artifacts)) == ("published", 2)
        assert len(await yard.keys(f"models/{model_id}/")) == 4
    assert (await yard.audit(repair=True)).incomplete == ()
    assert len(await yard.keys()) == 4 * len(kept)


async def test_a_repair_waits_until_everything_was_heard(yard: Yard) -> None:
    await yard.put(f"{yard.project}/models/{uuid4()}/", "stray")
    yard.behind = True
    assert (await yard.audit()).stray_objects == 1
    begun = await yard.start(repair=True)
    with pytest.raises(Retry, match="has not heard yet"):
        await yard.work(begun)
    assert len(await yard.keys()) == 1
    envelope = Envelope(source="modelyard/test", type="t", subject="s", project=yard.project, data={})
    with handling(Delivery(envelope, attempt=12, last=True), "version-audit"):
        done = await yard.work(begun)
    assert (done.state, done.repaired) == ("failed", False)


async def test_without_a_bucket_nothing_is_declared_lost(yard: Yard) -> None:
    model_id = await yard.published()
    yard.auditing = AuditHandlers(**{**vars(yard.auditing), "bucket": "no-such-bucket"})
    done = await yard.audit(repair=True)
    assert done.state == "failed"
    assert "no-such-bucket" in (done.reason or "")
    assert (await yard.view(model_id)).model_status == "published"


async def test_who_may_ask(yard: Yard) -> None:
    begun = await yard.start(repair=False, key="k")
    assert await yard.start(repair=False, key="k") == begun
    with pytest.raises(Failure, match="Idempotency-Key"):
        await yard.start(repair=True, key="k")
    with pytest.raises(Failure, match="no audit"):
        await yard.auditing.get(yard.register.context(project="other"), GetAudit(audit_id=begun.audit_id))


async def test_all_versions_are_walked_by_an_index(yard: Yard) -> None:
    made = [await yard.requested() for _ in range(7)]
    assert [version.model_id async for version in yard.register.versions.all_of(yard.project)] == sorted(made)
    query = Query(where=(Equals("project", yard.project),), limit=2, after=(made[0],))
    plan = await yard.register.documents.explain(VERSIONS, query)
    assert plan is not None
    assert not plan.endswith("+ sort")


async def test_a_preview_says_what_a_delete_would_do(yard: Yard) -> None:
    made = [await yard.published() for _ in range(3)]
    await yard.converted(made[0])
    by_reference = await yard.requested()
    await yard.imported(by_reference, await yard.artifact("elsewhere/", bucket="training", by_reference=True))
    champion = SetAlias(model_name="digits", alias="champion", model_version="0.0.2")
    await yard.register.aliasing.set_alias(yard.context(), champion)
    one = await yard.preview(made[0])
    assert ([each.model_id for each in one.versions], one.kept, one.objects) == ([made[0]], (), 4)
    assert (one.bytes, one.by_reference, one.more) == (580, (), False)
    whole = await yard.preview(made[0], cascade=True)
    assert {each.model_id for each in whole.versions} == {made[0], made[2], by_reference}
    assert [each.model_id for each in whole.kept] == [made[1]]
    assert "held by alias 'champion'" in whole.kept[0].error_message
    assert (whole.objects, whole.by_reference) == (6, (by_reference,))
    assert len(await yard.keys()) == 8
    report = await yard.deletion.delete(yard.context(), DeleteVersions(model_id=made[0], cascade=True))
    assert set(report.delete_success_list) == {each.model_id for each in whole.versions}
    with pytest.raises(Failure, match="no model"):
        await yard.preview(made[0])


async def test_a_preview_of_more_than_a_call_takes_says_so(yard: Yard) -> None:
    made = [await yard.requested() for _ in range(22)]
    whole = await yard.preview(made[0], cascade=True)
    assert (len(whole.versions), whole.more, whole.objects) == (20, True, 0)
