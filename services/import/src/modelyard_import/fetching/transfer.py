"""Copy one package inside the store while its bytes are hashed on the way through here. Called by `bring`.

A file that inspection reads is downloaded, and so read once for both; every other file is only hashed. All of it is
bound to the ETags of the listing, so what is hashed, inspected and copied are the same bytes. What an earlier attempt
has done is not done again: `notes` know. Only what inspection reads is read once more, for its bytes are gone, and so
is a file whose digest was not finished: the state of a sha256 cannot be kept.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from modelyard_contracts.shapes import FileEntry, Location
from modelyard_formats.scan.sniff import HEAD, TAIL, Ends
from modelyard_formats.skim import skimmer_for
from modelyard_import.domain.layout import PlannedFile
from modelyard_import.domain.resuming import FileState
from modelyard_import.errors import SourceRefused
from modelyard_import.fetching.notes import Notes, Pass
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.objects import (
    AccessDenied,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectError,
    Objects,
    ObjectStoreUnavailable,
    Resume,
)

AT_ONCE: Final = 8
LARGE: Final = 32 << 20
"""Bytes. Copying and reading one large file at once took half as long again as one after the other (2 cores, 500 MB):
both are bound by the same store. Large files therefore take turns, in the order in which they are asked for."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Into the import's folder `target`; `folder` is the local one for files that are read."""

    objects: Objects
    target: Location
    folder: Path
    notes: Notes
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def copy(self, file: PlannedFile) -> FileEntry:
        """Raises SourceRefused, and ObjectStoreUnavailable when it is worth trying again."""
        state = self._state(file)
        async with self._lane(file):
            with self._refusals(file):
                if state.copied or state.sha256 is not None:
                    sha256 = state.sha256 or await self._digest(file)
                    if not state.copied:
                        await self._copy(file)
                else:
                    sha256 = await self._copy_and_digest(file)
        return self._arrived(file, sha256)

    async def copy_unread(self, file: PlannedFile) -> None:
        """For a file whose digest `download` finds."""
        if self._state(file).copied:
            return
        async with self._lane(file):
            with self._refusals(file):
                await self._copy(file)

    async def ends(self, file: PlannedFile) -> Ends:
        """Both ends of a file that is not small. Raises as `copy` does."""
        source, read = file.source, self.objects.read_span
        async with self._slots:
            with self._refusals(file):
                head = await read(source.bucket, source.key, 0, HEAD, if_etag=source.etag)
                tail = await read(source.bucket, source.key, source.size - TAIL, TAIL, if_etag=source.etag)
        return Ends(head, tail, source.size)

    async def download(self, file: PlannedFile) -> FileEntry:
        """Raises as `copy` does."""
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        source, reading = file.source, self._reading(file)
        return await self._hashed(
            file, lambda: self.objects.download(source.bucket, source.key, path, if_etag=source.etag, on_read=reading)
        )

    async def skim(self, file: PlannedFile) -> FileEntry:
        """As `download`, but only what inspection reads is written, into the file's stand-in: of a large model, writing
        all of it took longer than reading it."""
        return await self._hashed(file, lambda: self._skimmed(file))

    async def _hashed(self, file: PlannedFile, arrive: Callable[[], Awaitable[tuple[str, int]]]) -> FileEntry:
        before = self._state(file).sha256
        async with self._lane(file):
            with self._refusals(file):
                sha256, size = await arrive()
                await self._last_look(file, size)
                if before not in (None, sha256):
                    raise ObjectChanged(file.source.key)
        return self._arrived(file, sha256)

    async def _copy(self, file: PlannedFile) -> None:
        source = file.source
        with self._joined_by_another(file):
            await self.objects.copy(
                source.bucket, source.key, self.target.bucket, self._key(file), if_etag=source.etag,
                resume=self._resume(file), on_copied=self.notes.copying(file.path),
            )  # fmt: skip
        self.notes.copied(file.path)

    async def _copy_and_digest(self, file: PlannedFile) -> str:
        source = file.source
        with self._joined_by_another(file):
            sha256, _ = await self.objects.copy_and_digest(
                source.bucket, source.key, self.target.bucket, self._key(file), if_etag=source.etag,
                resume=self._resume(file), on_copied=self.notes.copying(file.path), on_read=self._reading(file),
            )  # fmt: skip
        self.notes.copied(file.path)
        return sha256

    async def _digest(self, file: PlannedFile) -> str:
        source = file.source
        sha256, size = await self.objects.digest(
            source.bucket, source.key, if_etag=source.etag, on_read=self._reading(file)
        )
        await self._last_look(file, size)
        return sha256

    async def _last_look(self, file: PlannedFile, size: int) -> None:
        """For stores that take a condition and do not mind it. Raises ObjectChanged."""
        last = await self.objects.stat(file.source.bucket, file.source.key)
        if size != file.source.size or last is None or last.etag != file.source.etag:
            raise ObjectChanged(file.source.key)

    def _state(self, file: PlannedFile) -> FileState:
        return self.notes.state(file.path, file.source.size)

    def _reading(self, file: PlannedFile) -> Pass:
        return self.notes.reading(file.path)

    def _resume(self, file: PlannedFile) -> Resume:
        return Resume(self._state(file).upload_id, partial(self.notes.in_parts, file.path))

    async def _skimmed(self, file: PlannedFile) -> tuple[str, int]:
        source, reading = file.source, self._reading(file)
        skimmer = skimmer_for(file.path, source.size)
        if skimmer is None:
            raise RuntimeError(f"nobody skims {file.path}")
        with (self.folder / file.path).open("r+b") as sparse:

            def skim(chunk: bytes) -> None:
                for offset, piece in skimmer.feed(chunk):
                    sparse.seek(offset)
                    sparse.write(piece)
                reading(len(chunk))

            found = await self.objects.pour(source.bucket, source.key, skim, if_etag=source.etag)
            offset, rest = skimmer.rest()
            sparse.seek(offset)
            sparse.write(rest)
        return found

    def stand_in(self, file: PlannedFile, ends: Ends) -> None:
        """A file of the right size takes no space between its ends; of those the scan judges it."""
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as sparse:
            sparse.truncate(file.source.size)
            sparse.write(ends.head)
            sparse.seek(file.source.size - len(ends.tail))
            sparse.write(ends.tail)

    def _lane(self, file: PlannedFile) -> asyncio.Lock | asyncio.Semaphore:
        return self._turn if file.source.size >= LARGE else self._slots

    def _arrived(self, file: PlannedFile, sha256: str) -> FileEntry:
        self.notes.hashed(file.path, sha256)
        return FileEntry(path=file.path, size=file.source.size, sha256=sha256)

    def _key(self, file: PlannedFile) -> str:
        try:
            return safe_key(self.target.prefix, file.path)
        except UnsafeKey as error:
            raise SourceRefused(str(error), rule="a path that can be kept") from error

    @contextmanager
    def _joined_by_another(self, file: PlannedFile) -> Iterator[None]:
        """A worker that was given up may still join the parts of both: the object is there then, for the next attempt
        to find. It would look as if the source were gone."""
        had_parts = self._state(file).upload_id
        try:
            yield
        except NoSuchObject as error:
            if had_parts is None:
                raise
            raise ObjectStoreUnavailable(f"the parts of {self._key(file)} were joined or freed by another") from error

    @contextmanager
    def _refusals(self, file: PlannedFile) -> Iterator[None]:
        """The source bucket was there when it was listed: one that is missing now is our own, which will be mended."""
        place = f"{file.source.bucket}/{file.source.key}"
        try:
            yield
        except (ObjectStoreUnavailable, NoSuchBucket):
            raise
        except (ObjectChanged, NoSuchObject) as error:
            message = f"{place} changed while it was copied; import it again when nobody writes to it"
            raise SourceRefused(message, rule="files that stay as they are during the import") from error
        except AccessDenied as error:
            raise SourceRefused(f"{place} may not be read", rule="readable with the yard's credentials") from error
        except ObjectError as error:
            raise SourceRefused(f"{place} cannot be copied: {error}", rule="readable, not encrypted") from error
