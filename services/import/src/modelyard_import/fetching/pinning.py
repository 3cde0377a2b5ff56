"""Files that stay where they lie: hashed and inspected, not copied, each pinned by its ETag. Used by `bring`.

Whoever reads them later asks for that ETag, and so notices when somebody has written to them since.
"""

from dataclasses import dataclass

from modelyard_contracts.shapes import FileEntry
from modelyard_import.domain.layout import PlannedFile
from modelyard_import.fetching.transfer import Transfer
from modelyard_store.objects import ObjectChanged


@dataclass(frozen=True, slots=True)
class Pinning(Transfer):
    async def copy(self, file: PlannedFile) -> FileEntry:
        """Its digest only. Raises as `Transfer.copy` does."""
        bucket, key, etag = file.source.bucket, file.source.key, file.source.etag
        async with self._lane(file):
            with self._refusals(file):
                sha256, size = await self.objects.pour(bucket, key, len, if_etag=etag)
                # The last look is for stores that take a condition and do not mind it.
                last = await self.objects.stat(bucket, key)
                if size != file.source.size or last is None or last.etag != etag:
                    raise ObjectChanged(key)
        return self._arrived(file, sha256, size)

    async def copy_unread(self, file: PlannedFile) -> None:
        """Nothing: what was downloaded for reading has been hashed on the way."""

    def _arrived(self, file: PlannedFile, sha256: str, size: int) -> FileEntry:
        self.notes.copied_bytes += size
        return FileEntry(path=file.path, size=size, sha256=sha256, etag=file.source.etag)
