"""Which folders a version's source means. Called by the fetch job before anything is listed."""

from dataclasses import dataclass, replace

from modelyard_contracts.events import Assembly
from modelyard_contracts.failures import Problem
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import (
    Declared,
    ImageSource,
    Location,
    PromotionSource,
    Source,
    StorageSource,
    TemplateSource,
    TrainingRef,
    TrainingSource,
    UploadSource,
)
from modelyard_formats.errors import refusal
from modelyard_import.domain.imports import NOTHING_DECLARED, Import
from modelyard_import.domain.sources import Places, allowed
from modelyard_import.errors import SourceRefused
from modelyard_import.repository import Repository


@dataclass(frozen=True, slots=True)
class Part:
    """A source folder. `folder` of the artifact is where it belongs; None: it is a whole package.

    `field` is what the user called it by.
    """

    location: Location
    folder: str | None = None
    field: str = "source.location"

    @property
    def place(self) -> str:
        return f"{self.location.bucket}/{self.location.prefix}"


@dataclass(frozen=True, slots=True)
class Origin:
    """`config` is what a template fixes in place of a config.json; `by_reference`: the files stay where they lie;
    `declared` is what the request says of the package."""

    parts: tuple[Part, ...]
    config: PackageConfig | None = None
    by_reference: bool = False
    training: TrainingRef | None = None
    declared: Declared = NOTHING_DECLARED

    @property
    def place(self) -> str:
        return ", ".join(part.place for part in self.parts)


async def origin_of(job: Import, repository: Repository, places: Places) -> Origin:
    """Raises SourceRefused. `job.destination` names the artifacts bucket, which all projects share."""
    return replace(await _origin_of(job, repository, places), declared=job.declared)


async def refuse_unknown(
    source: Source, project: str, artifacts_bucket: str, repository: Repository, places: Places
) -> None:
    """What can be told of a source before anything is read. Raises SourceRefused.

    An upload that has expired passes: a request that is repeated is answered as it was before.
    """
    match source:
        case StorageSource(location=location):
            allowed(location, project, places=places, artifacts_bucket=artifacts_bucket)
        case UploadSource(upload_id=upload_id):
            known = await repository.uploads.get(project, upload_id)
            if known is None or known.state != "expired":
                await _uploaded(project, upload_id, repository)
        case TrainingSource(training_job_id=run_id):
            await _trained(project, run_id, repository)
        case TemplateSource(template_inputs=inputs):
            for each in inputs:
                field = f"source.template_inputs.{each.input_id}"
                allowed(each.location, project, places=places, artifacts_bucket=artifacts_bucket, field=field)
        case _:
            return


async def _origin_of(job: Import, repository: Repository, places: Places) -> Origin:
    match job.source:
        case StorageSource(location=location, source_copy=copied):
            if not copied and location.bucket == job.destination.bucket:
                message = f"bucket {location.bucket!r} holds what the yard itself keeps and removes"
                raise SourceRefused(message, rule="by reference only from other buckets", field="source.source_copy")
            return Origin((Part(_agreed(job, location, places)),), by_reference=not copied)
        case UploadSource(upload_id=upload_id):
            location = await _uploaded(job.project, upload_id, repository)
            return Origin((Part(_agreed(job, location, places)),))
        case TrainingSource(training_job_id=run_id):
            location, training = await _trained(job.project, run_id, repository)
            _not_a_version(job, location)
            return Origin((Part(_agreed(job, location, places)),), training=training)
        case TemplateSource():
            if job.assembly is None:
                raise SourceRefused(
                    "the template was not resolved", rule="a known template", field="source.template_id"
                )
            return _assembled(job, job.assembly, places)
        case ImageSource() | PromotionSource():
            raise ValueError(f"of this source no folder is fetched: {job.source.kind}")


def _agreed(job: Import, location: Location, places: Places, field: str = "source.location") -> Location:
    return allowed(location, job.project, places=places, artifacts_bucket=job.destination.bucket, field=field)


def _assembled(job: Import, assembly: Assembly, places: Places) -> Origin:
    """Raises Failure naming every input that may not be read."""
    parts: list[Part] = []
    problems: list[Problem] = []
    for placed in assembly.folders:
        field = f"source.template_inputs.{placed.input_id}"
        try:
            parts.append(Part(_agreed(job, placed.location, places, field), placed.folder, field))
        except SourceRefused as refused:
            problems.extend(refused.problems)
    if problems:
        raise refusal(tuple(problems))
    return Origin(tuple(parts), config=assembly.config)


def _not_a_version(job: Import, location: Location) -> None:
    """The version service lets nobody copy a version that may not be downloaded; a report of a run must not either."""
    models = f"{job.project}/models/"
    prefix = location.prefix.rstrip("/") + "/"
    if location.bucket == job.destination.bucket and (prefix.startswith(models) or models.startswith(prefix)):
        message = f"the run's output {location.bucket}/{location.prefix} is where the yard keeps versions"
        raise SourceRefused(message, rule="a training run has a folder of its own", field="source.training_job_id")


async def _uploaded(project: str, upload_id: str, repository: Repository) -> Location:
    upload = await repository.uploads.get(project, upload_id)
    if upload is None:
        message = f"upload {upload_id!r} does not exist"
        raise SourceRefused(message, rule="an upload of this project", field="source.upload_id")
    if upload.state == "expired":
        message = f"upload {upload_id!r} has expired and its files are gone: upload them again"
        raise SourceRefused(message, rule="an upload that has not expired", field="source.upload_id")
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
