"""Large transfers, as they run in a worker thread. Called by `objects` only.

Each takes an Event that a cancelled caller sets: it is looked at between chunks and parts, and then the multipart
upload is aborted and the partial file removed. Bytes are hashed in a second thread while the next ones arrive.
"""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Part, parse_copy_object
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from modelyard_store.object_errors import ObjectChanged, ObjectError, Stopped

CHUNK = 4 << 20
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


def hash_while_passing(chunks: Iterable[bytes], sink: Callable[[bytes], object]) -> Digest:
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
    return digest.hexdigest(), size


def digest(client: Minio, stop: Event, bucket: str, key: str, etag: str | None = None) -> Digest:
    return hash_while_passing(read_chunks(client, stop, bucket, key, etag=etag), len)  # a sink that keeps nothing


def download(client: Minio, stop: Event, bucket: str, key: str, path: Path, *, etag: str | None = None) -> Digest:
    """Into a new or emptied file, which is removed again unless all of it arrived."""
    try:
        with path.open("wb") as file:
            return hash_while_passing(read_chunks(client, stop, bucket, key, etag=etag), file.write)
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
        with _multipart(client, bucket, key) as (upload_id, parts), ThreadPoolExecutor(_AT_ONCE) as pool:
            travelling: deque[Future[str]] = deque()
            while data := file.read(step):
                number = len(parts) + len(travelling) + 1
                travelling.append(pool.submit(client._upload_part, bucket, key, data, None, upload_id, number))
                whole.update(data)
                _collect(travelling, parts, keep=_AT_ONCE, stop=stop)
            _collect(travelling, parts, keep=0, stop=stop)
            if file.tell() != size:
                raise ObjectError(f"{path} changed its size while it was uploaded")
    return whole.hexdigest(), size


def copy(
    client: Minio, stop: Event, source: tuple[str, str], bucket: str, key: str, *, size: int, etag: str, part_size: int
) -> str:
    """Inside the store, only while the source has this ETag; in parts when larger than `part_size`. The new ETag."""
    headers = CopySource(*source, match_etag=etag).gen_copy_headers()
    if size <= part_size:
        return parse_copy_object(client._execute("PUT", bucket, key, headers=dict(headers)))[0]
    step = max(part_size, -(-size // _MOST_PARTS))

    def send(upload_id: str, number: int, start: int) -> str:
        span = {"x-amz-copy-source-range": f"bytes={start}-{min(start + step, size) - 1}"}
        return client._upload_part_copy(bucket, key, upload_id, number, {**headers, **span})[0]

    with _multipart(client, bucket, key) as (upload_id, parts), ThreadPoolExecutor(_AT_ONCE) as pool:
        travelling: deque[Future[str]] = deque()
        for number, start in enumerate(range(0, size, step), 1):
            travelling.append(pool.submit(send, upload_id, number, start))
            _collect(travelling, parts, keep=_AT_ONCE, stop=stop)
        _collect(travelling, parts, keep=0, stop=stop)
    return client.stat_object(bucket, key).etag or ""


def copy_and_digest(
    client: Minio, stop: Event, source: tuple[str, str], bucket: str, key: str, *, size: int, etag: str, part_size: int
) -> Digest:
    """Both at once. Each reads the object with this ETag or fails, so the digest is that of the copy."""
    other = Event()
    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(copy, client, other, source, bucket, key, size=size, etag=etag, part_size=part_size)
        try:
            found = digest(client, stop, *source, etag)
            copying.result()
        except BaseException:
            other.set()
            raise
    # The last look is for stores that take the conditions above and do not mind them.
    if found[1] != size or client.stat_object(*source).etag != etag or client.stat_object(bucket, key).size != size:
        raise ObjectChanged(f"{'/'.join(source)} changed while it was copied")
    return found


@contextmanager
def _multipart(client: Minio, bucket: str, key: str) -> Iterator[tuple[str, list[Part]]]:
    """Completed with the parts that the block has put into the list; aborted when the block raises."""
    upload_id = client._create_multipart_upload(bucket, key, {})
    parts: list[Part] = []
    try:
        yield upload_id, parts
        complete(client, bucket, key, upload_id, parts)
    except BaseException:
        with suppress(MinioException, HTTPError):  # what went wrong first is what the caller has to hear
            client._abort_multipart_upload(bucket, key, upload_id)
        raise


def complete(client: Minio, bucket: str, key: str, upload_id: str, parts: list[Part]) -> str:
    """The ETag. Raises ObjectError for an error that the store sends with status 200, as S3 may."""
    etag = client._complete_multipart_upload(bucket, key, upload_id, parts).etag
    if not etag:
        raise ObjectError(f"{bucket}/{key}: the store did not complete the upload")
    return etag


def _collect(travelling: deque[Future[str]], parts: list[Part], *, keep: int, stop: Event) -> None:
    while len(travelling) > keep:
        parts.append(Part(len(parts) + 1, travelling.popleft().result()))
    if stop.is_set():
        raise Stopped
