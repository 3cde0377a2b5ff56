"""Whether files are still there, and those kept by reference still the ones that were imported.

One request for each object, no bytes: size, and the ETag that was pinned when the digest was taken. Asked before links
are given, and by audits.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from modelyard_contracts.calls.version import DamagedFile
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_store.objects import AccessDenied, NoSuchBucket, ObjectInfo, Objects
from modelyard_version.domain.verification import damage

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
                return damage(artifact, file, "missing", f"{file.path} cannot be read: {error}")
            return _fault(artifact, file, found)

    looked = await asyncio.gather(*(look(file) for file in files))
    return tuple(fault for fault in looked if fault)


def _fault(artifact: Artifact, file: FileEntry, found: ObjectInfo | None) -> DamagedFile | None:
    where = f"{artifact.location.bucket}/{artifact.location.prefix}{file.path}"
    if found is None:
        return damage(artifact, file, "missing", f"{file.path} is gone from {where}")
    if found.size != file.size and not artifact.by_reference:
        return damage(artifact, file, "size", f"{where} has {found.size} bytes, the manifest says {file.size}")
    if found.size != file.size or (file.etag is not None and found.etag != file.etag.strip('"')):
        return damage(artifact, file, "changed", f"{file.path}: somebody has written to {where} since the import")
    return None
