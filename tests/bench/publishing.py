"""From a training job's event to `published`, beside the least that the same bytes cost: one copy and one hash."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from figures import Aim, Table, load, median, percentile
from yard import Yard, running_yard

from modelyard_bus.connection import Bus
from modelyard_contracts.catalogue import IMPORT_FAILED, TRAINING_COMPLETED, TRAINING_JOB, VERSION_PUBLISHED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.shapes import Location
from modelyard_store.objects import Objects
from modelyard_testkit import models

_JOB = "bench"
_PATIENCE = 120.0
_CROWD = 20


@dataclass
class Stream:
    """When each event of a story (by correlation id) was seen, in seconds of the performance counter."""

    seen: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, bus: Bus) -> None:
        async for envelope in bus.watch_events():
            self.seen[envelope.correlationid or envelope.id][envelope.type] = time.perf_counter()
            self.changed.set()

    async def published(self, story: str) -> float:
        async with asyncio.timeout(_PATIENCE):
            while VERSION_PUBLISHED.subject not in self.seen[story]:
                if IMPORT_FAILED.subject in self.seen[story]:
                    raise RuntimeError("the import failed")
                self.changed.clear()
                await self.changed.wait()
        return self.seen[story][VERSION_PUBLISHED.subject]


@dataclass(frozen=True)
class Story:
    """One model size: how long each repetition took, in milliseconds."""

    megabytes: int
    imports: list[float]
    phases: dict[str, list[float]]
    copies: list[float]
    hashes: list[float]
    both_at_once: list[float]
    loads: list[float]

    @property
    def size(self) -> str:
        return f"{self.megabytes} MiB"

    def ratios(self, bare: list[float]) -> list[float]:
        """Each import beside the bare work that came right after it: the machine may be another a minute later."""
        return [took / least for took, least in zip(self.imports, bare, strict=True)]

    @property
    def apart(self) -> list[float]:
        """Copy and hash, one after the other."""
        return [copy + digest for copy, digest in zip(self.copies, self.hashes, strict=True)]


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    async with running_yard(folder / "publishing") as yard:
        bus, training = await yard.bus("gateway"), await yard.bus(TRAINING_JOB)
        stream = Stream()
        following = asyncio.create_task(stream.follow(bus))
        objects = yard.objects()
        with yard.client() as client:
            rule = {"name": _JOB, "job_name": f"{_JOB}-*", "model_name": _JOB}
            await asyncio.to_thread(client.post, "import-rules", rule)
        sizes = ((5, 10), (500, 1)) if quick else ((5, 30), (500, 8))
        stories = [await _story(yard, stream, training, objects, *size, folder) for size in sizes]
        crowd = await _crowd(yard, stream, training, stories[0].megabytes)
        following.cancel()
        for each in (bus, training, objects):
            await each.close()
    return [*_tables(stories), crowd], _aims(stories)


async def _story(
    yard: Yard, stream: Stream, training: Bus, objects: Objects, megabytes: int, repeats: int, folder: Path
) -> Story:
    bucket, prefix = yard.details["s3"]["buckets"]["training"], f"{_JOB}-{megabytes}/"
    await _upload(objects, bucket, prefix, megabytes, folder)
    story = Story(megabytes, [], defaultdict(list), [], [], [], [])
    for run in range(-1, repeats):  # the first is for warm caches and counts nowhere
        await asyncio.sleep(0.5)  # what the last one left to clean up is not this one's cost
        event = _completed(f"{_JOB}-{megabytes}-{run}", bucket, prefix)
        started = time.perf_counter()
        await training.publish(TRAINING_COMPLETED.subject, event)
        took = (await stream.published(event.id) - started) * 1000
        bare = await _bare(objects, yard.details["s3"]["buckets"]["artifacts"], bucket, f"{prefix}model/model.onnx")
        if run < 0:
            continue
        story.imports.append(took)
        for name, at in stream.seen[event.id].items():
            story.phases[name].append((at - started) * 1000)
        for kept, value in zip((story.copies, story.hashes, story.both_at_once), bare, strict=True):
            kept.append(value)
        story.loads.append(load())
    return story


async def _crowd(yard: Yard, stream: Stream, training: Bus, megabytes: int) -> Table:
    """Many training jobs end in the same moment."""
    table = Table(
        "Many training events at once, ms",
        ("model", "events", "p50", "slowest", "published per second", "load"),
        notes=["All events are published in one go; four imports run at a time, each with a process that inspects."],
    )
    bucket, prefix = yard.details["s3"]["buckets"]["training"], f"{_JOB}-{megabytes}/"
    events = [_completed(f"{_JOB}-crowd-{number}", bucket, prefix) for number in range(_CROWD)]
    started = time.perf_counter()
    await asyncio.gather(*(training.publish(TRAINING_COMPLETED.subject, event) for event in events))
    took = [(await stream.published(event.id) - started) * 1000 for event in events]
    table.rows.append((f"{megabytes} MiB", _CROWD, median(took), max(took), _CROWD / max(took) * 1000, load()))
    return table


async def _upload(objects: Objects, bucket: str, prefix: str, megabytes: int, folder: Path) -> None:
    local = folder / f"package-{megabytes}"
    config = models.digits_config(preprocessing=None, labels=None, outputs=None)
    models.package(local, lambda path: models.random_model(path, megabytes=megabytes), config=config)
    for file in (local / "model").iterdir():
        await objects.upload(bucket, f"{prefix}model/{file.name}", file)
        file.unlink()


def _completed(job: str, bucket: str, prefix: str) -> Envelope:
    completed = TrainingCompleted(
        job_id=job, job_name=job, job_version="V001", status="completed", output=Location(bucket=bucket, prefix=prefix)
    )
    return Envelope(
        source=f"training/{job}",
        type=TRAINING_COMPLETED.subject,
        subject=job,
        project="default",
        data=completed.model_dump(mode="json", exclude_none=True),
    )


async def _bare(objects: Objects, into: str, bucket: str, key: str) -> tuple[float, float, float]:
    """Milliseconds: server-side copy, download into SHA-256, and both side by side."""
    target = f"bench/{time.monotonic_ns()}"

    async def copy() -> None:
        await objects.copy(bucket, key, into, target)

    async def digest() -> None:
        await objects.digest(bucket, key)

    async def both() -> None:
        await asyncio.gather(copy(), digest())

    took = [await _timed(step) for step in (copy, digest, both)]
    await objects.remove(into, target)
    return took[0], took[1], took[2]


async def _timed(step: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await step()
    return (time.perf_counter() - started) * 1000


def _tables(stories: list[Story]) -> list[Table]:
    whole = Table(
        "Training event → `published`, ms",
        (
            "model",
            "runs",
            "p50",
            "p95",
            "bare copy p50",
            "bare hash p50",
            "import ÷ (copy + hash)",
            "import ÷ both",
            "load",
        ),
        notes=[
            "From before the publish of the training event until `version.published` is seen on the stream. The bare "
            "work is one server-side copy and one download into SHA-256 of the same object by the same client library, "
            "after each import: one after the other (copy + hash), and both at once (both). Ratios are of an import to "
            "the bare work right behind it: median (lowest–highest).",
            "Imports follow each other with half a second between.",
        ],
    )
    phases = Table(
        "Where that time goes: ms after the training event until each event is seen (p50)",
        ("event", *(story.size for story in stories)),
    )
    for story in stories:
        times = median(story.imports), percentile(story.imports, 0.95), median(story.copies), median(story.hashes)
        ratios = _spread(story.ratios(story.apart)), _spread(story.ratios(story.both_at_once))
        whole.rows.append((story.size, len(story.imports), *times, *ratios, median(story.loads)))
    names = sorted(stories[0].phases, key=lambda name: median(stories[0].phases[name]))
    for name in names:
        phases.rows.append((name, *(median(story.phases[name]) for story in stories if story.phases[name])))
    return [whole, phases]


def _aims(stories: list[Story]) -> list[Aim]:
    small, large = stories
    p50, ratios = median(small.imports), large.ratios(large.apart)
    shown = f"{_spread(ratios)} one after the other, {_spread(large.ratios(large.both_at_once))} both at once"
    return [
        Aim("5 MB model published", "< 300 ms", f"{p50:.0f} ms p50", p50 < 300),
        Aim("500 MB import against bare copy and hash", "≤ 1.3×", shown, median(ratios) <= 1.3),
    ]


def _spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f}× ({min(ratios):.2f}–{max(ratios):.2f})"
