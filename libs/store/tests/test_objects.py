"""What a store of objects does: one suite for the real S3 and for the one in memory that other tests stand on."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable
from contextlib import aclosing
from pathlib import Path

import pytest

from modelyard_store.objects import (
    NoSuchBucket,
    NoSuchObject,
    ObjectChanged,
    ObjectError,
    ObjectInfo,
    Objects,
    ObjectTooLarge,
)
from modelyard_testkit.objects import MemoryObjects, digest_of

MIB = 1 << 20


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture(params=[pytest.param("s3", marks=pytest.mark.servers), "memory"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "memory":
        return MemoryObjects()
    real: Objects = request.getfixturevalue("connect")()
    return real


async def uploads_in_progress(objects: Objects, bucket: str) -> int:
    """For the end of a test: they are aborted."""
    return await objects.abort_multiparts(bucket, "")


async def test_put_stat_read_remove(objects: Objects, bucket: str) -> None:
    etag = await objects.put(bucket, "a/模型 +&.bin", b"hello", "text/plain")
    assert await objects.stat(bucket, "a/模型 +&.bin") == ObjectInfo("a/模型 +&.bin", 5, etag)
    assert await objects.read(bucket, "a/模型 +&.bin", 5) == b"hello"
    with pytest.raises(ObjectTooLarge):
        await objects.read(bucket, "a/模型 +&.bin", 4)
    await objects.remove(bucket, "a/模型 +&.bin")
    await objects.remove(bucket, "a/模型 +&.bin")
    assert await objects.stat(bucket, "a/模型 +&.bin") is None


async def test_a_span_of_a_large_object(objects: Objects, bucket: str) -> None:
    data = noise(3 * MIB)
    etag = await objects.put(bucket, "x", data)
    assert await objects.read_span(bucket, "x", 0, 10, if_etag=etag) == data[:10]
    assert await objects.read_span(bucket, "x", 2 * MIB + 1, 2**16, if_etag=etag) == data[2 * MIB + 1 :][: 2**16]
    assert await objects.read_span(bucket, "x", len(data) - 7, 7, if_etag=etag) == data[-7:]
    with pytest.raises(ObjectError):
        await objects.read_span(bucket, "x", len(data) - 7, 8, if_etag=etag)
    await objects.put(bucket, "x", data[:-1])
    with pytest.raises(ObjectChanged):
        await objects.read_span(bucket, "x", 0, 10, if_etag=etag)


async def test_empty_objects(objects: Objects, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert await objects.upload(bucket, "empty", tmp_path / "empty") == digest_of(b"")
    assert await objects.digest(bucket, "empty") == digest_of(b"")
    assert await objects.copy_and_digest(bucket, "empty", bucket, "copy") == digest_of(b"")
    assert await objects.download(bucket, "copy", tmp_path / "back") == digest_of(b"")


async def test_buckets(objects: Objects, bucket: str) -> None:
    await asyncio.gather(*(objects.ensure_bucket(bucket) for _ in range(4)))
    await asyncio.gather(*(objects.ensure_bucket(f"{bucket}-new") for _ in range(4)))
    assert await objects.check() is None
    assert await objects.check(bucket) is None
    assert await objects.check("not-there") == "there is no bucket not-there"


async def test_what_is_missing_is_named(objects: Objects, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    no_objects: tuple[Awaitable[object], ...] = (
        objects.read(bucket, "nothing", 1),
        objects.digest(bucket, "nothing"),
        objects.download(bucket, "nothing", tmp_path / "x"),
        objects.copy(bucket, "nothing", bucket, "x"),
        objects.copy_and_digest(bucket, "nothing", bucket, "x"),
        objects.complete_multipart(bucket, "nothing", "0" * 32, ["e"]),
    )
    for missing in no_objects:
        with pytest.raises(NoSuchObject):
            await missing
    no_buckets: tuple[Awaitable[object], ...] = (
        objects.stat("not-there", "x"),
        objects.read("not-there", "x", 1),
        objects.put("not-there", "x", b""),
        objects.upload("not-there", "x", tmp_path / "file"),
        objects.begin_multipart("not-there", "x"),
        objects.copy("not-there", "x", bucket, "x"),
    )
    for missing in no_buckets:
        with pytest.raises(NoSuchBucket):
            await missing
    with pytest.raises(NoSuchBucket):
        _ = [found async for found in objects.list("not-there", "")]
    assert not (tmp_path / "x").exists()
    with pytest.raises(ObjectError):
        await objects.read(bucket, "a/../b", 1)


async def test_listing_is_ordered_and_a_folder_goes_at_once(objects: Objects, bucket: str) -> None:
    keys = [f"p/{number:04}" for number in range(2100)] + ["q/x", "p2"]
    await asyncio.gather(*(objects.put(bucket, key, b"") for key in keys))
    assert [found.key async for found in objects.list(bucket, "p/")] == keys[:2100]
    assert await objects.remove_prefix(bucket, "p/") == 2100
    assert sorted([found.key async for found in objects.list(bucket, "")]) == ["p2", "q/x"]
    assert await objects.remove_prefix(bucket, "p/") == 0
    for unsafe in ("", "/", "p"):
        with pytest.raises(ValueError, match="folder"):
            await objects.remove_prefix(bucket, unsafe)


@pytest.mark.parametrize("size", [1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 23 * MIB])
async def test_files_go_up_and_come_down(objects: Objects, bucket: str, tmp_path: Path, size: int) -> None:
    data = noise(size)
    (tmp_path / "up").write_bytes(data)
    assert await objects.upload(bucket, "x", tmp_path / "up") == digest_of(data)
    assert await objects.digest(bucket, "x") == digest_of(data)
    assert await objects.download(bucket, "x", tmp_path / "down") == digest_of(data)
    assert (tmp_path / "down").read_bytes() == data
    chunks = [chunk async for chunk in objects.stream(bucket, "x", 3 * MIB)]
    assert b"".join(chunks) == data
    assert {len(chunk) for chunk in chunks[:-1]} <= {3 * MIB}
    assert await uploads_in_progress(objects, bucket) == 0


@pytest.mark.parametrize("size", [1, 6 * MIB, 6 * MIB + 1, 20 * MIB])
async def test_copies_stay_in_the_store(objects: Objects, bucket: str, tmp_path: Path, size: int) -> None:
    data = noise(size)
    source = ObjectInfo("s/模型.bin", size, await objects.put(bucket, "s/模型.bin", data))
    copied = await objects.copy(bucket, source.key, bucket, "copy", if_etag=source.etag)
    assert await objects.stat(bucket, "copy") == copied
    assert await objects.read(bucket, "copy", size) == data
    assert await objects.copy_and_digest(bucket, source.key, bucket, "imported") == digest_of(data)
    assert await objects.read(bucket, "imported", size) == data
    for changed in (
        objects.copy(bucket, source.key, bucket, "other", if_etag="0" * 32),
        objects.download(bucket, source.key, tmp_path / "never", if_etag="0" * 32),
    ):
        with pytest.raises(ObjectChanged):
            await changed
    assert await objects.stat(bucket, "other") is None
    assert await uploads_in_progress(objects, bucket) == 0


async def test_whoever_asks_is_told_how_far_it_is(objects: Objects, bucket: str, tmp_path: Path) -> None:
    data, copied, read = noise(13 * MIB), list[int](), list[int]()
    await objects.put(bucket, "x", data)
    await objects.copy_and_digest(bucket, "x", bucket, "y", on_copied=copied.append, on_read=read.append)
    assert (sum(copied), sum(read)) == (len(data), len(data))
    await objects.copy(bucket, "x", bucket, "z", on_copied=copied.append)
    await objects.digest(bucket, "y", on_read=read.append)
    await objects.download(bucket, "z", tmp_path / "z", on_read=read.append)
    assert (sum(copied), sum(read)) == (2 * len(data), 3 * len(data))


async def test_pouring_sees_every_byte_of_that_very_object(objects: Objects, bucket: str, tmp_path: Path) -> None:
    data = noise(5 * MIB)
    etag = await objects.put(bucket, "x", data)
    seen = bytearray()
    assert await objects.pour(bucket, "x", seen.extend, if_etag=etag.strip('"')) == (
        hashlib.sha256(data).hexdigest(),
        len(data),
    )
    assert seen == data
    await objects.put(bucket, "x", b"other")
    with pytest.raises(ObjectChanged):
        await objects.pour(bucket, "x", seen.extend, if_etag=etag.strip('"'))
    with pytest.raises(ObjectChanged):
        await objects.download(bucket, "x", tmp_path / "x", if_etag=etag.strip('"'))
    assert not (tmp_path / "x").exists()


async def test_leaving_a_stream_early_gives_its_connection_back(objects: Objects, bucket: str) -> None:
    await objects.put(bucket, "x", noise(8 * MIB))
    for _ in range(100):
        async with aclosing(objects.stream(bucket, "x", MIB)) as chunks:
            assert len(await anext(chunks)) == MIB
    assert await objects.digest(bucket, "x") == digest_of(noise(8 * MIB))


async def test_links_are_signed_for_a_week_at_most(objects: Objects, bucket: str) -> None:
    assert (await objects.presign_get(bucket, "x", 7 * 86400)).startswith("http://")
    with pytest.raises(ObjectError):
        await objects.presign_get(bucket, "x", 8 * 86400)
    with pytest.raises(ObjectError):
        await objects.presign_part(bucket, "x", "0" * 32, 2, 8 * 86400, length=1)


async def test_an_upload_is_not_made_of_parts_that_never_arrived(objects: Objects, bucket: str) -> None:
    upload_id = await objects.begin_multipart(bucket, "x")
    assert await objects.list_parts(bucket, "x", upload_id) == ()
    with pytest.raises(ObjectError):
        await objects.complete_multipart(bucket, "x", upload_id, ["0" * 32])
    await objects.abort_multipart(bucket, "x", upload_id)
    await objects.abort_multipart(bucket, "x", upload_id)
    with pytest.raises(NoSuchObject):
        await objects.list_parts(bucket, "x", upload_id)
    assert await objects.stat(bucket, "x") is None


async def test_what_nobody_joined_below_a_folder_is_freed(objects: Objects, bucket: str) -> None:
    for key in ("mine/a", "mine/b", "mine/b", "other/c"):
        await objects.begin_multipart(bucket, key)
    assert await objects.abort_multiparts(bucket, "mine/") == 3
    assert await objects.abort_multiparts(bucket, "mine/") == 0
    assert await uploads_in_progress(objects, bucket) == 1
