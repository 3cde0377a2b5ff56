"""Objects in any S3 (MinIO, SeaweedFS, …), off the event loop. Built in a service's bootstrap.

Small calls and bulk transfers have threads of their own, so that a listing never waits behind ten gigabytes. A
cancelled transfer stops at its next chunk or part, aborts its multipart upload and only then lets the caller go.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event

from minio.datatypes import Object
from minio.deleteobjects import DeleteError, DeleteObject
from minio.error import S3Error

from modelyard_store import object_multiparts, object_transfers
from modelyard_store.object_client import PROBE_SECONDS, ObjectSettings, Threads, client_for
from modelyard_store.object_errors import (
    AccessDenied,
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectError,
    ObjectStoreUnavailable,
    ObjectTooLarge,
)
from modelyard_store.object_links import Links
from modelyard_store.object_multiparts import OnBytes, Resume, untold
from modelyard_store.object_transfers import Digest

__all__ = [
    "AccessDenied",
    "NoSuchBucket",
    "NoSuchObject",
    "ObjectChanged",
    "ObjectError",
    "ObjectInfo",
    "ObjectPart",
    "ObjectSettings",
    "ObjectStoreUnavailable",
    "ObjectTooLarge",
    "Objects",
    "Resume",
]

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """`size` in bytes; `etag` changes whenever the object does. `modified`: by the store's clock, ms since 1970 UTC."""

    key: str
    size: int
    etag: str
    modified: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """One part, counted from 1, of an object that is not joined yet; `size` in bytes."""

    number: int
    size: int
    etag: str


