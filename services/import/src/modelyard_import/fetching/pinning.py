"""Files that stay where they lie: hashed and inspected, not copied, each pinned by its ETag. Used by `bring`.

Whoever reads them later asks for that ETag, and so notices when somebody has written to them since.
"""

from dataclasses import dataclass

from modelyard_contracts.shapes import FileEntry
from modelyard_import.domain.layout import PlannedFile
from modelyard_import.fetching.notes import Pass
from modelyard_import.fetching.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Pinning(Transfer):
    async def copy(self, file: PlannedFile) -> FileEntry:
        """Its digest only. Raises as `Transfer.copy` does."""
        if known := self._state(file).sha256:
            return self._arrived(file, known)
        async with self._lane(file):
            with self._refusals(file):
                sha256 = await self._digest(file)
        return self._arrived(file, sha256)

    async def copy_unread(self, file: PlannedFile) -> None:
        """Nothing: what was downloaded for reading has been hashed on the way."""

    def _arrived(self, file: PlannedFile, sha256: str) -> FileEntry:
        return super(Pinning, self)._arrived(file, sha256).model_copy(update={"etag": file.source.etag})

    def _reading(self, file: PlannedFile) -> Pass:
        return self.notes.reading(file.path, weight=2)
