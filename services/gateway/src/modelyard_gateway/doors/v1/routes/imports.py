"""Ways in: uploads, training jobs and the rules that turn their events into versions."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import TypeAdapter, ValidationError

from modelyard_contracts import codes
from modelyard_contracts.calls import imports
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.catalogue import TRAINING_COMPLETED
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.failures import Failure, FailureKind, Problem
from modelyard_contracts.keeping import Path, dotted
from modelyard_contracts.odd_numbers import odd_numbers
from modelyard_gateway.doors.v1 import examples
from modelyard_gateway.doors.v1.access import Reader, Writer
from modelyard_gateway.doors.v1.plans import check_targets
from modelyard_gateway.doors.v1.replies import invalid, invalid_at
from modelyard_gateway.doors.v1.schemas.rules import AsSaid

router = APIRouter(prefix="/v1/{project_id}")
_COMPLETED = TypeAdapter[TrainingCompleted](Annotated[TrainingCompleted, AsSaid])


@router.post("/uploads", tags=["uploads"])
async def begin_upload(caller: Writer, body: examples.Upload) -> imports.UploadTicket:
    """Presigned URLs for every file; large files get one URL per part. Model bytes go straight to storage."""
    return await caller.ask(imports.BEGIN_UPLOAD, body)


@router.get("/uploads/{upload_id}", tags=["uploads"])
async def show_upload(caller: Reader, upload_id: str) -> imports.UploadView:
    return await caller.ask(imports.GET_UPLOAD, imports.GetUpload(upload_id=upload_id))


@router.get("/uploads/{upload_id}/parts", tags=["uploads"])
async def resume_upload(caller: Writer, upload_id: str) -> imports.ResumedUpload:
    """What has arrived, part by part, and fresh URLs for what has not."""
    return await caller.ask(imports.RESUME_UPLOAD, imports.GetUpload(upload_id=upload_id))


@router.post("/uploads/{upload_id}/complete", tags=["uploads"])
async def complete_upload(caller: Writer, upload_id: str, body: examples.Completed) -> imports.UploadView:
    """Checks that every promised file has arrived whole; names those that have not."""
    request = imports.CompleteUpload(upload_id=upload_id, files=tuple(body))
    return await caller.ask(imports.COMPLETE_UPLOAD, request)


@router.post("/training-jobs/events", tags=["training jobs"])
async def complete_training(caller: Writer, body: examples.Training) -> imports.TrainingJobView:
    """What a training job says when it ends, for jobs that speak HTTP rather than NATS."""
    if body.type != TRAINING_COMPLETED.subject or body.project != caller.project:
        raise Failure(
            FailureKind.INVALID,
            codes.PARAMETER_INVALID,
            f"type must be {TRAINING_COMPLETED.subject!r} and project {caller.project!r}",
            field="type" if body.type != TRAINING_COMPLETED.subject else "project",
            rule="const",
        )
    if odd := tuple(_problem(*each) for each in odd_numbers(body.data)):
        raise invalid(odd)
    try:
        completed = _COMPLETED.validate_python(body.data, extra="forbid")
    except ValidationError as error:
        raise invalid_at("data", error.errors(include_url=False)) from error
    return await caller.ask(imports.COMPLETE_TRAINING, imports.CompleteTraining(event_id=body.id, completed=completed))


def _problem(path: Path, message: str, rule: str) -> Problem:
    return Problem(message=message, field=f"data.{dotted(path)}", rule=rule)


@router.get("/training-jobs", tags=["training jobs"])
async def list_training_jobs(
    caller: Reader, query: Annotated[imports.ListTrainingJobs, Query()]
) -> imports.TrainingJobPage:
    return await caller.ask(imports.LIST_TRAINING_JOBS, query)


@router.get("/training-jobs/{training_job_id}", tags=["training jobs"])
async def show_training_job(caller: Reader, training_job_id: str) -> imports.TrainingJobView:
    return await caller.ask(imports.GET_TRAINING_JOB, imports.GetTrainingJob(training_job_id=training_job_id))


@router.post("/import-rules", tags=["training jobs"])
async def create_rule(caller: Writer, body: examples.Rule) -> imports.RuleView:
    """From now on a completed run that matches becomes a version, and its plan follows by itself."""
    await check_targets(caller, body.plan)
    return await caller.ask(imports.CREATE_RULE, body)


@router.post("/import-rules/dry-run", tags=["training jobs"])
async def dry_run_rule(caller: Writer, body: examples.DryRun) -> imports.RuleDryRun:
    """Which of the newest runs the rule would have taken, and what the others lacked. Nothing is imported."""
    return await caller.ask(imports.DRY_RUN_RULE, body)


@router.get("/import-rules", tags=["training jobs"])
async def list_rules(caller: Reader) -> imports.RuleList:
    return await caller.ask(imports.LIST_RULES, Nothing())


@router.delete("/import-rules/{rule_id}", tags=["training jobs"])
async def delete_rule(caller: Writer, rule_id: str) -> Nothing:
    return await caller.ask(imports.DELETE_RULE, imports.GetRule(rule_id=rule_id))
