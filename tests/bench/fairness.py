"""One project asks for very much at once: what another project's single import and conversion then take."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from figures import Aim, Table, load, median
from yard import Yard, running_yard

from modelyard import Client, Refused
from modelyard.connection import Connection
from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import (
    CONVERSION_STARTED,
    CONVERSION_SUCCEEDED,
    IMPORT_STARTED,
    TRAINING_COMPLETED,
    TRAINING_JOB,
    VERSION_PUBLISHED,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.shapes import Location
from modelyard_testkit import models
from modelyard_work.bounds import MOST_UNFINISHED

_AT_ONCE: Final = 16
_CROWD: Final = "default"
_SINGLE: Final = "other"
_REPEATS: Final = 5
_PATIENCE: Final = 600.0
_BEGIN: Final = (IMPORT_STARTED.subject, CONVERSION_STARTED.subject)
_END: Final = (VERSION_PUBLISHED.subject, CONVERSION_SUCCEEDED.subject)

Ask = Callable[[int], Awaitable[str]]


@dataclass
class Follower:
    """Counts what begins for the crowd, and hears what ends: ids of versions and conversions, of whole stories."""

    begun: int = 0
    ended: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, bus: Bus) -> None:
        async with aclosing(bus.watch_events()) as events:
            async for envelope in events:
                self.begun += envelope.project == _CROWD and envelope.type in _BEGIN
                if envelope.type in _END:
                    self.ended |= {envelope.subject, envelope.correlationid or envelope.id}
                self.changed.set()

    async def heard_of(self, ends: set[str]) -> None:
        await self.until(lambda: ends <= self.ended)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not true():
                self.changed.clear()
                await self.changed.wait()


@dataclass(frozen=True)
class Single:
    """The single jobs, one after the other: seconds each took, and how many of the crowd's began meanwhile."""

    seconds: list[float] = field(default_factory=list)
    between: list[int] = field(default_factory=list)

    def row(self, what: str, alone: "Single") -> tuple[str | float, ...]:
        took = median(self.seconds)
        times = f"{took / median(alone.seconds):.1f}×"
        return (what, len(self.seconds), took, max(self.seconds), times, max(self.between), load())


@dataclass
class Stage:
    """One fresh stack with two projects, and a small package for both."""

    yard: Yard
    crowd: Client
    single: Client
    follower: Follower
    training: Bus
    package: Location

    async def singles(self, ask: Ask, repeats: int = _REPEATS) -> Single:
        found = Single()
        for number in range(repeats):
            before, started = self.follower.begun, time.perf_counter()
            identifier = await ask(number)
            await self.follower.heard_of({identifier})
            found.seconds.append(time.perf_counter() - started)
            found.between.append(self.follower.begun - before)
        return found

    async def imported(self, client: Client, name: str) -> str:
        body = {"model_name": name, "source_location": f"s3://{self.package.bucket}/{self.package.prefix}"}
        made = await asyncio.to_thread(client.post, "models", body)
        return str(made["model_id"])

    async def converted(self, client: Client, model_id: str, number: int) -> str:
        body = {"model_id": model_id, "order": {"target": "onnx-int8-dynamic"}, "name": f"c-{number}"}
        while True:
            with contextlib.suppress(Refused):  # a stack with all its cores at work may find no worker for a moment
                made = await asyncio.to_thread(client.post, "conversions", body)
                return str(made["conversion_id"])
            await asyncio.sleep(0.5)

    async def trained(self, project: str, name: str) -> str:
        """The id of the story that the event begins."""
        run = TrainingCompleted(job_id=name, job_name=name, job_version="V001", status="completed", output=self.package)
        said = Envelope(
            source="bench",
            type=TRAINING_COMPLETED.subject,
            subject=name,
            project=project,
            data=run.model_dump(mode="json", exclude_none=True),
        )
        await self.training.publish(TRAINING_COMPLETED.subject, said)
        return said.id


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    crowd = 200 if quick else 2_000
    table = Table(
        f"One project's single job beside another's {crowd:,}",
        ("job", "runs", "median s", "slowest s", "÷ alone", "of the crowd's begun meanwhile, most", "load"),
        notes=[
            "A 20 KB ONNX, until the event that says it is done; a fresh stack for each kind, one process for all "
            "services, four imports and one conversion at a time. Imports and conversions are asked for by HTTP, the "
            f"crowd's by {_AT_ONCE} callers, training events are published over NATS. The single jobs come one after "
            "the other while the crowd's wait; the first line of each kind is without a crowd.",
        ],
    )
    aims = []
    for what, steps in (("import", _imports), ("training event", _trainings), ("conversion", _conversions)):
        async with _stage(folder / what.replace(" ", "-")) as stage:
            found = await steps(stage, crowd, table)
        alone = next(iter(found.values()))
        table.rows += [(single.row(f"{what}, {when}", alone)) for when, single in found.items()]
        ratio = median(list(found.values())[-1].seconds) / median(alone.seconds)
        aims.append(Aim(f"a single {what} beside another project's crowd", "≤ 5× alone", f"{ratio:.1f}×", ratio <= 5))
    return [table], aims


