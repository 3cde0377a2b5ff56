"""The whole service on real NATS, with its own permissions, and a real S3; the version service is played."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls import imports, version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted, VersionDeleted, VersionRequested
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Location
from modelyard_import.bootstrap import build
from modelyard_import.settings import ImportSettings
from modelyard_runtime.process import supervise
from modelyard_testkit import models
from modelyard_testkit.service_stack import ServiceStack

pytestmark = pytest.mark.servers


class Versions:
    """As the version service: the same key makes the same version, and says so once."""

    def __init__(self, stack: ServiceStack) -> None:
        self.stack = stack
        self.keys: list[str | None] = []

    async def create(self, context: CallContext, request: version.CreateVersion) -> version.VersionCreated:
        new = context.idempotency_key not in self.keys
        self.keys.append(context.idempotency_key)
        model_id = derived_id(context.project, str(context.idempotency_key))
        fact = VersionRequested(
            model_id=model_id,
            model_name=request.model_name,
            model_version="0.0.1",
            source=request.source,
            destination=Location(bucket="artifacts", prefix=f"{context.project}/models/{model_id}/source/"),
        )
        if new:
            await self.stack.say(catalogue.VERSION_REQUESTED, model_id, fact, correlationid=context.correlationid)
        return version.VersionCreated(model_id=model_id, model_name=request.model_name, model_version="0.0.1")


@pytest.fixture
async def versions(service_stack: ServiceStack) -> Versions:
    played = Versions(service_stack)
    await service_stack.answer(version.CREATE, played.create)
    return played


@pytest.fixture
async def stack(service_stack: ServiceStack, versions: Versions) -> AsyncIterator[ServiceStack]:
    settings = ImportSettings(**service_stack.settings("import"))
    async with supervise(await build(settings)) as running:
        assert {name: await check() for name, check in running.service.checks.items()} == dict.fromkeys(
            ("nats", "durables", "documents", "objects")
        )
        yield service_stack


async def until(stack: ServiceStack, event: catalogue.Event[Any]) -> Envelope:
    return await stack.next_said(lambda said: said.type == event.subject)


async def test_from_a_training_event_to_an_import_and_its_end(
    stack: ServiceStack, versions: Versions, tmp_path: Path
) -> None:
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
    await stack.say(catalogue.TRAINING_COMPLETED, "j1", fact, correlationid="c")
    said = await until(stack, catalogue.IMPORT_SUCCEEDED)
    assert said.correlationid == "c"
    assert said.data["training"]["job_version"] == "V001"
    view = await stack.ask(imports.GET, imports.GetImport(model_id=said.subject))
    assert view.state == "succeeded"
    again = imports.CompleteTraining(event_id="another", completed=fact)
    run = await stack.ask(imports.COMPLETE_TRAINING, again)
    assert [made["model_id"] for made in run.imports] == [said.subject]
    assert len(versions.keys) == 1

    gone = VersionDeleted(model_id=said.subject, model_name="digits", model_version="0.0.1")
    await stack.say(catalogue.VERSION_DELETED, said.subject, gone)
    assert (await until(stack, catalogue.VERSION_DELETED)).subject == said.subject


async def test_a_run_reported_by_call_waits_for_the_version_service(stack: ServiceStack) -> None:
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
    failed = await until(stack, catalogue.IMPORT_FAILED)
    assert failed.data["code"] == "ModelArts.3017"
    assert f"training/{stack.project}/nothing/" in failed.data["reason"]


async def test_the_calls_about_uploads_runs_and_rules_are_answered(stack: ServiceStack) -> None:
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
