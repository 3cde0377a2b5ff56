"""The whole service on real NATS, with its own permissions, and a real S3; the other services are played."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from modelyard_bus.calls import CallClient
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts import catalogue
from modelyard_contracts.calls import templates
from modelyard_contracts.calls import version as calls
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionRequested
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import FileEntry, Location, Role, StorageSource, TemplateInput, TemplateSource
from modelyard_runtime.process import supervise
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_store.opening import open_documents
from modelyard_version.bootstrap import build
from modelyard_version.repository.versions import COLLECTIONS, VersionRepository
from modelyard_version.settings import VersionSettings

pytestmark = pytest.mark.servers


@dataclass
class Yard:
    gateway: Bus
    importer: Bus
    objects: Objects
    project: str
    heard: AsyncIterator[Envelope]
    document_url: str

    async def ask(self, call: Any, request: Any) -> Any:
        context = CallContext(project=self.project, actor="alice", role=Role.WRITER, correlationid="c-1")
        return await CallClient(self.gateway)(call, context, request)

    async def next_said(self) -> Envelope:
        """The next event of this project: other tests share the server."""
        async for envelope in self.heard:
            if envelope.project == self.project:
                return envelope
        raise AssertionError("the stream of events ended")


@pytest.fixture
async def yard(tmp_path: Path, nats_server: Any, s3_server: Any) -> AsyncIterator[Yard]:
    async with AsyncExitStack() as stack:

        async def connect(identity: str) -> Bus:
            password = nats_server.passwords[identity]
            bus = await Bus.connect(BusSettings(nats_server.url, identity, identity, password))
            stack.push_async_callback(bus.close)
            return bus

        objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
        stack.push_async_callback(objects.close)
        await objects.ensure_bucket("artifacts")
        await (await connect("operator")).declare()
        settings = VersionSettings(
            nats_url=nats_server.url,
            nats_user="version",
            nats_password=nats_server.passwords["version"],
            document_url=f"sqlite:///{tmp_path}/version.db",
            s3_endpoint=s3_server.endpoint,
            s3_access_key=s3_server.access_key,
            s3_secret_key=s3_server.secret_key,
        )
        gateway, importer = await connect("gateway"), await connect("import")
        running = await stack.enter_async_context(supervise(await build(settings)))
        assert {name: await check() for name, check in running.service.checks.items()} == {
            "nats": None,
            "documents": None,
            "objects": None,
        }
        heard = await stack.enter_async_context(aclosing(gateway.watch_events(since=datetime.now(UTC))))
        yield Yard(gateway, importer, objects, f"p-{uuid4().hex[:8]}", heard, settings.document_url)


async def reached(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - what another service does has no event to wait for
        await asyncio.sleep(0.01)


def download(url: str) -> bytes:
    with urlopen(url) as response:
        return bytes(response.read())


async def test_from_request_to_deletion(yard: Yard, facts: Any) -> None:
    source = StorageSource(location=Location(bucket="training", prefix="jobs/1/"))
    created = await yard.ask(calls.CREATE, calls.CreateVersion(model_name="digits", source=source))
    model_id = created.model_id
    requested = await yard.next_said()
    assert requested.type == catalogue.VERSION_REQUESTED.subject
    place = VersionRequested.model_validate(requested.data).destination

    await yard.objects.put(place.bucket, f"{place.prefix}model/digits.onnx", b"model bytes")
    file = FileEntry(path="model/digits.onnx", size=11, sha256="ab" * 32)
    fact = facts.imported(model_id)
    artifact = fact.artifact.model_copy(update={"location": place, "files": (file,)})
    await say(yard.importer, yard.project, catalogue.IMPORT_SUCCEEDED, fact.model_copy(update={"artifact": artifact}))
    assert (await yard.next_said()).type == catalogue.IMPORT_SUCCEEDED.subject
    published = await yard.next_said()
    assert (published.type, published.correlationid) == (catalogue.VERSION_PUBLISHED.subject, "c-9")

    view = await yard.ask(calls.GET, calls.GetVersion(model_id=model_id))
    assert (view.model_status, view.model_version) == ("published", "0.0.1")
    page = await yard.ask(calls.LIST, calls.ListVersions(model_name="digit"))
    assert [row.model_id for row in page.models] == [model_id]
    graph = await yard.ask(calls.LINEAGE, calls.GetVersion(model_id=model_id))
    assert {node.kind for node in graph.nodes} >= {"training-job", "version", "artifact"}
    links = await yard.ask(calls.FILES, calls.GetFiles(model_id=model_id))
    assert await asyncio.to_thread(download, links.files[0].url) == b"model bytes"

    await yard.ask(calls.SET_ALIAS, calls.SetAlias(model_name="digits", alias="prod", model_version="0.0.1"))
    listed = await yard.ask(calls.LIST_ALIASES, calls.ListAliases(model_name="digits"))
    assert [alias.model_id for alias in listed.aliases] == [model_id]
    report = await yard.ask(calls.DELETE, calls.DeleteVersions(model_id=model_id))
    assert report.delete_failed_list[0].error_code == "ModelArts.3009"
    await yard.ask(calls.SET_ALIAS, calls.SetAlias(model_name="digits", alias="prod"))
    at = calls.GetAlias(model_name="digits", alias="prod", at=listed.aliases[0].moved_at)
    assert (await yard.ask(calls.GET_ALIAS, at)).model_id == model_id
    updated = await yard.ask(calls.UPDATE, calls.UpdateVersion(model_id=model_id, labels=("标签",)))
    assert updated.labels == ("标签",)
    page = await yard.ask(calls.LIST, calls.ListVersions(label="标签"))
    assert [row.model_id for row in page.models] == [model_id]
    report = await yard.ask(calls.DELETE, calls.DeleteVersions(model_id=model_id))
    assert report.delete_success_list == (model_id,)

    said = [(await yard.next_said()).type for _ in range(3)]
    assert said == [catalogue.VERSION_ALIASED.subject] * 2 + [catalogue.VERSION_DELETED.subject]
    await reached(lambda: nothing_below(yard.objects, place.bucket, f"{yard.project}/"))
    await no_tombstone_left(yard.document_url, model_id)
    with pytest.raises(Failure, match="no model"):
        await yard.ask(calls.GET, calls.GetVersion(model_id=model_id))
    history = await yard.ask(calls.HISTORY, calls.GetHistory(model_id=model_id))
    assert [(record.action, record.by) for record in history.records] == [
        ("created", "alice"), ("published", "service:import"), ("aliased", "alice"), ("released", "alice"),
        ("updated", "alice"), ("deleted", "alice"),
    ]  # fmt: skip
    assert history.records[1].correlationid == "c-9"
    verdict = await yard.ask(calls.VERIFY_HISTORY, calls.GetVersion(model_id=model_id))
    assert (verdict.intact, verdict.records) == (True, 6)
    moves = await yard.ask(calls.ALIAS_HISTORY, calls.GetAlias(model_name="digits", alias="prod"))
    assert [move.model_id for move in moves.moves] == [None, model_id]


async def test_what_comes_for_an_unknown_version_is_removed(yard: Yard, facts: Any) -> None:
    model_id = str(uuid4())
    await yard.objects.put("artifacts", f"{yard.project}/models/{model_id}/source/model/late.onnx", b"late")
    await say(yard.importer, yard.project, catalogue.IMPORT_SUCCEEDED, facts.imported(model_id))
    await reached(lambda: nothing_below(yard.objects, "artifacts", f"{yard.project}/"))


async def test_templates_checks_and_audits_over_the_wire(yard: Yard, facts: Any) -> None:
    place = TemplateInput(input_id="model_folder", location=Location(bucket="training", prefix="jobs/1/"))
    source = TemplateSource(template_id="onnx", template_inputs=(place,))
    created = await yard.ask(calls.CREATE, calls.CreateVersion(model_name="digits", source=source))
    requested = VersionRequested.model_validate((await yard.next_said()).data)
    assert requested.assembly is not None
    key = f"{requested.destination.prefix}1/model/digits.onnx"
    await yard.objects.put("artifacts", key, b"model bytes")
    sha256, size = await yard.objects.digest("artifacts", key)
    fact = facts.imported(created.model_id)
    update = {
        "location": Location(bucket="artifacts", prefix=f"{requested.destination.prefix}1/"),
        "files": (FileEntry(path="model/digits.onnx", size=size, sha256=sha256),),
    }
    artifact = fact.artifact.model_copy(update=update)
    await say(yard.importer, yard.project, catalogue.IMPORT_SUCCEEDED, fact.model_copy(update={"artifact": artifact}))

    async def published() -> bool:
        view = await yard.ask(calls.GET, calls.GetVersion(model_id=created.model_id))
        return bool(view.model_status == "published")

    await reached(published)
    await yard.objects.put("artifacts", key, b"model Bytes")
    verification = await yard.ask(calls.VERIFY, calls.GetVersion(model_id=created.model_id))
    wanted = calls.GetVerification(verification_id=verification.verification_id)
    done = await ended(yard, calls.GET_VERIFICATION, wanted)
    assert (done.intact, [each.reason for each in done.damaged]) == (False, ["digest"])
    audit = await yard.ask(calls.AUDIT, calls.StartAudit(repair=True))
    looked = await ended(yard, calls.GET_AUDIT, calls.GetAudit(audit_id=audit.audit_id))
    assert (looked.state, looked.objects, looked.stray_objects) == ("succeeded", 1, 0)
    traced = await yard.ask(calls.TRACE, calls.TraceLineage(model_name="digits"))
    assert {"template", "version", "artifact"} <= {node.kind for node in traced.nodes}
    preview = await yard.ask(calls.PREVIEW_DELETION, calls.DeleteVersions(model_id=created.model_id))
    assert (preview.objects, preview.bytes) == (1, 11)
    assert (await yard.ask(templates.LIST_TEMPLATES, templates.ListTemplates())).total_count >= 19
    assert (await yard.ask(templates.LIST_MODES, Nothing())).modes
    assert (await yard.ask(templates.LIST_RUNTIMES, templates.ListRuntimes())).runtimes


async def ended(yard: Yard, call: Any, request: Any) -> Any:
    async def done() -> bool:
        return (await yard.ask(call, request)).state in ("succeeded", "failed")

    await reached(done)
    return await yard.ask(call, request)


async def say(bus: Bus, project: str, event: Any, fact: Any) -> None:
    envelope = Envelope(
        source="modelyard/import",
        type=event.subject,
        subject=fact.import_id,
        project=project,
        correlationid="c-9",
        data=fact.model_dump(mode="json"),
    )
    await bus.publish(event.subject, envelope)


async def no_tombstone_left(document_url: str, model_id: str) -> None:
    documents = open_documents(document_url)
    await documents.open(COLLECTIONS)
    versions = VersionRepository(documents, lambda: None)

    async def gone() -> bool:
        return await versions.any(model_id) is None

    await reached(gone)
    await documents.close()


async def nothing_below(objects: Objects, bucket: str, prefix: str) -> bool:
    return not [found async for found in objects.list(bucket, prefix)]
