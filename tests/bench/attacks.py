"""What one hostile caller costs the others: `get` beside each attack, and how soon an outage is told."""

import asyncio
import multiprocessing
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import attack_client
import httpx
import load_client
import psutil
from attack_client import ATTACKS, Attack
from figures import Aim, Table, load, median, percentile
from load_client import Plan
from seeding import seed
from yard import Yard, running_yard

_MOST = 3.0  # times the quiet p99


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    data = folder / "attacks"
    async with running_yard(data):
        pass  # makes the folder and its credentials
    ids = await seed(data / "documents" / "version.sqlite", 0, 2_000)
    async with running_yard(data) as yard:
        beside, worst = await _beside(yard, tuple(ids), 2 if quick else 5)
    async with running_yard(data, "--processes") as yard:
        told, slowest = await _outages(yard, ids[0])
    within = max(worst.values())
    return [beside, told], [
        Aim("get, p99, beside each attack", f"≤ {_MOST:g}× of quiet", f"{within:.1f}× at worst", within <= _MOST),
        Aim("a known outage, answered", "< 1 s", f"{slowest:.2f} s at worst", slowest < 1),
    ]


async def _beside(yard: Yard, ids: tuple[str, ...], seconds: float) -> tuple[Table, dict[str, float]]:
    table = Table(
        "`get` beside one hostile caller",
        ("attack", "gets/s", "p50 ms", "p99 ms", "× quiet", "answers to the attack", "load"),
        notes=[
            "One honest client with one request in flight; the attack comes from another process with a "
            "token of another project (the lists: another token of the same project) and begins a second before. Both "
            "share two cores with the whole stack, so what the attacker itself computes slows the others as well: "
            "“nothing, as busy” is a process that only computes.",
        ],
    )
    tokens = _tokens(yard)
    spawn = multiprocessing.get_context("spawn")
    quiet, worst = 0.0, dict[str, float]()
    with ProcessPoolExecutor(1, spawn) as honest, ProcessPoolExecutor(1, spawn) as hostile:
        loop = asyncio.get_running_loop()
        plan = _plan(yard, ids, seconds)
        await loop.run_in_executor(honest, load_client.run, plan)  # warm
        for name in ("nothing", "nothing, as busy", *ATTACKS):
            project, token = tokens["lists" if name.startswith("lists") else "other"]
            attack = Attack(name, plan.port, seconds + 2, project, token)
            running = loop.run_in_executor(hostile, _busy if name not in ATTACKS else attack_client.run, attack)
            await asyncio.sleep(1)
            found = await loop.run_in_executor(honest, load_client.run, plan)
            counts = await running
            p99 = percentile(found.milliseconds, 0.99)
            quiet = quiet or p99
            if name in ATTACKS:
                worst[name] = p99 / quiet
            told = ", ".join(f"{count:,} × {status}" for status, count in sorted(counts.items())) or "–"
            rate = len(found.milliseconds) / found.seconds
            table.rows.append((name, rate, median(found.milliseconds), p99, p99 / quiet, told, load()))
    return table, worst


def _busy(attack: Attack) -> dict[str, int]:
    until = time.monotonic() + attack.seconds
    while time.monotonic() < until:
        if attack.name == "nothing":
            time.sleep(0.1)
    return {}


def _tokens(yard: Yard) -> dict[str, tuple[str, str]]:
    with yard.client() as client:
        made = client.server("projects", {"project_id": "hostile"})
        same = client.post("tokens", {"name": "greedy", "role": "reader"})
    return {"other": ("hostile", made["token"]), "lists": ("default", same["token"])}


def _plan(yard: Yard, ids: tuple[str, ...], seconds: float) -> Plan:
    details = yard.details
    port = int(details["gateway_url"].rsplit(":", 1)[1])
    return Plan(
        "http",
        "get",
        1,
        seconds,
        1_000_000,
        port,
        details["token"],
        details["nats_url"],
        yard.passwords["gateway"],
        ids,
    )


async def _outages(yard: Yard, model_id: str) -> tuple[Table, float]:
    table = Table(
        "How soon an outage is told",
        ("away", "first answer, s", "later answers, s (slowest of 5)", "status", "`/readyz`, s (slowest of 5)", "load"),
        notes=["`--processes`; frozen is SIGSTOP: connections stay open and nothing answers."],
    )
    slowest = 0.0
    headers = {"Authorization": f"Bearer {yard.details['token']}"}
    async with httpx.AsyncClient(base_url=yard.details["gateway_url"], headers=headers, timeout=60) as http:
        upload = (await http.post("/v1/default/uploads", json={"files": [{"path": "x", "size": 200 << 20}]})).json()
        model, parts = f"/v1/default/models/{model_id}", f"/v1/default/uploads/{upload['upload_id']}/parts"
        for what, word, path in (
            ("version service, frozen", "modelyard_version", model),
            ("NATS, frozen", "nats-server", model),
            ("S3, frozen", "weed", parts),
        ):
            process = next(each for each in yard.tree() if word in " ".join(each.cmdline()))
            process.send_signal(signal.SIGSTOP)
            try:
                first, status = await _timed(http, path)
                later = [(await _timed(http, path))[0] for _ in range(5)]
                ready = [(await _timed(http, "/readyz"))[0] for _ in range(5)]
            finally:
                process.send_signal(signal.SIGCONT)
            table.rows.append((what, first, max(later), str(status), max(ready), load()))
            slowest = max(slowest, *later, *ready)
            await _well_again(http, process)
    return table, slowest


async def _timed(http: httpx.AsyncClient, path: str) -> tuple[float, int]:
    began = time.perf_counter()
    reply = await http.get(path)
    return time.perf_counter() - began, reply.status_code


async def _well_again(http: httpx.AsyncClient, process: psutil.Process) -> None:
    while (await http.get("/readyz")).status_code != 200:
        if not process.is_running():
            raise RuntimeError("it was started anew meanwhile")
        await asyncio.sleep(0.2)
