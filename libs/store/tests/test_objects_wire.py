"""Objects on a real S3 alone: its requests one by one, its credentials, and links that somebody follows."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from modelyard_local.servers import S3Server
from modelyard_store import object_transfers
from modelyard_store.documents import StoreUnavailable
from modelyard_store.object_links import attachment
from modelyard_store.objects import (
    AccessDenied,
    NoSuchObject,
    ObjectChanged,
    ObjectError,
    ObjectInfo,
    Objects,
    ObjectSettings,
    ObjectStoreUnavailable,
    Resume,
)
from modelyard_testkit.objects import digest_of

pytestmark = pytest.mark.servers
MIB = 1 << 20
Connect = Callable[..., Objects]


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def objects(connect: Connect) -> Objects:
    return connect()


async def uploads_in_progress(objects: Objects, bucket: str) -> int:
    listed = await objects._call(bucket, "", lambda: objects._client._list_multipart_uploads(bucket))
    return len(listed.uploads)


async def test_wrong_credentials_and_no_server(connect: Connect, bucket: str) -> None:
    wrong = connect(secret_key="wrong")
    with pytest.raises(AccessDenied):
        await wrong.read(bucket, "x", 1)
    assert await wrong.check() is not None
    assert "wrong" not in repr(wrong._threads) + repr(ObjectSettings("e", "a", "wrong"))
    nobody = connect(endpoint="127.0.0.1:9")
    with pytest.raises(ObjectStoreUnavailable):
        await nobody.read(bucket, "x", 1)
    with pytest.raises(StoreUnavailable):
        await nobody.stat(bucket, "x")
    assert await nobody.check() is not None


async def test_listing_is_lazy(objects: Objects, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"p/{number:04}" for number in range(2100)]
    await asyncio.gather(*(objects.put(bucket, key, b"") for key in keys))
    asked = 0
    execute = objects._client._execute

    def counting(*args: object, **more: object) -> object:
        nonlocal asked
        asked += 1
        return execute(*args, **more)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(objects._client, "_execute", counting)
    async with aclosing(objects.list(bucket, "p/")) as found:
        assert [(await anext(found)).key for _ in range(3)] == keys[:3]
    assert asked == 1


@pytest.mark.parametrize("size", [6 * MIB, 13 * MIB])
@pytest.mark.parametrize("moment", ["get_object", "_execute", "_upload_part_copy"])
async def test_a_source_that_changes_during_the_copy_is_noticed(
    objects: Objects, connect: Connect, bucket: str, monkeypatch: pytest.MonkeyPatch, size: int, moment: str
) -> None:
    """Somebody overwrites the source just before one of the requests that the copy consists of."""
    await objects.put(bucket, "source", noise(size, 1))
    copier = connect()
    real = getattr(copier._client, moment)
    calls = 0

    def overwriting(*args: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2 or moment == "get_object":
            objects._client._put_object(bucket, "source", noise(size, 2), {})
        return real(*args, **more)

    monkeypatch.setattr(copier._client, moment, overwriting)
    if moment == "_upload_part_copy" and size == 6 * MIB:
        pytest.skip("copied in one piece")
    with pytest.raises(ObjectChanged):
        await copier.copy_and_digest(bucket, "source", bucket, "copy")
    assert await uploads_in_progress(objects, bucket) == 0


async def test_a_store_that_ignores_conditions_is_caught_at_the_end(
    objects: Objects, connect: Connect, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await objects.put(bucket, "source", noise(1000, 1))
    copier = connect()
    real = copier._client.get_object

    def late(bucket: str, key: str, **ignored: object) -> object:
        objects._client._put_object(bucket, key, noise(1000, 2), {})
        return real(bucket, key)

    monkeypatch.setattr(copier._client, "get_object", late)
    with pytest.raises(ObjectChanged):
        await copier.copy_and_digest(bucket, "source", bucket, "copy")


async def test_a_cancelled_upload_is_aborted(
    objects: Objects, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "up").write_bytes(noise(60 * MIB))
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    real = objects._client._upload_part

    def upload_part(*args: Any) -> Any:
        loop.call_soon_threadsafe(started.set)
        return real(*args)

    monkeypatch.setattr(objects._client, "_upload_part", upload_part)
    uploading = asyncio.create_task(objects.upload(bucket, "x", tmp_path / "up"))
    await started.wait()
    assert await uploads_in_progress(objects, bucket) == 1
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    assert await uploads_in_progress(objects, bucket) == 0
    assert await objects.stat(bucket, "x") is None


async def test_a_failing_part_aborts_the_upload(
    objects: Objects, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "up").write_bytes(noise(30 * MIB))
    real = objects._client._upload_part

    def upload_part(*args: Any) -> Any:
        if args[-1] == 3:
            raise urllib3.exceptions.ProtocolError("injected")
        return real(*args)

    monkeypatch.setattr(objects._client, "_upload_part", upload_part)
    with pytest.raises(ObjectStoreUnavailable):
        await objects.upload(bucket, "x", tmp_path / "up")
    assert await uploads_in_progress(objects, bucket) == 0
    assert await objects.stat(bucket, "x") is None


async def test_a_cancelled_download_leaves_no_file(
    objects: Objects, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await objects.put(bucket, "x", noise(30 * MIB))
    monkeypatch.setattr(object_transfers, "CHUNK", MIB)
    downloading = asyncio.create_task(objects.download(bucket, "x", tmp_path / "down"))
    while not (tmp_path / "down").exists():  # noqa: ASYNC110 - a file sets no event
        await asyncio.sleep(0)
    downloading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await downloading
    assert not (tmp_path / "down").exists()


async def test_bulk_work_does_not_hold_up_small_calls(objects: Objects, bucket: str) -> None:
    """More transfers than there are threads for them, and a call that is answered before any ends."""
    await objects.put(bucket, "x", noise(40 * MIB))
    hashing = [asyncio.create_task(objects.digest(bucket, "x")) for _ in range(20)]
    assert await objects.stat(bucket, "x") is not None
    assert not all(each.done() for each in hashing)
    assert len(set(await asyncio.gather(*hashing))) == 1


async def request(method: str, url: str, body: Any = None) -> urllib3.BaseHTTPResponse:
    return await asyncio.to_thread(urllib3.request, method, url, body=body, retries=False)


async def test_presigned_links(objects: Objects, bucket: str) -> None:
    put = await objects.presign_put(bucket, "up/模型.bin", 60, length=7)
    assert (await request("PUT", put, b"content")).status == 200
    assert (await request("GET", put)).status == 403
    get = await objects.presign_get(bucket, "up/模型.bin", 60, "卷积 网络 “v1”.onnx")
    answer = await request("GET", get)
    assert (answer.status, answer.data) == (200, b"content")
    assert answer.headers["content-disposition"] == attachment("卷积 网络 “v1”.onnx")
    assert (await request("GET", get.replace("up/", "other/"))).status == 403
    assert (await request("GET", get.partition("?")[0])).status == 403
    with pytest.raises(ObjectError):
        await objects.presign_get(bucket, "x", 8 * 86400)


@pytest.mark.parametrize("length", [0, 1000])
@pytest.mark.parametrize("key", ["plain", "with space+plus/模型~(1)=&?.bin"])
async def test_a_link_takes_exactly_the_bytes_it_was_made_for(
    objects: Objects, bucket: str, length: int, key: str
) -> None:
    url = await objects.presign_put(bucket, key, 60, length=length)
    for sent in (noise(length + 1), noise(5 * MIB), iter([noise(length), b""])):
        assert (await request("PUT", url, sent)).status in (403, 411)
    assert await objects.stat(bucket, key) is None
    assert (await request("PUT", url, noise(length))).status == 200
    assert (await objects.read(bucket, key, 2000)) == noise(length)


def test_attachment_names_are_exact_and_cannot_break_out() -> None:
    assert attachment("a.onnx") == "attachment; filename=\"a.onnx\"; filename*=UTF-8''a.onnx"
    assert (
        attachment('模"\r\nX: y/..') == "attachment; filename=\"__X: y_..\"; filename*=UTF-8''%E6%A8%A1%22X%3A%20y_.."
    )


async def test_presigned_links_name_the_public_endpoint(connect: Connect, bucket: str) -> None:
    objects = connect(public_endpoint="models.example.com", public_secure=True)
    for url in (await objects.presign_get(bucket, "x", 60), await objects.presign_put(bucket, "x", 60, length=1)):
        assert urlsplit(url)[:3] == ("https", "models.example.com", f"/{bucket}/x")
    assert await objects.stat(bucket, "x") is None


async def test_a_link_signed_for_another_name_works_under_that_name(
    connect: Connect, bucket: str, s3_server: S3Server
) -> None:
    objects = connect(public_endpoint=f"localhost:{s3_server.port}")
    await objects.put(bucket, "x", b"content")
    url = await objects.presign_get(bucket, "x", 60)
    assert (await request("GET", url)).data == b"content"
    assert (await request("GET", url.replace("localhost", "127.0.0.1"))).status == 403


async def test_a_client_uploads_parts_by_links(objects: Objects, bucket: str) -> None:
    data = noise(11 * MIB)
    upload_id = await objects.begin_multipart(bucket, "x")
    parts = [data[start : start + 5 * MIB] for start in range(0, len(data), 5 * MIB)]
    urls = [
        await objects.presign_part(bucket, "x", upload_id, n, 60, length=len(part)) for n, part in enumerate(parts, 1)
    ]
    assert (await request("PUT", urls[2], parts[2] + b"more")).status == 403
    answers = [await request("PUT", url, part) for url, part in zip(urls, parts, strict=True)]
    etag = await objects.complete_multipart(bucket, "x", upload_id, [each.headers["etag"] for each in answers])
    assert await objects.stat(bucket, "x") == ObjectInfo("x", len(data), etag)
    assert await objects.digest(bucket, "x") == digest_of(data)


async def test_an_upload_that_is_given_up_frees_its_parts(objects: Objects, bucket: str) -> None:
    upload_id = await objects.begin_multipart(bucket, "x")
    url = await objects.presign_part(bucket, "x", upload_id, 1, 60, length=1000)
    assert (await request("PUT", url, noise(1000))).status == 200
    with pytest.raises(ObjectError):
        await objects.complete_multipart(bucket, "x", upload_id, ["0" * 32])
    await objects.abort_multipart(bucket, "x", upload_id)
    await objects.abort_multipart(bucket, "x", upload_id)
    assert await uploads_in_progress(objects, bucket) == 0
    assert await objects.stat(bucket, "x") is None


@dataclass
class Kept:
    """What a caller keeps of a copy, to go on with it later."""

    upload_id: str | None = None
    copied: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def resume(self) -> Resume:
        return Resume(self.upload_id, lambda begun: setattr(self, "upload_id", begun))


def breaking(objects: Objects, monkeypatch: pytest.MonkeyPatch, *, at: int) -> list[int]:
    """Copies of parts fail from part `at` on; the numbers of those that are asked for."""
    real, asked = objects._client._upload_part_copy, list[int]()

    def upload_part_copy(*args: object) -> object:
        number = int(str(args[3]))
        asked.append(number)
        if number >= at:
            raise urllib3.exceptions.ProtocolError("injected")
        return real(*args)  # type: ignore[arg-type]  # whatever it was given

    monkeypatch.setattr(objects._client, "_upload_part_copy", upload_part_copy)
    return asked


async def test_a_copy_goes_on_where_the_one_before_ended(
    objects: Objects, connect: Connect, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, kept = noise(31 * MIB), Kept()
    await objects.put(bucket, "source", data)
    broken = connect()
    breaking(broken, monkeypatch, at=4)
    with pytest.raises(ObjectStoreUnavailable):
        await broken.copy(bucket, "source", bucket, "copy", resume=kept.resume())
    assert kept.upload_id is not None
    assert [part.size for part in await objects.list_parts(bucket, "copy", kept.upload_id)][:3] == [6 * MIB] * 3
    last = connect()
    asked = breaking(last, monkeypatch, at=99)
    found = await last.copy_and_digest(
        bucket, "source", bucket, "copy",
        resume=kept.resume(), on_copied=kept.copied.append, on_read=kept.read.append,
    )  # fmt: skip
    assert found == digest_of(data)
    assert sorted(asked) == [4, 5, 6]
    assert (kept.copied[0], sum(kept.copied), sum(kept.read)) == (18 * MIB, len(data), len(data))
    assert await objects.read(bucket, "copy", len(data)) == data
    with pytest.raises(NoSuchObject):
        await objects.list_parts(bucket, "copy", kept.upload_id)
    assert await uploads_in_progress(objects, bucket) == 0


@pytest.mark.parametrize("left", ["aborted", "of another part size"])
async def test_a_copy_whose_parts_are_no_use_begins_anew(
    objects: Objects, connect: Connect, bucket: str, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    data, kept = noise(20 * MIB), Kept()
    await objects.put(bucket, "source", data)
    broken = connect(copy_part_size=7 * MIB)
    breaking(broken, monkeypatch, at=2)
    with pytest.raises(ObjectStoreUnavailable):
        await broken.copy(bucket, "source", bucket, "copy", resume=kept.resume())
    before = kept.upload_id
    assert before is not None
    if left == "aborted":
        await objects.abort_multipart(bucket, "copy", before)
    await objects.copy(bucket, "source", bucket, "copy", resume=kept.resume())
    assert kept.upload_id != before
    assert await objects.read(bucket, "copy", len(data)) == data
    assert await uploads_in_progress(objects, bucket) == 0


async def test_a_silent_store_is_known_to_be(bucket: str, s3_server: S3Server, connect: Connect) -> None:
    objects = connect()
    await objects.put(bucket, "a", b"1")
    assert s3_server.pid
    os.kill(s3_server.pid, signal.SIGSTOP)
    try:
        given_up = asyncio.create_task(objects.stat(bucket, "a"))
        while not given_up.done():
            assert "timed out" in str(await objects.check(bucket))
        with pytest.raises(ObjectStoreUnavailable, match="does not answer"):
            await given_up
        async with asyncio.timeout(1):  # of a minute that a client waits
            with pytest.raises(ObjectStoreUnavailable, match="does not answer"):
                await objects.read(bucket, "a", 1)
            with pytest.raises(ObjectStoreUnavailable, match="does not answer"):
                await objects.digest(bucket, "a")
    finally:
        os.kill(s3_server.pid, signal.SIGCONT)
    while await objects.check(bucket) is not None:
        pass
    assert await objects.read(bucket, "a", 1) == b"1"
