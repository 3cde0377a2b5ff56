"""One project asks for very much at once: what another project's single import and conversion then take."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from figures import Aim, Table, load, median
from yard import Yard, running_yard

from modelyard import Client, Refused
from modelyard.connection import Connection
from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import (
    CONVERSION_STARTED,
    CONVERSION_SUCCEEDED,
    IMPORT_STARTED,
    VERSION_PUBLISHED,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import ConversionSucceeded
from modelyard_store.objects import Objects
from modelyard_testkit import models

_AT_ONCE = 16
_OTHER = "other"
_REPEATS = 5
_PATIENCE = 600.0


@dataclass
class Follower:
    """Counts what the crowd's jobs begin, and hears when one of the other project's ends."""

    begun: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, bus: Bus) -> None:
        events: AsyncGenerator[Envelope, None] = bus.watch_events()
        async with aclosing(events):
            async for envelope in events:
                self._note(envelope)

    def _note(self, envelope: Envelope) -> None:
        if envelope.project != _OTHER and envelope.type in (IMPORT_STARTED.subject, CONVERSION_STARTED.subject):
            self.begun[envelope.type] = self.begun.get(envelope.type, 0) + 1
        elif envelope.type == VERSION_PUBLISHED.subject:
            self.ended.add(envelope.subject)
        elif envelope.type == CONVERSION_SUCCEEDED.subject:
            self.ended.add(ConversionSucceeded.model_validate(envelope.data).conversion_id)
        self.changed.set()

    async def end_of(self, identifier: str) -> None:
        async with asyncio.timeout(_PATIENCE):
            while identifier not in self.ended:
                self.changed.clear()
                await self.changed.wait()


@dataclass(frozen=True)
class Single:
    """The other project's jobs, one after the other: seconds each took, and how many of the crowd began meanwhile."""

    seconds: list[float]
    between: list[int]

    def row(self, what: str, alone: "Single") -> tuple[str | float, ...]:
        took, slowest = median(self.seconds), max(self.seconds)
        return (
            what,
            len(self.seconds),
            took,
            slowest,
            f"{took / median(alone.seconds):.1f}×",
            max(self.between),
            load(),
        )


@dataclass
class Stage:
    """`crowd` and `other` are clients of the two projects; `location` is the folder that all imports read."""

    yard: Yard
    crowd: Client
    other: Client
    follower: Follower
    location: str

    async def single(self, ask: Callable[[int], Awaitable[str]], event: str, repeats: int) -> Single:
        single = Single([], [])
        for number in range(-1 if not self.begun(event) else 0, repeats):  # the first of all is for warm caches
            before, started = self.begun(event), time.perf_counter()
            await self.follower.end_of(await ask(number))
            if number >= 0:
                single.seconds.append(time.perf_counter() - started)
                single.between.append(self.begun(event) - before)
        return single

    def begun(self, event: str) -> int:
        return self.follower.begun.get(event, 0)

    async def import_into(self, client: Client, name: str) -> str:
        body = {"model_name": name, "source_location": self.location}
        made = await asyncio.to_thread(client.post, "models", body)
        return str(made["model_id"])

    async def convert(self, client: Client, model_id: str, number: int) -> str:
        order = {"target": "onnx-int8-dynamic"}
        body = {"model_id": model_id, "order": order, "name": f"c-{number}"}
        while True:
            with contextlib.suppress(Refused):  # a stack with all its cores at work may find no worker for a moment
                made = await asyncio.to_thread(client.post, "conversions", body)
                return str(made["conversion_id"])


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    crowd = 300 if quick else 2_000
    async with running_yard(folder / "fairness") as yard:
        bus, objects = await yard.bus("gateway"), yard.objects()
        follower = Follower()
        following = asyncio.create_task(follower.follow(bus))
        with yard.client() as client, _other(yard, client) as other:
            location = await _package(yard, objects, folder)
            stage = Stage(yard, client, other, follower, location)
            rows = [*await _imports(stage, crowd), *await _conversions(stage, crowd)]
        following.cancel()
        await asyncio.wait({following})
        await bus.close()
        await objects.close()
    table = Table(
        f"One project's single job beside another's {crowd:,}",
        ("job", "runs", "median s", "slowest s", "÷ alone", "of the others begun meanwhile, most", "load"),
        rows=[row for row, _ in rows],
        notes=[
            "A 20 KB ONNX, asked for by HTTP, until the event that says it is done; one process for all services, "
            f"four imports and one conversion at a time. The crowd comes from {_AT_ONCE} callers. The single jobs "
            "come one after the other, while most of the crowd's wait.",
        ],
    )
    return [table], [aim for _, aim in rows if aim is not None]


