"""Decide in which folder an attempt works: on in that of the one before, or in a fresh one. Called by `bring`.

The listing has just been read, so what it says of the source is what this attempt copies: every copy is bound to the
ETags in it. A folder is gone on with only if the one before copied from the very same listing.
"""

from modelyard_contracts.outcome import Outcome
from modelyard_import.domain.imports import Import, attempt_location, begun_anew
from modelyard_import.domain.layout import Layout
from modelyard_import.domain.resuming import pins_of, still_there
from modelyard_import.fetching.notes import Notes
from modelyard_store.objects import NoSuchObject, Objects
from modelyard_work.long_work import Attempt


async def open_folder(attempt: Attempt[Import], layout: Layout, notes: Notes, *, objects: Objects) -> Import:
    """The import with the folder that this attempt writes to, of which `notes` know what is done there.

    Raises Lost and Over.
    """
    job, pins = attempt.value, pins_of(layout)
    if job.pins is not None and job.pins != pins:
        notes.log("the source changed since the last attempt, whose files are of no use")
        former, job = job, await attempt.amend(lambda current: Outcome(begun_anew(current)))
        await free_parts(objects, former, {file.path: file.upload_id for file in former.files if file.upload_id})
    notes.folder, notes.pins = job.folder, pins
    if job.pins is not None:
        await _adopt(job, notes, objects)
    elif job.attempt > 1:
        await _remove_former(job, objects)
    return job


async def _remove_former(job: Import, objects: Objects) -> None:
    """Folders of earlier attempts only: this one may be late itself. What a late worker still writes is swept at the
    end."""
    whole = job.destination
    async for found in objects.list(whole.bucket, whole.prefix):
        number = found.key.removeprefix(whole.prefix).partition("/")[0]
        if not number.isdecimal() or int(number) < job.folder:
            await objects.remove(whole.bucket, found.key)


async def free_parts(objects: Objects, job: Import, upload_ids: dict[str, str]) -> None:
    """Give up copies in parts, by path of the file."""
    folder = attempt_location(job)
    for path, upload_id in upload_ids.items():
        await objects.abort_multipart(folder.bucket, folder.prefix + path, upload_id)


async def _adopt(job: Import, notes: Notes, objects: Objects) -> None:
    folder = attempt_location(job)
    sizes = {
        found.key.removeprefix(folder.prefix): found.size async for found in objects.list(folder.bucket, folder.prefix)
    }
    states = still_there(job.files, sizes)
    in_parts = {
        state.path: await _in_parts(objects, folder.bucket, folder.prefix + state.path, state.upload_id)
        for state in states
        if state.upload_id is not None and not state.copied
    }
    notes.adopt(states, in_parts)
    whole = [state.size for state in states if state.copied]
    done = f"{len(whole)} files, {sum(whole)} bytes, are there, of {len(in_parts)} more {sum(in_parts.values())} bytes"
    notes.log(f"goes on in {folder.bucket}/{folder.prefix}: {done}")


async def _in_parts(objects: Objects, bucket: str, key: str, upload_id: str) -> int:
    """Bytes that have arrived."""
    try:
        return sum(part.size for part in await objects.list_parts(bucket, key, upload_id))
    except NoSuchObject:
        return 0
