"""What of an upload has arrived, as the store knows it, and where the rest goes. Called by the upload calls."""

import asyncio
from dataclasses import dataclass, replace

from modelyard_contracts.calls.imports import UploadFile, UploadProgress
from modelyard_contracts.outcome import Outcome
from modelyard_import.domain.uploads import Upload, part_length, part_lengths
from modelyard_import.repository import Repository
from modelyard_store.keys import safe_key
from modelyard_store.objects import NoSuchObject, ObjectInfo, Objects


@dataclass(frozen=True, slots=True)
class Arrivals:
    repository: Repository
    objects: Objects

    async def of(self, upload: Upload, link_seconds: int) -> tuple[UploadProgress, ...]:
        """Every file, with links to what is missing unless the upload is complete."""
        prefix = upload.location.prefix
        there = {
            found.key.removeprefix(prefix): found async for found in self.objects.list(upload.location.bucket, prefix)
        }
        return tuple(
            await asyncio.gather(*(self._of(upload, file, there.get(file.path), link_seconds) for file in upload.files))
        )

    async def parts(self, upload: Upload, file: UploadFile) -> dict[int, str]:
        """ETags of the parts that arrived whole, by number; none when the store has forgotten that it waits for any."""
        bucket, key = upload.location.bucket, safe_key(upload.location.prefix, file.path)
        try:
            listed = await self.objects.list_parts(bucket, key, upload.multiparts[file.path])
        except NoSuchObject:
            return {}
        return {
            part.number: part.etag
            for part in listed
            if part.size == part_length(file.size, upload.part_size, part.number)
        }

    async def _of(
        self, upload: Upload, file: UploadFile, there: ObjectInfo | None, link_seconds: int
    ) -> UploadProgress:
        in_parts = file.path in upload.multiparts
        length = upload.part_size if in_parts else file.size
        if there is not None and there.size == file.size:
            parts = {} if in_parts else {1: there.etag}  # those of a joined file have no name any more
            return UploadProgress(path=file.path, size=file.size, part_size=length, done=True, parts=parts, missing={})
        bucket, key = upload.location.bucket, safe_key(upload.location.prefix, file.path)
        if upload.state != "open":  # it was complete, and somebody has written to it or taken it away
            return UploadProgress(path=file.path, size=file.size, part_size=length, done=False, parts={}, missing={})
        if not in_parts:
            missing = {1: await self.objects.presign_put(bucket, key, link_seconds, length=file.size)}
            return UploadProgress(
                path=file.path, size=file.size, part_size=length, done=False, parts={}, missing=missing
            )
        upload = await self._reopened(upload, file)
        parts = await self.parts(upload, file)
        multipart = upload.multiparts[file.path]
        missing = {
            number: await self.objects.presign_part(bucket, key, multipart, number, link_seconds, length=length)
            for number, length in enumerate(part_lengths(file.size, upload.part_size), 1)
            if number not in parts
        }
        return UploadProgress(
            path=file.path, size=file.size, part_size=length, done=False, parts=parts, missing=missing
        )

    async def _reopened(self, upload: Upload, file: UploadFile) -> Upload:
        """With a multipart upload that the store knows: it may have thrown the old one away, as some do after days."""
        bucket, key = upload.location.bucket, safe_key(upload.location.prefix, file.path)
        former = upload.multiparts[file.path]
        try:
            await self.objects.list_parts(bucket, key, former)
        except NoSuchObject:
            fresh = await self.objects.begin_multipart(bucket, key)
        else:
            return upload

        def decide(current: Upload) -> Outcome[Upload] | None:
            if current.multiparts[file.path] != former:  # somebody else was faster
                return None
            return Outcome(replace(current, multiparts={**current.multiparts, file.path: fresh}))

        changed = await self.repository.uploads.change(upload.project, upload.upload_id, decide) or upload
        if changed.multiparts[file.path] != fresh:
            await self.objects.abort_multipart(bucket, key, fresh)
        return changed