Row = tuple[tuple[str | float, ...], Aim | None]


async def _imports(stage: Stage, crowd: int) -> list[Row]:
    async def ask(number: int) -> str:
        return await stage.import_into(stage.other, f"single-{number}")

    alone = await stage.single(ask, IMPORT_STARTED.subject, 2 * _REPEATS)
    coming = asyncio.create_task(_many(crowd, lambda n: stage.import_into(stage.crowd, f"crowd-{n % 50}")))
    await asyncio.sleep(2)
    during = await stage.single(ask, IMPORT_STARTED.subject, _REPEATS)
    await coming
    behind = await stage.single(ask, IMPORT_STARTED.subject, _REPEATS)
    began, started = stage.begun(IMPORT_STARTED.subject), time.perf_counter()
    while (waiting := crowd - stage.begun(IMPORT_STARTED.subject)) > 0:
        stage.follower.changed.clear()
        await stage.follower.changed.wait()
    rate = (crowd - waiting - began) / (time.perf_counter() - started)
    print(f"imports of the crowd after that: {rate:.1f} a second", flush=True)
    return [
        (alone.row("import, alone", alone), None),
        (during.row("import, while the crowd is being asked for", alone), None),
        (behind.row("import, behind the crowd", alone), _aim("import", behind, alone)),
    ]


async def _conversions(stage: Stage, crowd: int) -> list[Row]:
    models_of = [await stage.import_into(client, "source") for client in (stage.crowd, stage.other)]
    for model in models_of:
        await stage.follower.end_of(model)

    async def ask(number: int) -> str:
        return await stage.convert(stage.other, models_of[1], number)

    alone = await stage.single(ask, CONVERSION_STARTED.subject, _REPEATS)
    await _many(crowd, lambda n: stage.convert(stage.crowd, models_of[0], n))
    behind = await stage.single(ask, CONVERSION_STARTED.subject, _REPEATS)
    return [
        (alone.row("conversion, alone", alone), None),
        (behind.row("conversion, behind the crowd", alone), _aim("conversion", behind, alone)),
    ]


def _aim(what: str, behind: Single, alone: Single) -> Aim:
    ratio = median(behind.seconds) / median(alone.seconds)
    return Aim(f"one {what} beside another project's crowd", "≤ 4× alone", f"{ratio:.1f}×", ratio <= 4)


async def _many(count: int, ask: Callable[[int], Awaitable[Any]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with limit:
            await ask(number)

    await asyncio.gather(*(one(number) for number in range(count)))


def _other(yard: Yard, operator: Client) -> contextlib.AbstractContextManager[Client]:
    made = operator.server("projects", {"project_id": _OTHER})
    return Client(Connection(yard.details["gateway_url"], made["token"], _OTHER, yard.details))


async def _package(yard: Yard, objects: Objects, folder: Path) -> str:
    bucket = yard.details["s3"]["buckets"]["training"]
    package = models.package(folder / "small", models.digits_like_mlp)
    for file in package.rglob("*"):
        if file.is_file():
            await objects.upload(bucket, f"small/{file.relative_to(package).as_posix()}", file)
    return f"s3://{bucket}/small/"
