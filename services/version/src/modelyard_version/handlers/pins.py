"""Whether files that are kept by reference are still the ones that were imported. Asked before links are given.

One request for each object, no bytes: the ETag that was pinned when the digest was taken.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from modelyard_contracts.calls.version import DamagedFile
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_store.objects import AccessDenied, NoSuchBucket, ObjectInfo, Objects

AT_ONCE: Final = 16


async def changed(objects: Objects, artifact: Artifact, files: Iterable[FileEntry]) -> tuple[DamagedFile, ...]:
    """Those of `files` that are gone, unreadable or no longer the pinned object. Raises ObjectStoreUnavailable."""
    room = asyncio.Semaphore(AT_ONCE)

    async def look(file: FileEntry) -> DamagedFile | None:
        async with room:
            place = artifact.location
            try:
                found = await objects.stat(place.bucket, place.prefix + file.path)
            except (NoSuchBucket, AccessDenied) as error:
                return _damaged(artifact, file, "missing", f"{file.path} cannot be read: {error}")
            return _fault(artifact, file, found)

    looked = await asyncio.gather(*(look(file) for file in files))
    return tuple(fault for fault in looked if fault)


def _fault(artifact: Artifact, file: FileEntry, found: ObjectInfo | None) -> DamagedFile | None:
    where = f"{artifact.location.bucket}/{artifact.location.prefix}{file.path}"
    if found is None:
        return _damaged(artifact, file, "missing", f"{file.path} is gone from {where}")
    if found.size != file.size or (file.etag is not None and found.etag != file.etag.strip('"')):
        return _damaged(artifact, file, "changed", f"{file.path}: somebody has written to {where} since the import")
    return None


def _damaged(artifact: Artifact, file: FileEntry, reason: str, message: str) -> DamagedFile:
    return DamagedFile.model_validate(
        {"artifact_id": artifact.artifact_id, "path": file.path, "reason": reason, "message": message}
    )
