"""How long the local stack takes to be ready, and how much memory all its processes hold."""

import asyncio
from collections import defaultdict
from pathlib import Path

import psutil
from figures import Aim, Table, load, median
from yard import Yard, running_yard

from modelyard_local.demo import scenario

_MIB = 1 << 20
_PATIENCE = 600.0  # seconds in which nothing happens


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    times = Table(
        "Start of the local stack",
        ("mode", "first start in an empty folder, s", "later starts, s (median)", "starts", "load"),
        notes=["From the start of `modelyard up` to the first `200` of the gateway's `/readyz`, polled every 10 ms."],
    )
    memory = Table(
        "Memory of the local stack, MiB",
        ("mode", "when", "processes", "RSS", "PSS", "of it Python", "NATS", "S3", "load"),
        notes=[
            "All processes of the stack added up. RSS counts pages that processes share once for each of them; PSS "
            "divides them, and is what would be free again if the stack ended.",
            "The main job is the demo: training outside the stack, one import, two conversions with proof, four "
            "evaluations, gallery, competition. Its peak is sampled every 0.2 s and contains the subprocesses.",
        ],
    )
    modes = {"one process": (), "`--processes`": ("--processes",)}
    for mode, options in list(modes.items())[: 1 if quick else 2]:
        first, later = await _starts(folder / mode.strip("`-").replace(" ", "-"), options, 1 if quick else 4, memory)
        times.rows.append((mode, first, median(later), 1 + len(later), load()))
    return [times, memory], _aims(times, memory)


async def _starts(data: Path, options: tuple[str, ...], repeats: int, memory: Table) -> tuple[float, list[float]]:
    async with running_yard(data, *options) as yard:
        first = yard.up_seconds
    later = []
    for _ in range(repeats):
        async with running_yard(data, *options) as yard:
            later.append(yard.up_seconds)
            if len(later) == repeats:
                await _weigh(yard, options, memory)
    return first, later


async def _weigh(yard: Yard, options: tuple[str, ...], memory: Table) -> None:
    mode = "`--processes`" if options else "one process"
    await asyncio.sleep(10)
    memory.rows.append((mode, "idle, 10 s after the start", *_weights(yard), load()))
    with yard.client() as client:
        job = asyncio.create_task(scenario.run(client, lambda _: None, _PATIENCE))
        peak: tuple[float, ...] = (0, 0, 0)
        while not (await asyncio.wait({job}, timeout=0.2))[0]:
            peak = max(peak, _weights(yard), key=lambda found: found[2])
        await job
    memory.rows.append((mode, "peak during one main job", *peak, load()))
    await asyncio.sleep(5)
    memory.rows.append((mode, "idle, 5 s after the main job", *_weights(yard), load()))


def _weights(yard: Yard) -> tuple[float, ...]:
    """Processes, RSS, PSS, and PSS by program."""
    count, resident = 0, 0
    shares: dict[str, float] = defaultdict(float)
    for process in yard.tree():
        try:
            info, name = process.memory_full_info(), process.name()
        except psutil.Error:  # it has just ended
            continue
        count += 1
        resident += info.rss
        kind = {"nats-server": "nats", "weed": "s3"}.get(name, "python")
        shares[kind] += getattr(info, "pss", info.rss)
    total = sum(shares.values())
    return (count, *(each // _MIB for each in (resident, total, shares["python"], shares["nats"], shares["s3"])))


def _aims(times: Table, memory: Table) -> list[Aim]:
    aims = []
    for mode, first, later, *_ in times.rows:
        slowest = max(float(first), float(later))
        aims.append(Aim(f"stack up, {mode}", "< 5 s", f"{slowest:.1f} s", slowest < 5))
    for mode, when, _, rss, pss, *_ in memory.rows:
        held = float(rss) * _MIB / 1e6
        shown = f"{held:.0f} MB RSS, {float(pss) * _MIB / 1e6:.0f} MB PSS"
        aims.append(Aim(f"resident memory, {mode}, {when}", "< 700 MB RSS", shown, held < 700))
    return aims
