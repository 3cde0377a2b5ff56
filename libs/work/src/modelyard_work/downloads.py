"""Files onto the worker's disk, many at once, each verified against its manifest. Used by what works on artifacts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

from modelyard_contracts.shapes import FileEntry, Location
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.objects import NoSuchObject, ObjectChanged, Objects

ItemT = TypeVar("ItemT")
AT_ONCE: Final = 8


class FileDamaged(Exception):
    """A file is not what the manifest says: `found` says what it is. `changed` names the object when the file is kept
    by reference, so that others than we may have written to it."""

    def __init__(self, path: str, found: str, changed: str | None = None) -> None:
        super().__init__(f"{path}: {found}")
        self.path = path
        self.found = found
        self.changed = changed


async def download_files(objects: Objects, place: Location, files: Iterable[FileEntry], root: Path) -> None:
    """`root/<path>` for each. Raises FileDamaged for the first that is not what it should be."""

    async def bring(file: FileEntry) -> None:
        await _download(objects, place, file, path_below(root, file.path))

    await side_by_side(files, bring)


async def side_by_side(items: Iterable[ItemT], work: Callable[[ItemT], Awaitable[None]]) -> None:
    """AT_ONCE of them at a time, without a task for each of a hundred thousand. Raises the first error."""
    waiting = iter(items)

    async def lane() -> None:
        for item in waiting:
            await work(item)

    lanes = [asyncio.ensure_future(lane()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for each in lanes:
            each.cancel()
        await asyncio.wait(lanes)


def path_below(root: Path, relative: str) -> Path:
    """With the folders that lead there. Raises FileDamaged for a name that would lead elsewhere."""
    try:
        path = root / safe_key("", relative)
    except UnsafeKey as error:
        raise FileDamaged(relative, str(error)) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


async def _download(objects: Objects, place: Location, file: FileEntry, path: Path) -> None:
    key = place.prefix + file.path
    pinned = f"{place.bucket}/{key}" if file.etag is not None else None
    try:
        sha256, size = await objects.download(place.bucket, key, path, if_etag=file.etag)
    except NoSuchObject as error:
        raise FileDamaged(file.path, "it is gone") from error
    except ObjectChanged as error:
        raise FileDamaged(file.path, "it changed", pinned or f"{place.bucket}/{key}") from error
    if (sha256, size) != (file.sha256, file.size):
        raise FileDamaged(file.path, f"{size} bytes with sha256 {sha256}, not {file.sha256}", pinned)
