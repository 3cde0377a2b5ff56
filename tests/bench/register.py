"""The register under calls: create, get and list, through the gateway and past it, with few and with many versions."""

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import load_client
from figures import Aim, Table, load, median, percentile
from load_client import Plan, Result
from seeding import seed
from yard import Yard, running_yard

_TRANSPORTS = {"http": "HTTP, gateway", "nats": "NATS, directly"}
_CREATES = 200


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    table = Table(
        "Calls on the register",
        ("versions", "call", "way", "clients", "calls/s", "p50 ms", "p99 ms", "client's CPU", "load"),
        notes=[
            "Kept-alive connections with one request in flight each, from one other process on the same machine that "
            "writes prepared requests to bare sockets; “client's CPU” is the share of one core that it used. Over NATS "
            "the client is `CallClient`, as in the gateway, and decodes the replies. A series of `get` or `list` runs "
            "three times, in turn with the others; rate and load are those of the median series, percentiles are over "
            "all calls.",
            "`create` starts an import each time (of a folder that holds nothing), which runs meanwhile on the same "
            "cores; one series of at most 200 calls, and the next waits until those imports have ended.",
            "`list` is the newest 100 with the total count, about 36 KB of JSON.",
        ],
    )
    data, ids = folder / "register", list[str]()
    p50: dict[int, float] = {}
    async with running_yard(data):
        pass  # makes the folder and its credentials
    for versions in (1_000, 10_000 if quick else 100_000):
        began = time.perf_counter()
        have = len(ids)
        ids += await seed(data / "documents" / "version.sqlite", have, versions)
        took = time.perf_counter() - began
        table.notes.append(f"Filling the register from {have:,} to {versions:,} versions took {took:.0f} s.")
        async with running_yard(data) as yard:
            p50[versions] = await _series(yard, versions, ids, table, quick)
    return [table], _aims(p50)


async def _series(yard: Yard, versions: int, ids: list[str], table: Table, quick: bool) -> float:
    """All cells of one fill level; the p50 in ms of sequential gets through the gateway."""
    cells = [
        (operation, transport, clients)
        for operation in ("get", "list", "create")
        for transport in _TRANSPORTS
        for clients in (1, 16)
    ]
    results: dict[tuple[str, str, int], list[tuple[Result, float]]] = {cell: [] for cell in cells}
    chosen = tuple(ids[:: max(1, len(ids) // 2000)])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for turn in range(1 if quick else 3):
            for cell in cells:
                if cell[0] == "create" and turn:
                    continue  # once is enough to pay for its imports
                plan = _plan(yard, cell, chosen, quick)
                run = await asyncio.get_running_loop().run_in_executor(pool, load_client.run, plan)
                results[cell].append((run, load()))
                if cell[0] == "create":
                    await _settled(yard)
    for cell, runs in results.items():
        table.rows.append((versions, *_row(cell, runs)))
    return median([each for run, _ in results["get", "http", 1] for each in run.milliseconds])


def _row(cell: tuple[str, str, int], runs: list[tuple[Result, float]]) -> tuple[str | float, ...]:
    operation, transport, clients = cell
    took = [each for run, _ in runs for each in run.milliseconds]
    middle, loaded = sorted(runs, key=lambda found: len(found[0].milliseconds) / found[0].seconds)[len(runs) // 2]
    rate = len(middle.milliseconds) / middle.seconds
    times = median(took), percentile(took, 0.99)
    return (operation, _TRANSPORTS[transport], clients, rate, *times, f"{middle.busy:.0%}", loaded)


def _plan(yard: Yard, cell: tuple[str, str, int], ids: tuple[str, ...], quick: bool) -> Plan:
    operation, transport, clients = cell
    details = yard.details
    most = 1_000_000 if operation != "create" else 50 if quick else _CREATES
    port = int(details["gateway_url"].rsplit(":", 1)[1])
    return Plan(
        transport,
        operation,
        clients,
        0.5 if quick else 1.5,
        most,
        port,
        details["token"],
        details["nats_url"],
        yard.passwords["gateway"],
        ids,
    )


async def _settled(yard: Yard) -> None:
    """No import is under way any more."""
    with yard.client() as client:
        while (await asyncio.to_thread(client.get, "models", model_status="publishing", limit=1))["count"]:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.2)


def _aims(p50: dict[int, float]) -> list[Aim]:
    few, many = p50.values()
    shown = " and ".join(f"{value:.2f} ms at {versions:,}" for versions, value in p50.items())
    return [
        Aim("get, p50, one client, through the gateway", "< 5 ms", shown, few < 5 and many < 5),
        Aim("get with many versions", "unchanged (within 15 %)", f"{many / few:.2f}×", many / few < 1.15),
    ]
