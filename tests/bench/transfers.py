"""Large files and many small ones: upload and download beside the bare S3 client, imports beside copy and hash."""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import psutil
from figures import Aim, Table, load, median
from yard import Yard, running_yard

from modelyard import Client, transfer
from modelyard_formats.package.inspect_child import inspect_package
from modelyard_store.objects import Objects
from modelyard_testkit import models

_MIB = 1 << 20
_BLOCK = 64 * _MIB
_AT_ONCE = 16

Step = Callable[[], Awaitable[object]]


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    megabytes, large, small = (256, 1_024, 100) if quick else (2_048, 10_240, 1_000)
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs
    inspection = await asyncio.to_thread(_inspection, folder)
    async with running_yard(folder / "yard") as yard:
        objects = yard.objects()
        with yard.client() as client:
            moved, aims = await _beside_s3(yard, client, objects, folder, megabytes, 1 if quick else 3)
            many = await _many(yard, client, objects, folder, small)
            huge, flat = await _huge(yard, client, objects, folder, large)
        await objects.close()
    return [moved, many, huge, inspection], [*aims, flat]


async def _beside_s3(
    yard: Yard, client: Client, objects: Objects, folder: Path, megabytes: int, repeats: int
) -> tuple[Table, list[Aim]]:
    """The command line's own functions against one client of the store, in turn."""
    bucket = yard.details["s3"]["buckets"]["artifacts"]
    source = folder / "sent"
    _random_file(source / "model" / "weights.bin", megabytes)
    back = folder / "back"
    took: dict[str, list[float]] = {"upload": [], "bare upload": [], "download": [], "bare download": []}
    for turn in range(repeats):
        ids: list[str] = []
        (source / "model" / "weights.bin").touch()  # another time of change is another upload

        async def send(ids: list[str] = ids) -> None:
            ids.append(await asyncio.to_thread(transfer.upload, client, transfer.files_below(source), lambda _: None))

        async def send_bare(turn: int = turn) -> None:
            await objects.upload(bucket, f"bench/{turn}", source / "model" / "weights.bin")

        took["upload"].append(await _timed(send))
        took["bare upload"].append(await _timed(send_bare))
        links = await _links(objects, bucket, f"bench/{turn}", source / "model" / "weights.bin")

        async def fetch(links: dict[str, object] = links, turn: int = turn) -> None:
            await asyncio.to_thread(transfer.download, links, back / str(turn), lambda _: None)

        async def fetch_bare(turn: int = turn) -> None:
            await objects.download(bucket, f"bench/{turn}", back / "bare")

        took["download"].append(await _timed(fetch))
        took["bare download"].append(await _timed(fetch_bare))
        await objects.remove(bucket, f"bench/{turn}")
        await objects.remove_prefix(bucket, f"default/uploads/{ids[0]}/")
    table = Table(
        f"One file of {megabytes:,} MiB, by the client and by a bare S3 client",
        ("way", "client, s", "MiB/s", "bare S3 client, s", "MiB/s", "client ÷ bare", "runs", "load"),
        notes=[
            "Client: the functions of the command line, presigned URLs, begin and complete included; a download is "
            "checked against its sha256. Bare: one multipart upload or one streamed download by the `minio` client, "
            "which hashes too. In turn, medians."
        ],
    )
    aims = []
    for way in ("upload", "download"):
        mine, bare = median(took[way]), median(took[f"bare {way}"])
        table.rows.append((way, mine, megabytes / mine, bare, megabytes / bare, f"{mine / bare:.2f}×", repeats, load()))
        if way == "upload":
            aims.append(Aim("upload against the bare client", "≤ 1.15×", f"{mine / bare:.2f}×", mine / bare <= 1.15))
    return table, aims


async def _links(objects: Objects, bucket: str, key: str, path: Path) -> dict[str, object]:
    sha256, size = await objects.digest(bucket, key)
    url = await objects.presign_get(bucket, key, 3600)
    return {"files": [{"path": path.name, "size": size, "sha256": sha256, "url": url}]}


async def _many(yard: Yard, client: Client, objects: Objects, folder: Path, count: int) -> Table:
    """Many small models at once, all from one folder of the training bucket."""
    bucket = yard.details["s3"]["buckets"]["training"]
    await _put_package(objects, bucket, "small/", models.package(folder / "small", models.digits_like_mlp))
    limit = asyncio.Semaphore(_AT_ONCE)
    location = f"s3://{bucket}/small/"

    async def create(number: int) -> None:
        async with limit:
            body = {"model_name": f"small-{number % 50}", "source_location": location}
            await asyncio.to_thread(client.post, "models", body)

    started = time.perf_counter()
    await asyncio.gather(*(create(number) for number in range(count)))
    asked = time.perf_counter() - started
    while await asyncio.to_thread(_publishing, client):  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.2)
    took = time.perf_counter() - started
    table = Table(
        f"{count:,} small models at once",
        ("models", "accepted, s", "all published, s", "published per second", "load"),
        notes=[f"A 20 KB ONNX each, {_AT_ONCE} callers, one stack on two cores with four imports at a time."],
    )
    failed = await asyncio.to_thread(client.get, "models", model_status="failed", limit=1)
    if failed["count"]:
        raise RuntimeError("an import failed")
    table.rows.append((count, asked, took, count / took, load()))
    return table


