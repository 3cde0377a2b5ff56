"""Copy a version of the register with its artifacts, inside the store. Called by `bring`.

No byte comes through here: each object is pinned by its ETag before anything moves, and the manifests are those of the
original, with the digests that its files had when they came in. Nothing is inspected or scanned again.
"""

import asyncio
from typing import Final

from modelyard_contracts.events import ImportSucceeded, Original
from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import Artifact, FileEntry, Location, PromotionSource
from modelyard_formats.errors import CONFIG_FILE
from modelyard_import.domain.imports import Import, attempt_location
from modelyard_import.domain.layout import Layout, PlannedFile, SourceFile
from modelyard_import.errors import OriginalLost, SourceRefused
from modelyard_import.fetching.notes import Notes
from modelyard_import.fetching.resuming import open_folder
from modelyard_import.fetching.transfer import AT_ONCE, Transfer
from modelyard_store.objects import AccessDenied, NoSuchBucket, Objects
from modelyard_work.long_work import Attempt

MOST_NAMED: Final = 50
FIELD: Final = "source.model_id"


async def promote(
    attempt: Attempt[Import], source: PromotionSource, notes: Notes, *, objects: Objects
) -> ImportSucceeded:
    """Raises OriginalLost; anything else is worth another attempt."""
    original = attempt.value.original
    name = f"{source.model_name} {source.model_version} of project {source.project!r}"
    if original is None:
        raise SourceRefused(f"{name} was not resolved", rule="a known version", field=FIELD)
    layout = Layout(await _pinned(objects, original, name))
    artifacts, files = len(original.artifacts), len(layout.files)
    notes.log(f"found {artifacts} artifacts of {name}: {files} files, {layout.total_bytes} bytes")
    notes.passes, notes.total_bytes, notes.scan = 1, layout.total_bytes, original.scan
    job = await open_folder(attempt, layout, notes, objects=objects)
    transfer = Transfer(objects, attempt_location(job), attempt.folder, notes)

    async def copied(file: PlannedFile) -> None:
        try:
            await transfer.copy_unread(file)
        except SourceRefused as error:
            raise OriginalLost(name, error.problems) from error

    async with asyncio.TaskGroup() as group:
        for file in layout.files:
            group.create_task(copied(file))
    notes.log(f"copied to {transfer.target.bucket}/{transfer.target.prefix}; nothing was read, inspected or scanned")
    return _fact_of(job, original, transfer.target)


async def _pinned(objects: Objects, original: Original, name: str) -> tuple[PlannedFile, ...]:
    """Every file with the ETag that it has now; one that is kept by reference must have the one it came in with.

    Raises OriginalLost with all that are missing or changed.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def look(artifact: Artifact, file: FileEntry) -> PlannedFile | Problem:
        place = artifact.location
        async with slots:
            try:
                found = await objects.stat(place.bucket, place.prefix + file.path)
            except (NoSuchBucket, AccessDenied) as error:
                return _problem(file, f"{file.path} cannot be read: {error}")
        if found is None:
            return _problem(file, f"{file.path} is gone")
        if found.size != file.size or file.etag not in (None, found.etag):
            return _problem(file, f"{file.path} is not what it was when it came in")
        source = SourceFile(place.bucket, place.prefix + file.path, file.path, file.size, found.etag)
        return PlannedFile(source, _folder(artifact) + file.path)

    each = [(artifact, file) for artifact in original.artifacts for file in artifact.files]
    looked = await asyncio.gather(*(look(*one) for one in each))
    if problems := [one for one in looked if isinstance(one, Problem)]:
        raise OriginalLost(name, tuple(problems[:MOST_NAMED]))
    return tuple(one for one in looked if isinstance(one, PlannedFile))


def _problem(file: FileEntry, message: str) -> Problem:
    return Problem(message=message, file=file.path, field=FIELD, rule="as it came in")


def _folder(artifact: Artifact) -> str:
    """Below the folder of the attempt."""
    return "source/" if artifact.kind == "source" else f"{artifact.artifact_id}/"


def _fact_of(job: Import, original: Original, target: Location) -> ImportSucceeded:
    source, *others = (_moved(artifact, target) for artifact in original.artifacts)
    return ImportSucceeded(
        import_id=job.import_id,
        model_id=job.model_id,
        artifact=source,
        config=original.config,
        config_sha256=next(file.sha256 for file in source.files if file.path == CONFIG_FILE),
        scan=original.scan,
        training=original.training,
        artifacts=tuple(others),
        evaluations=original.evaluations,
    )


def _moved(artifact: Artifact, target: Location) -> Artifact:
    place = Location(bucket=target.bucket, prefix=target.prefix + _folder(artifact))
    files = tuple(file.model_copy(update={"etag": None}) for file in artifact.files)
    return artifact.model_copy(update={"location": place, "files": files, "by_reference": False})
