"""Take away uploads that nobody used in time. A chore of every process that answers calls.

Several at once do no harm: an upload is marked first, by compare-and-set, then emptied, which may be done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from modelyard_contracts.outcome import Outcome
from modelyard_import.domain.uploads import GRACE_MS, Upload, expire, postpone, swept
from modelyard_import.repository import Repository
from modelyard_store.documents import StoreUnavailable
from modelyard_store.keys import safe_key
from modelyard_store.objects import ObjectError, Objects

log = structlog.get_logger()

AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class UploadExpiry:
    repository: Repository
    objects: Objects
    now: Callable[[], int]

    async def sweep(self) -> int:
        """How many uploads were swept away. Raises StoreUnavailable; the next call goes on."""
        done = 0
        while due := await self.repository.uploads_due(self.now(), AT_ONCE):
            for upload in due:
                try:
                    done += await self._sweep(upload)
                except StoreUnavailable:
                    raise
                except ObjectError as error:
                    log.warning("upload_not_swept", upload_id=upload.upload_id, error=str(error))
                    await self._postpone(upload)
        return done

    async def _sweep(self, upload: Upload) -> bool:
        """An import that is about to read it is asked for after the mark is set: one that comes later sees the mark."""
        if await self.repository.imports_upload(upload.upload_id):
            return await self._postpone(upload)
        now = self.now()
        marked = await self._change(upload, lambda current: expire(current, now=now))
        if marked is None or marked.state != "expired":
            return False
        if upload.state != "expired" and await self.repository.imports_upload(upload.upload_id):
            return await self._postpone(upload)
        bucket, prefix = upload.location.bucket, upload.location.prefix
        for path, multipart in marked.multiparts.items():
            await self.objects.abort_multipart(bucket, safe_key(prefix, path), multipart)
        await self.objects.abort_multiparts(bucket, prefix)  # begun by a process that died before it could say so
        removed = await self.objects.remove_prefix(bucket, prefix)
        await self._change(upload, swept)
        log.info("upload_expired", upload_id=upload.upload_id, project=upload.project, objects=removed)
        return True

    async def _postpone(self, upload: Upload) -> bool:
        until = self.now() + GRACE_MS
        await self._change(upload, lambda current: postpone(current, state=upload.state, until=until))
        return False

    async def _change(self, upload: Upload, decide: Callable[[Upload], Upload]) -> Upload | None:
        return await self.repository.uploads.change(
            upload.project, upload.upload_id, lambda current: Outcome(decide(current))
        )