def _publishing(client: Client) -> bool:
    return bool(client.get("models", model_status="publishing", limit=1)["count"])


async def _huge(yard: Yard, client: Client, objects: Objects, folder: Path, megabytes: int) -> tuple[Table, Aim]:
    """One large model: what the services' processes hold meanwhile, and the same bytes copied and hashed bare."""
    bucket, artifacts = (yard.details["s3"]["buckets"][name] for name in ("training", "artifacts"))
    package = models.package(folder / "huge", models.with_external_data)
    await _put_package(objects, bucket, "huge/", package)
    extra = folder / "extra.bin"
    _random_file(extra, megabytes)
    await objects.upload(bucket, "huge/model/extra.bin", extra)
    extra.unlink()
    before, peak = _python_rss(yard), 0
    started = time.perf_counter()
    body = {"model_name": "huge", "source_location": f"s3://{bucket}/huge/"}
    created = await asyncio.to_thread(client.post, "models", body)
    shown = created
    while shown.get("model_status", "publishing") == "publishing":
        await asyncio.sleep(0.25)
        peak = max(peak, _python_rss(yard))
        shown = await asyncio.to_thread(client.get, f"models/{created['model_id']}")
    took = time.perf_counter() - started
    if shown["model_status"] != "published":
        raise RuntimeError(f"the import failed: {shown['failure']}")

    async def copy() -> None:
        await objects.copy(bucket, "huge/model/extra.bin", artifacts, "bench/copy")

    async def digest() -> None:
        await objects.digest(bucket, "huge/model/extra.bin")

    bare = await _timed(copy) + await _timed(digest)
    await objects.remove(artifacts, "bench/copy")
    more = (peak - before) / 1e6
    table = Table(
        f"One model of {megabytes:,} MiB",
        ("import, s", "MiB/s", "bare copy + hash, s", "import ÷ bare", "more memory at the peak, MB", "load"),
        notes=[
            "All services run in one Python process; memory is the RSS of all Python processes of the stack above what "
            "it was before, so the inspecting subprocess counts. The S3 server's own is not in it."
        ],
    )
    table.rows.append((took, megabytes / took, bare, f"{took / bare:.2f}×", more, load()))
    return table, Aim(f"memory for a model of {megabytes:,} MiB", "< 200 MB", f"{more:.0f} MB more", more < 200)


def _python_rss(yard: Yard) -> int:
    """Bytes."""
    held = 0
    for process in yard.tree():
        with contextlib.suppress(psutil.Error):
            held += process.memory_info().rss if process.name() not in ("weed", "nats-server") else 0
    return held


def _inspection(folder: Path) -> Table:
    table = Table(
        "Inspecting an ONNX model, ms",
        ("model", "median of 5", "load"),
        notes=["The whole check of a package in a local folder, in a warm process: structure only, no weights."],
    )
    for megabytes in (5, 500):
        config = models.digits_config(preprocessing=None, labels=None, outputs=None)
        root = models.package(
            folder / f"inspected-{megabytes}",
            partial(models.random_model, megabytes=megabytes),
            config=config,
        )
        took = []
        for _ in range(6):
            started = time.perf_counter()
            report = inspect_package({"root": str(root)})
            took.append((time.perf_counter() - started) * 1000)
            if report["problems"]:
                raise RuntimeError(f"the package is refused: {report['problems'][0]}")
        table.rows.append((f"{megabytes} MiB", median(took[1:]), load()))
    return table


async def _put_package(objects: Objects, bucket: str, prefix: str, package: Path) -> None:
    for file in package.rglob("*"):  # noqa: ASYNC240 - a handful of files
        if file.is_file():
            await objects.upload(bucket, f"{prefix}{file.relative_to(package).as_posix()}", file)


def _random_file(path: Path, megabytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    block = os.urandom(_BLOCK)
    with path.open("wb") as file:
        for _ in range(megabytes * _MIB // _BLOCK):
            file.write(block)


async def _timed(step: Step) -> float:
    """Seconds."""
    started = time.perf_counter()
    await step()
    return time.perf_counter() - started
