"""Large transfers, as they run in a worker thread. Called by `objects` only.

Each takes an Event that a cancelled caller sets: it is looked at between chunks and parts, and then the multipart
upload is aborted and the partial file removed. Bytes are hashed in a second thread while the next ones arrive.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import parse_copy_object

from modelyard_store.object_errors import ObjectChanged, ObjectError, Stopped
from modelyard_store.object_multiparts import OnBytes, Resume, Travelling, collect, kept_multipart, multipart, untold

CHUNK = 1 << 20  # a larger one was no faster; up to three per transfer are in memory
_MOST_PARTS = 9_000  # S3 allows 10 000
_AT_ONCE = 3

Digest = tuple[str, int]
Headers = dict[str, str | list[str] | tuple[str]]


def read_chunks(
    client: Minio, stop: Event, bucket: str, key: str, *, etag: str | None = None, chunk: int = CHUNK
) -> Generator[bytes, None, None]:
    """The object's bytes; with `etag`, only of that very object."""
    response = client.get_object(bucket, key, request_headers={"If-Match": f'"{etag}"'} if etag else None)
    try:
        while data := response.read(chunk):
            if stop.is_set():
                raise Stopped
            yield data
    finally:
        response.close()
        response.release_conn()


def hash_while_passing(chunks: Iterable[bytes], sink: Callable[[bytes], object], on_read: OnBytes = untold) -> Digest:
    """sha256 (hexadecimal) and size of what went into the sink."""
    digest, size = hashlib.sha256(), 0
    hashing: Future[None] | None = None
    with ThreadPoolExecutor(1) as hasher:
        for data in chunks:
            if hashing is not None:
                hashing.result()
            hashing = hasher.submit(digest.update, data)
            sink(data)
            size += len(data)
            on_read(len(data))
    return digest.hexdigest(), size


def digest(
    client: Minio, stop: Event, bucket: str, key: str, etag: str | None = None, *, on_read: OnBytes = untold
) -> Digest:
    chunks = read_chunks(client, stop, bucket, key, etag=etag)
    return hash_while_passing(chunks, len, on_read)  # a sink that keeps nothing


def download(
    client: Minio, stop: Event, bucket: str, key: str, path: Path, *, etag: str | None, on_read: OnBytes
) -> Digest:
    """Into a new or emptied file, which is removed again unless all of it arrived."""
    try:
        with path.open("wb") as file:
            return hash_while_passing(read_chunks(client, stop, bucket, key, etag=etag), file.write, on_read)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def pour(
    client: Minio, stop: Event, bucket: str, key: str, sink: Callable[[bytes], object], *, etag: str | None = None
) -> Digest:
    return hash_while_passing(read_chunks(client, stop, bucket, key, etag=etag), sink)


def upload(client: Minio, stop: Event, bucket: str, key: str, path: Path, *, part_size: int) -> Digest:
    """A file up to `part_size` in one request, a larger one in parts, several at once. The object appears whole."""
    headers: Headers = {"Content-Type": "application/octet-stream"}
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= part_size:
            data = file.read(part_size + 1)
            client._put_object(bucket, key, data, headers)  # put_object would copy it once more
            return hashlib.sha256(data).hexdigest(), len(data)
        step = max(part_size, -(-size // _MOST_PARTS))
        whole = hashlib.sha256()
        with multipart(client, bucket, key) as (upload_id, parts), ThreadPoolExecutor(_AT_ONCE) as pool:
            travelling: Travelling = deque()
            while data := file.read(step):
                number = len(parts) + len(travelling) + 1
                sending = pool.submit(client._upload_part, bucket, key, data, None, upload_id, number)
                travelling.append((number, len(data), sending))
                whole.update(data)
                collect(travelling, parts, keep=_AT_ONCE, stop=stop)
            collect(travelling, parts, keep=0, stop=stop)
            if file.tell() != size:
                raise ObjectError(f"{path} changed its size while it was uploaded")
    return whole.hexdigest(), size


def copy(
    client: Minio, stop: Event, source: tuple[str, str], bucket: str, key: str, *,
    size: int, etag: str, part_size: int, resume: Resume | None = None, on_copied: OnBytes = untold,
) -> str:  # fmt: skip
    """Inside the store, only while the source has this ETag; in parts when larger than `part_size`. The new ETag."""
    headers = CopySource(*source, match_etag=etag).gen_copy_headers()
    if size <= part_size:
        made = parse_copy_object(client._execute("PUT", bucket, key, headers=dict(headers)))[0]
        on_copied(size)
        return made
    step = max(part_size, -(-size // _MOST_PARTS))
    spans = {number: range(start, min(start + step, size)) for number, start in enumerate(range(0, size, step), 1)}

    def send(upload_id: str, number: int) -> str:
        span = {"x-amz-copy-source-range": f"bytes={spans[number].start}-{spans[number].stop - 1}"}
        return client._upload_part_copy(bucket, key, upload_id, number, {**headers, **span})[0]

    opened = multipart(client, bucket, key) if resume is None else kept_multipart(client, bucket, key, resume, spans)
    with opened as (upload_id, parts), ThreadPoolExecutor(_AT_ONCE) as pool:
        on_copied(sum(len(spans[number]) for number in parts))
        travelling: Travelling = deque()
        for number in [number for number in spans if number not in parts]:
            travelling.append((number, len(spans[number]), pool.submit(send, upload_id, number)))
            collect(travelling, parts, keep=_AT_ONCE, stop=stop, on_bytes=on_copied)
        collect(travelling, parts, keep=0, stop=stop, on_bytes=on_copied)
    return client.stat_object(bucket, key).etag or ""


def copy_and_digest(
    client: Minio, stop: Event, source: tuple[str, str], bucket: str, key: str, *,
    size: int, etag: str, part_size: int, resume: Resume | None, on_copied: OnBytes, on_read: OnBytes,
) -> Digest:  # fmt: skip
    """Both at once. Each reads the object with this ETag or fails, so the digest is that of the copy."""
    other = Event()
    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(
            copy, client, other, source, bucket, key,
            size=size, etag=etag, part_size=part_size, resume=resume, on_copied=on_copied,
        )  # fmt: skip
        try:
            found = digest(client, stop, *source, etag, on_read=on_read)
            copying.result()
        except BaseException:
            other.set()
            raise
    # The last look is for stores that take the conditions above and do not mind them.
    if found[1] != size or client.stat_object(*source).etag != etag or client.stat_object(bucket, key).size != size:
        raise ObjectChanged(f"{'/'.join(source)} changed while it was copied")
    return found