class Objects(Links):
    """Every method may raise ObjectStoreUnavailable, AccessDenied, NoSuchBucket and, with a key, NoSuchObject."""

    def __init__(self, settings: ObjectSettings) -> None:
        """Opens nothing."""
        self._settings = settings
        self._client = client_for(settings, settings.endpoint, settings.secure)
        public_secure = settings.secure if settings.public_secure is None else settings.public_secure
        super().__init__(client_for(settings, settings.public_endpoint or settings.endpoint, public_secure))
        self._prober = client_for(settings, settings.endpoint, settings.secure, read=PROBE_SECONDS, tries=1)
        self._checking: dict[str | None, asyncio.Task[str | None]] = {}
        self._threads = Threads()
        self._call, self._transfer = self._threads.call, self._threads.transfer

    @classmethod
    def connect(cls, settings: ObjectSettings) -> "Objects":
        """The first request connects."""
        return cls(settings)

    async def close(self) -> None:
        """Waits for what runs."""
        await asyncio.to_thread(self._threads.close)
        self._client._http.clear()
        self._prober._http.clear()

    async def check(self, bucket: str | None = None) -> str | None:
        """None when the store answers these credentials (and has the bucket), else what is wrong. Never raises.

        While it runs it is not begun again: whoever asks is told how it ends. What nobody answers is how calls learn
        that the store is silent, so whoever uses it for long asks now and then."""
        running = self._checking.get(bucket)
        if running is None or running.done():
            running = self._checking[bucket] = asyncio.create_task(self._check(bucket))
        return await asyncio.shield(running)

    async def _check(self, bucket: str | None) -> str | None:
        try:
            if bucket is None:
                await self._threads.probe(self._prober.list_buckets)
            elif not await self._threads.probe(lambda: self._prober.bucket_exists(bucket)):
                return f"there is no bucket {bucket}"
        except ObjectError as error:
            return str(error)
        return None

    async def ensure_bucket(self, bucket: str) -> None:
        def make() -> None:
            try:
                self._client.make_bucket(bucket)
            except S3Error as error:
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

        if not await self._call(bucket, "", lambda: self._client.bucket_exists(bucket)):
            await self._call(bucket, "", make)

    async def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """None when there is no such object."""
        try:
            return _info(await self._call(bucket, key, lambda: self._client.stat_object(bucket, key)))
        except NoSuchObject:  # an answer without a body does not say what is missing
            if not await self._call(bucket, "", lambda: self._client.bucket_exists(bucket)):
                raise NoSuchBucket(f"there is no bucket {bucket}") from None
            return None

    async def list(self, bucket: str, prefix: str) -> AsyncGenerator[ObjectInfo, None]:
        """By key, everything below the prefix; asks for the next thousand only when they are wanted."""
        async for page in self._pages(bucket, prefix):
            for found in page:
                yield found

    async def read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """The whole object. Raises ObjectTooLarge, having read at most one byte more than allowed."""

        def read() -> bytes:
            response = self._client.get_object(bucket, key)
            try:
                return bytes(response.read(max_bytes + 1))
            finally:
                response.close()
                response.release_conn()

        data = await self._call(bucket, key, read)
        if len(data) > max_bytes:
            raise ObjectTooLarge(f"{bucket}/{key} has more than {max_bytes} bytes")
        return data

    async def read_span(self, bucket: str, key: str, start: int, size: int, *, if_etag: str) -> bytes:
        """`size` bytes from `start` on, never others. Raises ObjectChanged, and ObjectError when they are not there."""
        headers: object_transfers.Headers = {"If-Match": f'"{if_etag}"'}

        def read() -> tuple[str, bytes]:
            response = self._client.get_object(bucket, key, offset=start, length=size, request_headers=headers)
            try:
                return response.headers.get("Content-Range", ""), bytes(response.read(size))
            finally:
                response.close()
                response.release_conn()

        span, data = await self._call(bucket, key, read)
        if len(data) != size or not span.startswith(f"bytes {start}-{start + size - 1}/"):
            raise ObjectError(f"{bucket}/{key}: the store does not answer with bytes {start} to {start + size - 1}")
        return data

    async def stream(self, bucket: str, key: str, chunk: int = 1 << 20) -> AsyncGenerator[bytes, None]:
        """The object's bytes, `chunk` at a time. Close it (`contextlib.aclosing`) when leaving early."""
        stop = Event()
        chunks = object_transfers.read_chunks(self._client, stop, bucket, key, chunk=chunk)
        try:
            while data := await self._transfer(bucket, key, lambda _: next(chunks, b"")):
                yield data
        finally:
            with suppress(ValueError):  # a thread that hangs in the network still reads
                chunks.close()

    async def digest(self, bucket: str, key: str, *, if_etag: str | None = None, on_read: OnBytes = untold) -> Digest:
        """sha256 (hexadecimal) and size, without keeping the bytes. Raises ObjectChanged as `download` does."""
        return await self._transfer(
            bucket, key, lambda stop: object_transfers.digest(self._client, stop, bucket, key, if_etag, on_read=on_read)
        )

    async def download(
        self, bucket: str, key: str, path: Path, *, if_etag: str | None = None, on_read: OnBytes = untold
    ) -> Digest:
        """Into a file; sha256 (hexadecimal) and size of what arrived. No file is left after a failure.

        `on_read` hears in a worker thread of every so many bytes more, and so in all transfers below. Raises
        ObjectChanged if the object has another ETag than `if_etag`.
        """
        return await self._transfer(bucket, key, lambda stop: object_transfers.download(
            self._client, stop, bucket, key, path, etag=if_etag, on_read=on_read,
        ))  # fmt: skip

    async def pour(
        self, bucket: str, key: str, sink: Callable[[bytes], object], *, if_etag: str | None = None
    ) -> Digest:
        """Into anything, which is called in a worker thread with one chunk after the other; sha256 and size as above.

        Raises ObjectChanged if the object has another ETag than `if_etag`, and whatever the sink raises.
        """
        return await self._transfer(
            bucket, key, lambda stop: object_transfers.pour(self._client, stop, bucket, key, sink, etag=if_etag)
        )

    async def upload(self, bucket: str, key: str, path: Path) -> Digest:
        """A file; its sha256 (hexadecimal) and size. The object appears whole or not at all. Raises OSError."""
        size = self._settings.part_size
        return await self._transfer(
            bucket, key, lambda stop: object_transfers.upload(self._client, stop, bucket, key, path, part_size=size)
        )

    async def put(self, bucket: str, key: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """For what is in memory anyway; the ETag."""
        headers: object_transfers.Headers = {"Content-Type": content_type}
        written = await self._call(bucket, key, lambda: self._client._put_object(bucket, key, data, headers))
        return str(written.etag)

    async def copy(
        self, src_bucket: str, src_key: str, bucket: str, key: str, *,
        if_etag: str | None = None, resume: Resume | None = None, on_copied: OnBytes = untold,
    ) -> ObjectInfo:  # fmt: skip
        """Inside the store. Raises ObjectChanged if the source has another ETag, or gets one meanwhile.

        With `resume` a copy in parts goes on where an earlier one ended, and its parts outlast a failure.
        """
        source = await self._source(src_bucket, src_key, if_etag)
        etag = await self._transfer(bucket, key, lambda stop: object_transfers.copy(
            self._client, stop, (src_bucket, src_key), bucket, key, size=source.size, etag=source.etag,
            part_size=self._settings.copy_part_size, resume=resume, on_copied=on_copied,
        ))  # fmt: skip
        return ObjectInfo(key, source.size, etag)

    async def copy_and_digest(
        self, src_bucket: str, src_key: str, bucket: str, key: str, *, if_etag: str | None = None,
        resume: Resume | None = None, on_copied: OnBytes = untold, on_read: OnBytes = untold,
    ) -> Digest:  # fmt: skip
        """Copy inside the store while the source's bytes are hashed here; sha256 (hexadecimal) and size.

        Raises ObjectChanged if the source changes meanwhile; the destination may then exist and is to be removed.
        """
        source = await self._source(src_bucket, src_key, if_etag)
        return await self._transfer(bucket, key, lambda stop: object_transfers.copy_and_digest(
            self._client, stop, (src_bucket, src_key), bucket, key, size=source.size, etag=source.etag,
            part_size=self._settings.copy_part_size, resume=resume, on_copied=on_copied, on_read=on_read,
        ))  # fmt: skip

    async def remove(self, bucket: str, key: str) -> None:
        """No error when there is no such object."""
        await self._call(bucket, key, lambda: self._client.remove_object(bucket, key))

    async def remove_prefix(self, bucket: str, prefix: str) -> int:
        """Everything below a prefix that ends with `/`; how many objects that were."""
        if not prefix.endswith("/") or prefix.startswith("/"):
            raise ValueError(f"{prefix!r} must be a folder: not empty, ending with /")
        removed = 0
        async for page in self._pages(bucket, prefix):
            names = [DeleteObject(found.key) for found in page]
            errors = await self._call(bucket, prefix, partial(self._remove, bucket, names))
            if errors:
                raise ObjectError(f"{bucket}/{prefix}: {len(errors)} objects stay: {errors[0].code}")
            removed += len(page)
        return removed

    async def begin_multipart(self, bucket: str, key: str) -> str:
        """The id of an upload whose parts a client sends by `presign_part`."""
        return await self._call(bucket, key, lambda: self._client._create_multipart_upload(bucket, key, {}))

    async def complete_multipart(self, bucket: str, key: str, upload_id: str, etags: Sequence[str]) -> str:
        """Make the object of its parts, in order; its ETag. Raises ObjectError when a part is missing or differs."""
        parts = {number: etag.strip('"') for number, etag in enumerate(etags, 1)}
        return await self._call(
            bucket, key, lambda: object_multiparts.complete(self._client, bucket, key, upload_id, parts)
        )

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        """Free the parts. No error when there is no such upload."""
        with suppress(NoSuchObject):
            await self._call(bucket, key, lambda: self._client._abort_multipart_upload(bucket, key, upload_id))

    async def list_parts(self, bucket: str, key: str, upload_id: str) -> tuple[ObjectPart, ...]:
        """What has arrived whole, by number. Raises NoSuchObject when there is no such upload (any more)."""
        parts = await self._call(
            bucket, key, lambda: list(object_multiparts.list_parts(self._client, bucket, key, upload_id))
        )
        return tuple(ObjectPart(part.part_number, part.size or 0, part.etag) for part in parts)

    async def abort_multiparts(self, bucket: str, prefix: str) -> int:
        """Free the parts of what was begun below a folder and never joined, at most 1000; how many uploads that were.

        MinIO lists them by whole keys only and finds nothing below a folder: what is known by id, abort by id.
        """
        listed = await self._call(bucket, prefix, lambda: self._client._list_multipart_uploads(bucket, prefix=prefix))
        for found in listed.uploads:
            await self.abort_multipart(bucket, found.object_name or "", found.upload_id or "")
        return len(listed.uploads)

    def _remove(self, bucket: str, names: Sequence[DeleteObject]) -> Sequence[DeleteError]:
        return tuple(self._client.remove_objects(bucket, names))

    async def _source(self, bucket: str, key: str, etag: str | None) -> ObjectInfo:
        source = await self.stat(bucket, key)
        if source is None:
            raise NoSuchObject(f"there is no object {bucket}/{key}")
        if etag is not None and source.etag != etag.strip('"'):
            raise ObjectChanged(f"{bucket}/{key} is not the one that was looked at")
        return source

    async def _pages(self, bucket: str, prefix: str) -> "AsyncIterator[Sequence[ObjectInfo]]":
        found = self._client.list_objects(bucket, prefix=prefix, recursive=True)
        while page := await self._call(bucket, prefix, lambda: [*islice(found, _PAGE)]):
            yield [_info(each) for each in page if not each.is_dir]


def _info(found: Object) -> ObjectInfo:
    modified = round(found.last_modified.timestamp() * 1000) if found.last_modified else None
    return ObjectInfo(str(found.object_name), found.size or 0, (found.etag or "").strip('"'), modified)