async def _imports(stage: Stage, crowd: int, table: Table) -> dict[str, Single]:
    async def ask(number: int) -> str:
        return await stage.imported(stage.single, f"single-{number}")

    found = {"alone": await stage.singles(ask, 2 * _REPEATS)}
    started = time.perf_counter()
    coming = asyncio.create_task(_many(crowd, lambda n: stage.imported(stage.crowd, f"crowd-{n % 50}")))
    await stage.follower.until(lambda: stage.follower.begun > crowd // 20)
    found["while the crowd's are accepted"] = await stage.singles(ask)
    await coming
    found["behind the crowd"] = await stage.singles(ask)
    rate = stage.follower.begun / (time.perf_counter() - started)
    table.notes.append(f"Meanwhile {rate:.1f} imports of the crowd began in a second.")
    return found


async def _trainings(stage: Stage, crowd: int, table: Table) -> dict[str, Single]:
    for client in (stage.crowd, stage.single):
        rule = {"name": "all", "job_name": "*", "model_name": "trained"}
        await asyncio.to_thread(client.post, "import-rules", rule)

    async def ask(number: int) -> str:
        return await stage.trained(_SINGLE, f"single-{time.time_ns()}-{number}")

    found = {"alone": await stage.singles(ask)}
    await _many(crowd, lambda n: stage.trained(_CROWD, f"crowd-{n}"))
    found["behind the crowd"] = await stage.singles(ask)
    return found


async def _conversions(stage: Stage, crowd: int, table: Table) -> dict[str, Single]:
    of_single = await stage.imported(stage.single, "source")
    sources = [await stage.imported(stage.crowd, f"source-{n}") for n in range(-(-crowd // MOST_UNFINISHED))]
    await stage.follower.heard_of({of_single, *sources})

    async def ask(number: int) -> str:
        return await stage.converted(stage.single, of_single, number)

    found = {"alone": await stage.singles(ask)}
    await _many(crowd, lambda n: stage.converted(stage.crowd, sources[n % len(sources)], n))
    found["behind the crowd"] = await stage.singles(ask)
    return found


async def _many(count: int, ask: Callable[[int], Awaitable[Any]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with limit:
            await ask(number)

    await asyncio.gather(*(one(number) for number in range(count)))


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    async with running_yard(folder) as yard:
        follower, gateway, training = Follower(), await yard.bus("gateway"), await yard.bus(TRAINING_JOB)
        following = asyncio.create_task(follower.follow(gateway))
        with yard.client() as crowd, _other(yard, crowd) as single:
            stage = Stage(yard, crowd, single, follower, training, await _package(yard, folder))
            warm = await stage.imported(single, "warm")
            await follower.heard_of({warm})
            yield stage
        following.cancel()
        await asyncio.wait({following})
        await gateway.close()
        await training.close()


def _other(yard: Yard, operator: Client) -> Client:
    made = operator.server("projects", {"project_id": _SINGLE})
    return Client(Connection(yard.details["gateway_url"], made["token"], _SINGLE, yard.details))


async def _package(yard: Yard, folder: Path) -> Location:
    place = Location(bucket=yard.details["s3"]["buckets"]["training"], prefix="small/")
    objects, package = yard.objects(), models.package(folder / "small", models.digits_like_mlp)
    for file in package.rglob("*"):
        if file.is_file():
            await objects.upload(place.bucket, place.prefix + file.relative_to(package).as_posix(), file)
    await objects.close()
    return place
