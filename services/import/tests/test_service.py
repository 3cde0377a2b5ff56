"""The whole service on real NATS, with its own permissions, and a real S3; the version service is played."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_contracts import catalogue
from modelyard_contracts.calls import imports, version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted, VersionDeleted, VersionRequested
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Location, Role
from modelyard_import.bootstrap import build
from modelyard_import.settings import ImportSettings
from modelyard_runtime.process import supervise
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_testkit import models

pytestmark = pytest.mark.servers


class Versions:
    """As the version service: the same key makes the same version, and says so once."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.keys: list[str | None] = []

    async def create(self, context: CallContext, request: version.CreateVersion) -> version.VersionCreated:
        self.keys.append(context.idempotency_key)
        model_id = derived_id(context.project, str(context.idempotency_key))
        fact = VersionRequested(
            model_id=model_id,
            model_name=request.model_name,
            model_version="0.0.1",
            source=request.source,
            destination=Location(bucket="artifacts", prefix=f"{context.project}/models/{model_id}/source/"),
        )
        await say(self.bus, context.project, catalogue.VERSION_REQUESTED, model_id, fact)
        return version.VersionCreated(model_id=model_id, model_name=request.model_name, model_version="0.0.1")


async def say(bus: Bus, project: str, event: Any, about: str, fact: Any) -> None:
    data = fact.model_dump(mode="json", exclude_none=True)
    identifier = derived_id(project, event.subject, about)
    envelope = Envelope(
        id=identifier, source="test", type=event.subject, subject=about, project=project, correlationid="c", data=data
    )
    await bus.publish(event.subject, envelope)


@dataclass
class Stack:
    gateway: Bus
    training: Bus
    versions: Versions
    objects: Objects
    project: str
    heard: AsyncIterator[Envelope]

    async def ask(self, call: Any, request: Any) -> Any:
        context = CallContext(project=self.project, actor="alice", role=Role.WRITER, correlationid="c")
        return await CallClient(self.gateway)(call, context, request)

    async def until(self, subject: str) -> Envelope:
        async for envelope in self.heard:
            if envelope.project == self.project and envelope.type == subject:
                return envelope
        raise AssertionError("the stream of events ended")


@pytest.fixture
async def stack(tmp_path: Path, nats_server: Any, s3_server: Any) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as exits:

        async def connect(identity: str) -> Bus:
            password = nats_server.passwords[identity]
            bus = await Bus.connect(BusSettings(nats_server.url, identity, identity, password))
            exits.push_async_callback(bus.close)
            return bus

        objects = Objects.connect(ObjectSettings(s3_server.endpoint, s3_server.access_key, s3_server.secret_key))
        exits.push_async_callback(objects.close)
        for bucket in ("artifacts", "training"):
            await objects.ensure_bucket(bucket)
        await (await connect("operator")).declare()
        settings = ImportSettings(
            nats_url=nats_server.url,
            nats_user="import",
            nats_password=nats_server.passwords["import"],
            document_url=f"sqlite:///{tmp_path}/import.db",
            s3_endpoint=s3_server.endpoint,
            s3_access_key=s3_server.access_key,
            s3_secret_key=s3_server.secret_key,
        )
        versions = Versions(await connect("version"))
        server = CallServer(versions.bus, "version")
        server.answer(version.CREATE, versions.create)
        await server.start()
        exits.push_async_callback(server.stop)
        gateway, training = await connect("gateway"), await connect("training")
        running = await exits.enter_async_context(supervise(await build(settings)))
        assert {name: await check() for name, check in running.service.checks.items()} == dict.fromkeys(
            ("nats", "documents", "objects")
        )
        heard = gateway.watch_events(since=datetime.now(UTC))
        yield Stack(gateway, training, versions, objects, f"p-{uuid4().hex[:8]}", heard)


