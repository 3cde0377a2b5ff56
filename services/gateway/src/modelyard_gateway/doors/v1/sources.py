"""From a body to the source that is asked for: places in every spelling, and a training run by its name."""

from collections.abc import Iterator

from modelyard_contracts.calls import imports
from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import (
    ImageSource,
    Location,
    Source,
    StorageSource,
    TemplateInput,
    TemplateSource,
    TrainingSource,
    UploadSource,
)
from modelyard_gateway.caller import Caller
from modelyard_gateway.doors.v1.replies import invalid, validated
from modelyard_gateway.doors.v1.schemas.declared import CODE, usual_for_images
from modelyard_gateway.doors.v1.schemas.models import ModelRequest, TemplateRequest
from modelyard_gateway.doors.v1.schemas.places import NoPlace, folder_of, is_place, place_of

_BELOW = ("", "model/")


async def source_of(caller: Caller, body: ModelRequest) -> Source:
    """Raises Failure, naming the fields that the caller knows."""
    hosts = caller.backends.settings.storage_hosts
    location = _folder("source_location", body.source_location, hosts) if _lies_in_folder(body) else None
    if body.source_job_id is not None:
        return await _run(caller, body, location, hosts)
    if body.template is not None:
        return _template(body, body.template, location, hosts)
    _check_code(body, (location,) if location else (), hosts)
    if location is not None:
        return StorageSource(location=location, source_copy=body.source_copy in (True, "true"))
    if body.promotion is not None:
        return body.promotion.source({name for name in body.model_fields_set if getattr(body, name) is not None})
    if body.image is not None:
        return body.image.source(body.declared)
    return _by_id(body) or ImageSource(reference=body.source_location or "", config=usual_for_images(body.declared))


def _by_id(body: ModelRequest) -> Source | None:
    if body.upload_id is not None:
        return UploadSource(upload_id=body.upload_id)
    return None if body.training_job_id is None else TrainingSource(training_job_id=body.training_job_id)


def _lies_in_folder(body: ModelRequest) -> bool:
    return body.source_location is not None and is_place(body.source_location)


async def _run(caller: Caller, body: ModelRequest, location: Location | None, hosts: tuple[str, ...]) -> TrainingSource:
    """Newest first: a run that was reported again under another id counts."""
    name, number = body.source_job_id or "", body.source_job_version
    found: tuple[imports.TrainingJobView, ...] = ()
    if not {"*", "?"} & set(name):
        fields = {"job_name": name, "job_version": number, "limit": 1}
        found = (
            await caller.ask(imports.LIST_TRAINING_JOBS, validated(imports.ListTrainingJobs, fields))
        ).training_jobs
    if not found:
        message = f"no run {number} of a training job {name!r} has told of itself"
        raise invalid((Problem(message=message, field="source_job_id", rule="a run of this project"),))
    run = found[0]
    if location is not None and location not in _folders(run.output):
        message = f"run {number} of {name!r} left its model in s3://{run.output.bucket}/{run.output.prefix}"
        raise invalid((Problem(message=message, field="source_location", rule="the folder of the run, or left out"),))
    _check_code(body, (run.output,), hosts)
    return TrainingSource(training_job_id=run.training_job_id)


def _template(
    body: ModelRequest, template: TemplateRequest, location: Location | None, hosts: tuple[str, ...]
) -> TemplateSource:
    inputs, problems = [], []
    for number, given in enumerate(template.template_inputs):
        try:
            inputs.append(TemplateInput(input_id=given.input_id, location=folder_of(given.input, hosts)))
        except NoPlace as error:
            problems.append(_no_place(f"template.template_inputs.{number}.input", error))
    if problems:
        raise invalid(tuple(problems))
    folders = tuple(each.location for each in inputs)
    if location is not None and location not in folders:
        message = "with a template the model comes from the folders of its inputs"
        raise invalid((Problem(message=message, field="source_location", rule="one of these folders, or left out"),))
    _check_code(body, folders, hosts)
    return TemplateSource(
        template_id=template.template_id, infer_format=template.infer_format or None, template_inputs=tuple(inputs)
    )


def _folder(field: str, text: str | None, hosts: tuple[str, ...]) -> Location:
    try:
        return folder_of(text or "", hosts)
    except NoPlace as error:
        raise invalid((_no_place(field, error),)) from error


def _check_code(body: ModelRequest, folders: tuple[Location, ...], hosts: tuple[str, ...]) -> None:
    """The inference code is part of the package: nothing is fetched from elsewhere."""
    if body.execution_code is None:
        return
    try:
        place = place_of(body.execution_code, hosts)
    except NoPlace as error:
        raise invalid((_no_place("execution_code", error),)) from error
    if place not in {(each.bucket, each.prefix + CODE) for folder in folders for each in _folders(folder)}:
        rule = f"{CODE} in the folder model/ of the package"
        message = f"{body.execution_code!r} is not where the package has its {CODE}"
        raise invalid((Problem(message=message, field="execution_code", rule=rule),))


def _folders(location: Location) -> Iterator[Location]:
    for below in _BELOW:
        yield Location(bucket=location.bucket, prefix=location.prefix + below)


def _no_place(field: str, error: NoPlace) -> Problem:
    return Problem(message=f"it needs {error}", field=field, rule=str(error))
