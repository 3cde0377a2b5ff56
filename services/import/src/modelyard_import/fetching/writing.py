"""Files that no source holds (a template's config.json, an image's description), written into the artifact."""

import hashlib
from pathlib import Path

from modelyard_contracts.shapes import FileEntry
from modelyard_import.domain.layout import WrittenFile
from modelyard_import.fetching.transfer import Transfer
from modelyard_store.keys import safe_key


def write_locally(folder: Path, file: WrittenFile) -> None:
    """For inspection."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.data)


async def write_to_store(transfer: Transfer, file: WrittenFile) -> FileEntry:
    """Raises what the store raises."""
    target = transfer.target
    await transfer.objects.put(target.bucket, safe_key(target.prefix, file.path), file.data, "application/json")
    transfer.notes.reading(file.path, weight=2)(len(file.data))
    return FileEntry(path=file.path, size=len(file.data), sha256=hashlib.sha256(file.data).hexdigest())