async def test_from_a_training_event_to_an_import_and_its_end(stack: Stack, tmp_path: Path) -> None:
    folder = models.package(tmp_path / "package", calibration=2)
    prefix = f"{stack.project}/V001/"
    for path in sorted(folder.rglob("*.*")):
        await stack.objects.put("training", prefix + path.relative_to(folder).as_posix(), path.read_bytes())
    rule = imports.CreateRule(name="all", job_name="digits-*", min_metrics={"accuracy": 0.9}, model_name="digits")
    await stack.ask(imports.CREATE_RULE, rule)
    fact = TrainingCompleted(
        job_id="j1",
        job_name="digits-1",
        job_version="V001",
        status="completed",
        output=Location(bucket="training", prefix=prefix),
        metrics={"accuracy": 0.95},
    )
    await say(stack.training, stack.project, catalogue.TRAINING_COMPLETED, "j1", fact)
    said = await stack.until(catalogue.IMPORT_SUCCEEDED.subject)
    assert said.correlationid == "c"
    assert said.data["training"]["job_version"] == "V001"
    view = await stack.ask(imports.GET, imports.GetImport(model_id=said.subject))
    assert view.state == "succeeded"
    again = imports.CompleteTraining(event_id="another", completed=fact)
    run = await stack.ask(imports.COMPLETE_TRAINING, again)
    assert [made["model_id"] for made in run.imports] == [said.subject]
    assert len(stack.versions.keys) == 1

    gone = VersionDeleted(model_id=said.subject, model_name="digits", model_version="0.0.1")
    await say(stack.versions.bus, stack.project, catalogue.VERSION_DELETED, said.subject, gone)
    assert (await stack.until(catalogue.VERSION_DELETED.subject)).subject == said.subject


async def test_a_run_reported_by_call_waits_for_the_version_service(stack: Stack) -> None:
    rule = imports.CreateRule(name="all", job_name="*", model_name="digits")
    await stack.ask(imports.CREATE_RULE, rule)
    fact = TrainingCompleted(
        job_id="j2",
        job_name="empty",
        job_version="V001",
        status="completed",
        output=Location(bucket="training", prefix=f"{stack.project}/nothing/"),
    )
    run = await stack.ask(imports.COMPLETE_TRAINING, imports.CompleteTraining(event_id="e", completed=fact))
    assert run.status == "completed"
    failed = await stack.until(catalogue.IMPORT_FAILED.subject)
    assert failed.data["code"] == "ModelArts.3017"
    assert f"training/{stack.project}/nothing/" in failed.data["reason"]


async def test_the_calls_about_uploads_runs_and_rules_are_answered(stack: Stack) -> None:
    ticket = await stack.ask(imports.BEGIN_UPLOAD, imports.BeginUpload(files=(imports.UploadFile(path="a", size=1),)))
    asked = imports.GetUpload(upload_id=ticket.upload_id)
    resumed = await stack.ask(imports.RESUME_UPLOAD, asked)
    assert (resumed.state, sorted(resumed.files[0].missing)) == ("open", [1])
    keep = imports.KeepUpload(upload_id=ticket.upload_id, holder="dataset-1")
    assert (await stack.ask(imports.KEEP_UPLOAD, keep)).upload_id == ticket.upload_id
    fact = TrainingCompleted(
        job_id="j3",
        job_name="digits-nightly",
        job_version="V002",
        status="failed",
        output=Location(bucket="training", prefix=f"{stack.project}/nothing/"),
    )
    await stack.ask(imports.COMPLETE_TRAINING, imports.CompleteTraining(event_id="e", completed=fact))
    runs = await stack.ask(imports.LIST_TRAINING_JOBS, imports.ListTrainingJobs(job_name="digits-*", status="failed"))
    assert [run.training.job_version for run in runs.training_jobs] == ["V002"]
    tried = imports.DryRunRule(name="n", job_name="digits-*", model_name="digits")
    found = await stack.ask(imports.DRY_RUN_RULE, tried)
    assert [(verdict.taken, verdict.reason) for verdict in found.verdicts] == [(False, "the run failed")]
