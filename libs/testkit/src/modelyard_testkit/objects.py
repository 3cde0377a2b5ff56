"""Objects in memory, for tests of what stands above a store; they pass the suite of the real ones, `libs/store/tests`.

What goes over the wire does not exist here: links lead nowhere, so no part of an upload ever arrives, and a copy is
whole at once. Faults come from `modelyard_testkit.faults`.
"""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from modelyard_contracts.shapes import FileEntry
from modelyard_store.object_multiparts import OnBytes, Resume, untold
from modelyard_store.object_transfers import CHUNK, Digest
from modelyard_store.objects import (
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectError,
    ObjectInfo,
    ObjectPart,
    Objects,
    ObjectSettings,
    ObjectTooLarge,
)


def digest_of(data: bytes) -> Digest:
    return hashlib.sha256(data).hexdigest(), len(data)


class MemoryObjects(Objects):
    """Tests may look into `content` and `types`, by bucket and key, and change them as somebody else would."""

    def __init__(self, *buckets: str) -> None:
        super().__init__(ObjectSettings("objects", "memory", "memory"))
        self.buckets = set(buckets)
        self.content: dict[tuple[str, str], bytes] = {}
        self.types: dict[tuple[str, str], str] = {}
        self.begun: dict[str, tuple[str, str]] = {}

    def keys(self, bucket: str, prefix: str) -> Sequence[str]:
        return sorted(key for where, key in self.content if where == bucket and key.startswith(prefix))

    def info(self, bucket: str, key: str) -> ObjectInfo:
        data = self.content[bucket, key]
        return ObjectInfo(key, len(data), hashlib.md5(data).hexdigest())

    def put_folder(self, folder: Path, bucket: str, prefix: str) -> tuple[FileEntry, ...]:
        """All files below a folder; the manifest of them."""
        files = []
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            name, data = path.relative_to(folder).as_posix(), path.read_bytes()
            self.content[bucket, prefix + name] = data
            files.append(FileEntry(path=name, size=len(data), sha256=digest_of(data)[0]))
        return tuple(files)

    async def check(self, bucket: str | None = None) -> str | None:
        return None if bucket is None or bucket in self.buckets else f"there is no bucket {bucket}"

    async def ensure_bucket(self, bucket: str) -> None:
        self.buckets.add(bucket)

    async def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        await self._reach(bucket, key)
        return self.info(bucket, key) if (bucket, key) in self.content else None

    async def list(self, bucket: str, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        await self._reach(bucket)
        for key in self.keys(bucket, prefix):
            yield self.info(bucket, key)

    async def read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        data = await self._found(bucket, key)
        if len(data) > max_bytes:
            raise ObjectTooLarge(f"{bucket}/{key} has more than {max_bytes} bytes")
        return data

    async def read_span(self, bucket: str, key: str, start: int, size: int, *, if_etag: str) -> bytes:
        data = (await self._found(bucket, key, if_etag))[start : start + size]
        if len(data) != size:
            raise ObjectError(f"{bucket}/{key} ends before byte {start + size}")
        return data

    async def stream(self, bucket: str, key: str, chunk: int = CHUNK) -> AsyncGenerator[bytes, None]:
        for piece in pieces(await self._found(bucket, key), chunk):
            yield piece

    async def digest(self, bucket: str, key: str, *, if_etag: str | None = None, on_read: OnBytes = untold) -> Digest:
        return await self.pour(bucket, key, lambda piece: on_read(len(piece)), if_etag=if_etag)

    async def download(
        self, bucket: str, key: str, path: Path, *, if_etag: str | None = None, on_read: OnBytes = untold
    ) -> Digest:
        data = await self._found(bucket, key, if_etag)
        await asyncio.to_thread(path.write_bytes, data)
        on_read(len(data))
        return digest_of(data)

    async def pour(
        self, bucket: str, key: str, sink: Callable[[bytes], object], *, if_etag: str | None = None
    ) -> Digest:
        data = await self._found(bucket, key, if_etag)
        for piece in pieces(data, CHUNK):
            sink(piece)
        return digest_of(data)

    async def upload(self, bucket: str, key: str, path: Path) -> Digest:
        data = await asyncio.to_thread(path.read_bytes)
        await self.put(bucket, key, data)
        return digest_of(data)

    async def put(self, bucket: str, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        await self._reach(bucket, key)
        self.content[bucket, key], self.types[bucket, key] = data, content_type
        return self.info(bucket, key).etag

    async def copy(
        self, src_bucket: str, src_key: str, bucket: str, key: str, *,
        if_etag: str | None = None, resume: Resume | None = None, on_copied: OnBytes = untold,  # noqa: ARG002 - nothing is left to go on with
    ) -> ObjectInfo:  # fmt: skip
        data = await self._found(src_bucket, src_key, if_etag)
        await self.put(bucket, key, data)
        on_copied(len(data))
        return self.info(bucket, key)

    async def copy_and_digest(
        self, src_bucket: str, src_key: str, bucket: str, key: str, *, if_etag: str | None = None,
        resume: Resume | None = None, on_copied: OnBytes = untold, on_read: OnBytes = untold,
    ) -> Digest:  # fmt: skip
        copied = await self.copy(src_bucket, src_key, bucket, key, if_etag=if_etag, resume=resume, on_copied=on_copied)
        return await self.digest(bucket, key, if_etag=copied.etag, on_read=on_read)

    async def remove(self, bucket: str, key: str) -> None:
        await self._reach(bucket, key)
        self.content.pop((bucket, key), None)

    async def remove_prefix(self, bucket: str, prefix: str) -> int:
        if not prefix.endswith("/") or prefix.startswith("/"):
            raise ValueError(f"{prefix!r} must be a folder: not empty, ending with /")
        await self._reach(bucket)
        gone = self.keys(bucket, prefix)
        for key in gone:
            del self.content[bucket, key]
        return len(gone)

    async def begin_multipart(self, bucket: str, key: str) -> str:
        await self._reach(bucket, key)
        upload_id = uuid.uuid4().hex
        self.begun[upload_id] = bucket, key
        return upload_id

    async def complete_multipart(self, bucket: str, key: str, upload_id: str, etags: Sequence[str]) -> str:
        await self.list_parts(bucket, key, upload_id)
        raise ObjectError(f"{bucket}/{key}: none of {len(etags)} parts has arrived")

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        await self._reach(bucket, key)
        self.begun.pop(upload_id, None)

    async def list_parts(self, bucket: str, key: str, upload_id: str) -> tuple[ObjectPart, ...]:
        await self._reach(bucket, key)
        if self.begun.get(upload_id) != (bucket, key):
            raise NoSuchObject(f"there is no upload of {bucket}/{key} with this id")
        return ()

    async def abort_multiparts(self, bucket: str, prefix: str) -> int:
        await self._reach(bucket)
        below = [each for each, (where, key) in self.begun.items() if where == bucket and key.startswith(prefix)]
        for upload_id in below:
            del self.begun[upload_id]
        return len(below)

    def _sign(self, method: str, bucket: str, key: str, expires: int, query: Mapping[str, str]) -> str:
        """What is refused is refused by the real one; the link is the same every time."""
        super()._sign(method, bucket, key, expires, query)
        return f"http://objects/{bucket}/{key}?expires={expires}"

    async def _reach(self, bucket: str, key: str = "") -> None:
        """Others come in between, as they do while a request is under way."""
        await asyncio.sleep(0)
        if bucket not in self.buckets:
            raise NoSuchBucket(f"there is no bucket {bucket}")
        if {".", ".."} & set(key.split("/")):
            raise ObjectError(f"{bucket}/{key}: a key has no `.` or `..` between its slashes")

    async def _found(self, bucket: str, key: str, if_etag: str | None = None) -> bytes:
        await self._reach(bucket, key)
        if (bucket, key) not in self.content:
            raise NoSuchObject(f"there is no object {bucket}/{key}")
        if if_etag is not None and if_etag.strip('"') != self.info(bucket, key).etag:
            raise ObjectChanged(f"{bucket}/{key} is not the one that was looked at")
        return self.content[bucket, key]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
