"""What no user sees of a running `yard.Yard`: its streams, documents, objects and process ids. For fault tests."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.deadletters import DeadLetter, DeadLetters
from modelyard_contracts.catalogue import EVENTS
from modelyard_contracts.durables import all_durables
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_testkit.yard import Yard

T = TypeVar("T")
AT_ONCE = 16


def pid_of(yard: Yard, server: str) -> int:
    """Of `nats`, `s3`, or a service, from the record that its supervisor keeps. `up --processes` for services.

    Raises KeyError while it does not run.
    """
    folder = yard.data / server if server in ("nats", "s3") else yard.data / "services" / server
    record = json.loads((folder / "server.json").read_text("utf-8"))
    if record["server"] is None:
        raise KeyError(server)
    return int(record["server"]["pid"])


def process_of(yard: Yard, server: str) -> psutil.Process:
    return psutil.Process(pid_of(yard, server))


def as_operator(yard: Yard, work: Callable[[Bus], Awaitable[T]]) -> T:
    """`work` with a NATS connection that may do everything."""

    async def connected() -> T:
        password = json.loads((yard.data / "credentials.json").read_text("utf-8"))["nats"]["operator"]
        bus = await Bus.connect(BusSettings(yard.details["nats_url"], "operator", "operator", password))
        try:
            return await work(bus)
        finally:
            await bus.close()

    return asyncio.run(connected())


def events(yard: Yard, project: str | None = None) -> list[dict[str, Any]]:
    """What lies on the events stream, oldest first; nothing is ever deleted from it. What is no JSON, as other tests
    send it, is nobody's event."""

    async def read(bus: Bus) -> list[dict[str, Any]]:
        state = (await bus.js.stream_info(EVENTS.name)).state
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> dict[str, Any] | None:
            async with slots:
                try:
                    raw = await bus.js.get_msg(EVENTS.name, number)
                except Exception as error:
                    if "no message found" not in str(error):
                        raise
                    return None  # what showed that the stream stores does not stay
            with suppress(json.JSONDecodeError):
                decoded: dict[str, Any] = json.loads(raw.data or b"")
                return decoded
            return None

        found = await asyncio.gather(*(one(number) for number in range(state.first_seq, state.last_seq + 1)))
        return [event for event in found if event is not None]

    found = as_operator(yard, read)
    return [event for event in found if project in (None, event["project"])]


def unsettled(yard: Yard) -> int:
    """Events and jobs that some service has yet to hear, or has heard and not settled."""

    async def count(bus: Bus) -> int:
        found = [await bus.js.consumer_info(durable.stream.name, durable.name) for durable in all_durables()]
        return sum((info.num_pending or 0) + (info.num_ack_pending or 0) for info in found)

    return as_operator(yard, count)


def dead_letters(yard: Yard) -> tuple[DeadLetter, ...]:
    return as_operator(yard, lambda bus: DeadLetters(bus).list(limit=1000))


def pending_outbox(yard: Yard) -> dict[str, int]:
    """Messages that documents have committed and nobody has published: `service.collection` → how many."""
    found: dict[str, int] = {}
    for file in sorted((yard.data / "documents").glob("*.sqlite")):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table' AND sql LIKE '%body TEXT%'")
            for (table,) in tables.fetchall():
                query = f"SELECT COALESCE(SUM(json_extract(body, '$.outbox')), 0) FROM {table}"
                if count := int(connection.execute(query).fetchone()[0]):
                    found[f"{file.stem}.{table}"] = count
    return found


def with_objects(yard: Yard, work: Callable[[Objects], Awaitable[T]]) -> T:
    async def connected() -> T:
        s3 = yard.details["s3"]
        objects = Objects.connect(ObjectSettings(s3["endpoint"], s3["access_key"], s3["secret_key"], s3["secure"]))
        try:
            return await work(objects)
        finally:
            await objects.close()

    return asyncio.run(connected())


def put(yard: Yard, bucket: str, prefix: str, files: dict[str, bytes]) -> str:
    """Returns `s3://bucket/prefix/`."""

    async def write(objects: Objects) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(path: str, content: bytes) -> None:
            async with slots:
                await objects.put(bucket, f"{prefix}/{path}", content)

        await asyncio.gather(*(one(path, content) for path, content in files.items()))

    with_objects(yard, write)
    return f"s3://{bucket}/{prefix}/"


def upload(yard: Yard, bucket: str, prefix: str, folder: Path) -> str:
    """As `put`, for files that are large. Returns `s3://bucket/prefix/`."""

    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}

    async def write(objects: Objects) -> None:
        for name, path in files.items():
            await objects.upload(bucket, f"{prefix}/{name}", path)

    with_objects(yard, write)
    return f"s3://{bucket}/{prefix}/"


def keys(yard: Yard, bucket: str, prefix: str) -> set[str]:
    async def read(objects: Objects) -> set[str]:
        return {found.key async for found in objects.list(bucket, prefix)}

    return with_objects(yard, read)


def stray_keys(yard: Yard, project: str, models: list[dict[str, Any]]) -> set[str]:
    """Objects below the project's `models/` that no artifact of these versions (`GET …/models/{id}`) names."""
    named = {
        artifact["location"]["prefix"] + file["path"]
        for model in models
        for artifact in model["artifacts"]
        for file in artifact["files"]
    }
    return keys(yard, yard.details["s3"]["buckets"]["artifacts"], f"{project}/models/") - named
