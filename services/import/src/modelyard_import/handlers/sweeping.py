"""What an import removes from the store, and when it may. Called by the fetch handler only.

Two attempts may write into one folder. So an attempt removes only what the document does not name any more: the
document is asked first, and what it has once stopped naming it never names again.
"""

from dataclasses import dataclass, replace

from modelyard_contracts.shapes import Artifact
from modelyard_import.domain.imports import Import, attempt_location
from modelyard_import.fetching.notes import Notes
from modelyard_import.fetching.resuming import free_parts
from modelyard_import.repository import Repository
from modelyard_store.objects import Objects


@dataclass(frozen=True, slots=True)
class Sweeping:
    repository: Repository
    objects: Objects

    async def given_up(self, taken: Import, notes: Notes) -> None:
        """The attempt is not ours any more: leave what another one goes on with, or has made the artifact of."""
        taken = taken if notes.folder is None else replace(taken, folder=notes.folder)
        now_is = await self.repository.imports.get(taken.project, taken.import_id)
        own = notes.upload_ids
        if now_is is None or now_is.finished:
            await free_parts(self.objects, taken, own)
            await self.ended(now_is or taken, late=True)
        elif now_is.folder == taken.folder:
            named = {file.upload_id for file in now_is.files}
            unnamed = {path: each for path, each in own.items() if each in notes.begun and each not in named}
            await free_parts(self.objects, taken, unnamed)
        else:
            await free_parts(self.objects, taken, own)
            folder = attempt_location(taken)
            await self.objects.remove_prefix(folder.bucket, folder.prefix)

    async def emptied(self, taken: Import, notes: Notes) -> None:
        """For an attempt that fails, after nobody can go on with it any more."""
        await free_parts(self.objects, taken, notes.upload_ids)
        folder = attempt_location(taken)
        await self.objects.remove_prefix(folder.bucket, folder.prefix)

    async def ended(self, job: Import, *, late: bool = False) -> None:
        """Only the artifact stays. What succeeded at its first attempt, with nobody behind it, left nothing else."""
        if job.attempt <= 1 and not late and job.state == "succeeded" and not job.deleted:
            return
        whole = job.destination
        await free_parts(self.objects, job, {file.path: file.upload_id for file in job.files if file.upload_id})
        await self.objects.abort_multiparts(whole.bucket, whole.prefix)
        if job.artifact is None or job.deleted:
            await self.objects.remove_prefix(whole.bucket, whole.prefix)
            return
        kept = {key for each in (job.artifact, *job.brought) for key in _keys_of(each, whole.bucket)}
        async for found in self.objects.list(whole.bucket, whole.prefix):
            if found.key not in kept:
                await self.objects.remove(whole.bucket, found.key)


def _keys_of(artifact: Artifact, bucket: str) -> frozenset[str]:
    """Of what lies in the bucket."""
    files = artifact.files if artifact.location.bucket == bucket else ()
    return frozenset(artifact.location.prefix + file.path for file in files)
