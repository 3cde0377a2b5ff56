"""Which folder a version's source means. Called by the fetch job before anything is listed."""

from dataclasses import dataclass

from modelyard_contracts.shapes import Location, StorageSource, TrainingRef, TrainingSource, UploadSource
from modelyard_import.domain.imports import Import
from modelyard_import.domain.sources import allowed
from modelyard_import.errors import SourceRefused
from modelyard_import.repository import Repository


@dataclass(frozen=True, slots=True)
class Origin:
    location: Location
    training: TrainingRef | None = None


async def origin_of(job: Import, repository: Repository, source_buckets: tuple[str, ...]) -> Origin:
    """Raises SourceRefused. `job.destination` names the artifacts bucket, which all projects share."""
    source, training = job.source, None
    match source:
        case StorageSource():
            location = source.location
        case UploadSource():
            location = await _uploaded(job.project, source.upload_id, repository)
        case TrainingSource():
            location, training = await _trained(job.project, source.training_job_id, repository)
    agreed = allowed(location, job.project, source_buckets=source_buckets, artifacts_bucket=job.destination.bucket)
    return Origin(agreed, training)


async def _uploaded(project: str, upload_id: str, repository: Repository) -> Location:
    upload = await repository.uploads.get(project, upload_id)
    if upload is None:
        message = f"upload {upload_id!r} does not exist"
        raise SourceRefused(message, rule="an upload of this project", field="source.upload_id")
    if upload.state != "complete":
        message = f"upload {upload_id!r} is not complete: its files may still be on their way"
        raise SourceRefused(message, rule="a completed upload", field="source.upload_id")
    return upload.location


async def _trained(project: str, training_job_id: str, repository: Repository) -> tuple[Location, TrainingRef]:
    run = await repository.training_jobs.get(project, training_job_id)
    if run is None:
        message = f"training job {training_job_id!r} does not exist"
        raise SourceRefused(message, rule="a training job of this project", field="source.training_job_id")
    if run.status != "completed":
        message = f"run {run.training.job_version} of training job {run.training.job_id!r} {run.status}"
        raise SourceRefused(message, rule="a run that completed", field="source.training_job_id")
    return run.output, run.training
