"""Objects that are made of parts: begun, continued by somebody else, joined. Called by `objects` and its transfers."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event

from minio import Minio
from minio.datatypes import Part
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from modelyard_store.object_errors import ObjectError, Stopped

OnBytes = Callable[[int], object]
Travelling = deque[tuple[int, int, Future[str]]]  # part number, bytes, its ETag to come


@dataclass(frozen=True, slots=True)
class Resume:
    """A copy in parts that outlives whoever began it: whatever happens, its parts stay. The caller aborts at last.

    `upload_id` is what an earlier try left; `began` is told the id in a worker thread, before any part is copied.
    """

    upload_id: str | None
    began: Callable[[str], object]


def untold(_: int) -> None:
    """For callers who do not ask how far it is."""


@contextmanager
def multipart(client: Minio, bucket: str, key: str) -> Iterator[tuple[str, dict[int, str]]]:
    """Completed with the parts (number, ETag) that the block has put in; aborted when the block raises."""
    upload_id = client._create_multipart_upload(bucket, key, {})
    parts: dict[int, str] = {}
    try:
        yield upload_id, parts
        complete(client, bucket, key, upload_id, parts)
    except BaseException:
        with suppress(MinioException, HTTPError):  # what went wrong first is what the caller has to hear
            client._abort_multipart_upload(bucket, key, upload_id)
        raise


@contextmanager
def kept_multipart(
    client: Minio, bucket: str, key: str, resume: Resume, spans: Mapping[int, range]
) -> Iterator[tuple[str, dict[int, str]]]:
    """Begins with the parts that are there already, and is not aborted. Parts of another length than the one that is
    wanted now (the part size was set anew) are no use, and neither is the rest of such an upload."""
    upload_id, parts = resume.upload_id, dict[int, str]()
    if upload_id is not None:
        listed = _parts_left(client, bucket, key, upload_id)
        if listed is None or any(len(spans.get(part.part_number, ())) != part.size for part in listed):
            with suppress(MinioException, HTTPError):
                client._abort_multipart_upload(bucket, key, upload_id)
            upload_id = None
        else:
            parts = {part.part_number: part.etag for part in listed}
    if upload_id is None:
        upload_id = client._create_multipart_upload(bucket, key, {})
        resume.began(upload_id)
    yield upload_id, parts
    complete(client, bucket, key, upload_id, parts)


def _parts_left(client: Minio, bucket: str, key: str, upload_id: str) -> list[Part] | None:
    """None when there is no such upload any more."""
    try:
        return list(list_parts(client, bucket, key, upload_id))
    except S3Error as error:
        if error.code != "NoSuchUpload":
            raise
        return None


def list_parts(client: Minio, bucket: str, key: str, upload_id: str) -> Iterator[Part]:
    """Every part that arrived whole, by number."""
    marker: str | None = None
    while True:
        page = client._list_parts(bucket, key, upload_id, part_number_marker=marker)
        yield from page.parts
        marker = page.next_part_number_marker
        if not page.is_truncated or not marker:
            return


def complete(client: Minio, bucket: str, key: str, upload_id: str, parts: Mapping[int, str]) -> str:
    """The ETag. Raises ObjectError for an error that the store sends with status 200, as S3 may."""
    joined = [Part(number, parts[number]) for number in sorted(parts)]
    etag = client._complete_multipart_upload(bucket, key, upload_id, joined).etag
    if not etag:
        raise ObjectError(f"{bucket}/{key}: the store did not complete the upload")
    return etag


def collect(
    travelling: Travelling, parts: dict[int, str], *, keep: int, stop: Event, on_bytes: OnBytes = untold
) -> None:
    while len(travelling) > keep:
        number, size, part = travelling.popleft()
        parts[number] = part.result()
        on_bytes(size)
    if stop.is_set():
        raise Stopped
