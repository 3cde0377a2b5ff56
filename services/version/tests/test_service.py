"""The whole service on real NATS, with its own permissions, and a real S3; the other services are played."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls import templates
from modelyard_contracts.calls import version as calls
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.events import ImportSucceeded, VersionRequested
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import FileEntry, Location, StorageSource, TemplateInput, TemplateSource
from modelyard_runtime.process import supervise
from modelyard_store.objects import Objects
from modelyard_testkit.service_stack import ServiceStack
from modelyard_version.bootstrap import build
from modelyard_version.settings import VersionSettings

from .conftest import Facts

pytestmark = pytest.mark.servers


@pytest.fixture
async def stack(service_stack: ServiceStack) -> AsyncIterator[ServiceStack]:
    settings = VersionSettings(**service_stack.settings("version"))
    async with supervise(await build(settings)) as running:
        assert {name: await check() for name, check in running.service.checks.items()} == {
            "nats": None,
            "durables": None,
            "documents": None,
            "objects": None,
        }
        yield service_stack


async def reached(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - what another service does has no event to wait for
        await asyncio.sleep(0.01)


def download(url: str) -> bytes:
    with urlopen(url) as response:
        return bytes(response.read())


async def test_from_request_to_deletion(stack: ServiceStack, facts: Facts) -> None:
    source = StorageSource(location=Location(bucket="training", prefix="jobs/1/"))
    created = await stack.ask(calls.CREATE, calls.CreateVersion(model_name="digits", source=source))
    model_id = created.model_id
    requested = await stack.next_said()
    assert requested.type == catalogue.VERSION_REQUESTED.subject
    place = VersionRequested.model_validate(requested.data).destination

    await stack.objects.put(place.bucket, f"{place.prefix}model/digits.onnx", b"model bytes")
    file = FileEntry(path="model/digits.onnx", size=11, sha256="ab" * 32)
    fact = facts.imported(model_id)
    artifact = fact.artifact.model_copy(update={"location": place, "files": (file,)})
    await imported(stack, fact.model_copy(update={"artifact": artifact}))
    assert (await stack.next_said()).type == catalogue.IMPORT_SUCCEEDED.subject
    published = await stack.next_said()
    assert (published.type, published.correlationid) == (catalogue.VERSION_PUBLISHED.subject, "c-9")

    view = await stack.ask(calls.GET, calls.GetVersion(model_id=model_id))
    assert (view.model_status, view.model_version) == ("published", "0.0.1")
    page = await stack.ask(calls.LIST, calls.ListVersions(model_name="digit"))
    assert [row.model_id for row in page.models] == [model_id]
    graph = await stack.ask(calls.LINEAGE, calls.GetVersion(model_id=model_id))
    assert {node.kind for node in graph.nodes} >= {"training-job", "version", "artifact"}
    links = await stack.ask(calls.FILES, calls.GetFiles(model_id=model_id))
    assert await asyncio.to_thread(download, links.files[0].url) == b"model bytes"

    await stack.ask(calls.SET_ALIAS, calls.SetAlias(model_name="digits", alias="prod", model_version="0.0.1"))
    listed = await stack.ask(calls.LIST_ALIASES, calls.ListAliases(model_name="digits"))
    assert [alias.model_id for alias in listed.aliases] == [model_id]
    report = await stack.ask(calls.DELETE, calls.DeleteVersions(model_id=model_id))
    assert report.delete_failed_list[0].error_code == "ModelArts.3009"
    await stack.ask(calls.SET_ALIAS, calls.SetAlias(model_name="digits", alias="prod"))
    at = calls.GetAlias(model_name="digits", alias="prod", at=listed.aliases[0].moved_at)
    assert (await stack.ask(calls.GET_ALIAS, at)).model_id == model_id
    updated = await stack.ask(calls.UPDATE, calls.UpdateVersion(model_id=model_id, labels=("标签",)))
    assert updated.labels == ("标签",)
    page = await stack.ask(calls.LIST, calls.ListVersions(label="标签"))
    assert [row.model_id for row in page.models] == [model_id]
    await put_away_and_deleted(stack, model_id)

    said = [(await stack.next_said()).type for _ in range(7)]
    changes = ("aliased", "aliased", "changed", "archived", "restored", "archived", "deleted")
    assert said == [f"modelyard.evt.version.{change}.v1" for change in changes]
    await reached(lambda: nothing_below(stack.objects, place.bucket, f"{stack.project}/"))
    with pytest.raises(Failure, match="no model"):
        await stack.ask(calls.GET, calls.GetVersion(model_id=model_id))
    history = await stack.ask(calls.HISTORY, calls.GetHistory(model_id=model_id))
    assert [(record.action, record.by) for record in history.records] == [
        ("created", "alice"), ("published", "service:import"), ("aliased", "alice"), ("released", "alice"),
        ("updated", "alice"), ("archived", "alice"), ("restored", "alice"), ("archived", "alice"), ("deleted", "alice"),
    ]  # fmt: skip
    assert history.records[1].correlationid == "c-9"
    verdict = await stack.ask(calls.VERIFY_HISTORY, calls.GetVersion(model_id=model_id))
    assert (verdict.intact, verdict.records) == (True, 9)
    moves = await stack.ask(calls.ALIAS_HISTORY, calls.GetAlias(model_name="digits", alias="prod"))
    assert [move.model_id for move in moves.moves] == [None, model_id]


async def test_what_comes_for_an_unknown_version_is_removed(stack: ServiceStack, facts: Facts) -> None:
    model_id = str(uuid4())
    await stack.objects.put("artifacts", f"{stack.project}/models/{model_id}/source/model/late.onnx", b"late")
    await imported(stack, facts.imported(model_id))
    await reached(lambda: nothing_below(stack.objects, "artifacts", f"{stack.project}/"))


async def test_templates_checks_and_audits_over_the_wire(stack: ServiceStack, facts: Facts) -> None:
    place = TemplateInput(input_id="model_folder", location=Location(bucket="training", prefix="jobs/1/"))
    source = TemplateSource(template_id="onnx", template_inputs=(place,))
    created = await stack.ask(calls.CREATE, calls.CreateVersion(model_name="digits", source=source))
    requested = VersionRequested.model_validate((await stack.next_said()).data)
    assert requested.assembly is not None
    key = f"{requested.destination.prefix}1/model/digits.onnx"
    await stack.objects.put("artifacts", key, b"model bytes")
    sha256, size = await stack.objects.digest("artifacts", key)
    fact = facts.imported(created.model_id)
    update = {
        "location": Location(bucket="artifacts", prefix=f"{requested.destination.prefix}1/"),
        "files": (FileEntry(path="model/digits.onnx", size=size, sha256=sha256),),
    }
    artifact = fact.artifact.model_copy(update=update)
    await imported(stack, fact.model_copy(update={"artifact": artifact}))

    async def published() -> bool:
        view = await stack.ask(calls.GET, calls.GetVersion(model_id=created.model_id))
        return bool(view.model_status == "published")

    await reached(published)
    await stack.objects.put("artifacts", key, b"model Bytes")
    verification = await stack.ask(calls.VERIFY, calls.GetVersion(model_id=created.model_id))
    wanted = calls.GetVerification(verification_id=verification.verification_id)
    done = await ended(stack, calls.GET_VERIFICATION, wanted)
    assert (done.intact, [each.reason for each in done.damaged]) == (False, ["digest"])
    audit = await stack.ask(calls.AUDIT, calls.StartAudit(repair=True))
    looked = await ended(stack, calls.GET_AUDIT, calls.GetAudit(audit_id=audit.audit_id))
    assert (looked.state, looked.objects, looked.stray_objects) == ("succeeded", 1, 0)
    traced = await stack.ask(calls.TRACE, calls.TraceLineage(model_name="digits"))
    assert {"template", "version", "artifact"} <= {node.kind for node in traced.nodes}
    preview = await stack.ask(calls.PREVIEW_DELETION, calls.DeleteVersions(model_id=created.model_id))
    assert (preview.objects, preview.bytes) == (1, 11)
    assert (await stack.ask(templates.LIST_TEMPLATES, templates.ListTemplates())).total_count >= 19
    assert (await stack.ask(templates.LIST_MODES, Nothing())).modes
    paged = await stack.ask(templates.LIST_RUNTIMES, templates.ListRuntimes(limit=5, offset=1))
    assert (paged.count, paged.total_count > 6) == (5, True)
    assert [name for engine in paged.engine_runtimes for name in engine.runtimes] == [
        each.runtime for each in paged.runtimes
    ]


async def ended(stack: ServiceStack, call: Any, request: Any) -> Any:
    async def done() -> bool:
        return (await stack.ask(call, request)).state in ("succeeded", "failed")

    await reached(done)
    return await stack.ask(call, request)


async def put_away_and_deleted(stack: ServiceStack, model_id: str) -> None:
    assert (await stack.ask(calls.ARCHIVE, calls.ArchiveVersion(model_id=model_id))).archived_at
    assert (await stack.ask(calls.RESTORE, calls.RestoreVersion(model_id=model_id))).archived_at is None
    report = await stack.ask(calls.DELETE, calls.DeleteVersions(model_id=model_id))
    assert report.delete_success_list == (model_id,)
    assert report.expires_at
    assert not await nothing_below(stack.objects, "artifacts", f"{stack.project}/")
    report = await stack.ask(calls.DELETE, calls.DeleteVersions(model_id=model_id, purge=True))
    assert report.delete_success_list == (model_id,)


async def imported(stack: ServiceStack, fact: ImportSucceeded) -> None:
    await stack.say(catalogue.IMPORT_SUCCEEDED, fact.import_id, fact, correlationid="c-9")


async def nothing_below(objects: Objects, bucket: str, prefix: str) -> bool:
    return not [found async for found in objects.list(bucket, prefix)]
