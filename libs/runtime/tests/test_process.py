"""The life of a service: health while it runs, draining when told, a non-zero exit when it lost what it lives on."""

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from modelyard_runtime import health, process
from modelyard_runtime.clock import now_ms
from modelyard_runtime.health import Readiness
from modelyard_runtime.http_server import HttpServer
from modelyard_runtime.metrics import ServiceMetrics
from modelyard_runtime.process import Service, supervise

OWN_PROCESS = Path(__file__).parent / "children" / "own_process.py"


@dataclass
class Counts:
    published: int = 0


class Recorder:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, name: str, error: Exception | None = None) -> process.Step:
        async def run() -> None:
            self.steps.append(name)
            if error is not None:
                raise error

        return run


async def get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def well() -> str | None:
    return None


async def test_ready_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_KEEP", 0)
    missing: dict[str, str | None] = {"nats": "no stream MODELYARD_EVENTS"}

    async def nats() -> str | None:
        return missing["nats"]

    async def hangs() -> str | None:
        await asyncio.Event().wait()
        return None

    async def broken() -> str | None:
        raise ValueError("password=hush")

    async with supervise(Service("version", {"nats": nats, "documents": well}, answer_within=0.05)) as running:
        assert (await get(running.port, "/healthz")).json() == {"alive": True}
        answer = await get(running.port, "/readyz")
        assert answer.status_code == 503
        checks = {"nats": "no stream MODELYARD_EVENTS", "documents": "ok"}
        assert answer.json() == {"ready": False, "checks": checks}
        missing["nats"] = None
        answer = await get(running.port, "/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
    async with supervise(Service("version", {"hangs": hangs, "broken": broken}, answer_within=0.05)) as running:
        checks = (await get(running.port, "/readyz")).json()["checks"]
        assert checks == {"hangs": "no answer within 0.05 s", "broken": "the check itself failed, see the log"}


async def test_a_check_that_takes_long_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_TELL_WITHIN", 0.05)
    monkeypatch.setattr(health, "_KEEP", 0)
    released, asked = asyncio.Event(), 0

    async def slow() -> str | None:
        nonlocal asked
        asked += 1
        await released.wait()
        return None

    readiness = Readiness({"nats": well, "store": slow}, ServiceMetrics("version", {}), within=25)
    readiness.phase = "running"
    for _ in range(3):
        assert await readiness.ask() == {"nats": "ok", "store": "no answer within 0.05 s"}
    assert asked == 1
    monkeypatch.setattr(health, "_TELL_WITHIN", 25)
    released.set()
    assert await readiness.ask() == {"nats": "ok", "store": "ok"}
    monkeypatch.setattr(health, "_TELL_WITHIN", 0.05)
    released.clear()
    assert await readiness.ask() == {"nats": "ok", "store": "ok"}, "as far as anybody knows"
    released.set()


async def test_checks_run_once_however_many_ask() -> None:
    asked = 0

    async def nats() -> str | None:
        nonlocal asked
        asked += 1
        return None

    async with supervise(Service("version", {"nats": nats})) as running:
        await asyncio.gather(*(get(running.port, "/readyz") for _ in range(10)))
    assert asked == 1


async def test_not_ready_while_starting_and_stopping() -> None:
    ports: list[int] = []
    phases: list[dict[str, Any]] = []

    async def look() -> None:
        phases.append((await get(ports[0], "/readyz")).json()["checks"])

    started = HttpServer.start

    async def start_and_note(server: HttpServer) -> None:
        await started(server)
        ports.append(server.port)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpServer, "start", start_and_note)
        async with supervise(Service("version", {"nats": well}, start=[look], stop=[look])):
            pass
    assert phases == [{"nats": "ok", "process": "starting"}, {"nats": "ok", "process": "stopping"}]


async def test_metrics_name_the_service() -> None:
    counts = Counts()
    async with supervise(Service("version", {"nats": well}, stats={"bus": counts})) as running:
        counts.published = 7
        await get(running.port, "/readyz")
        answer = await get(running.port, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'modelyard_bus_published_total{service="version"} 7.0' in answer.text
    assert 'modelyard_check{check="nats",service="version"} 1.0' in answer.text
    assert "process_resident_memory_bytes" in answer.text


async def test_steps_start_in_order_and_stop_in_reverse_whatever_fails() -> None:
    recorder = Recorder()
    service = Service(
        "version",
        start=[recorder.step("a"), recorder.step("b")],
        stop=[recorder.step("close"), recorder.step("drain", RuntimeError("no")), recorder.step("refuse new")],
    )
    async with supervise(service):
        assert recorder.steps == ["a", "b"]
    assert recorder.steps == ["a", "b", "refuse new", "drain", "close"]


async def test_failed_start_is_stopped_and_raised() -> None:
    recorder = Recorder()
    start = [recorder.step("a"), recorder.step("b", RuntimeError("no")), recorder.step("c")]
    with pytest.raises(RuntimeError, match="no"):
        async with supervise(Service("version", start=start, stop=[recorder.step("close")])):
            pass
    assert recorder.steps == ["a", "b", "close"]


async def test_stop_step_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STEP_ENDS_WITHIN", 0.05)
    recorder = Recorder()

    async def hang() -> None:
        await asyncio.Event().wait()

    async with supervise(Service("version", stop=[recorder.step("close"), hang])):
        pass
    assert recorder.steps == ["close"]


async def test_several_services_share_a_loop() -> None:
    async with supervise(Service("version")) as one, supervise(Service("convert")) as other:
        assert one.port != other.port
        assert (await get(one.port, "/readyz")).status_code == (await get(other.port, "/readyz")).status_code == 200


async def test_server_finishes_requests_in_flight() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        arrived.set()
        await go.wait()
        return PlainTextResponse("done")

    server = HttpServer(Starlette(routes=[Route("/", slow)]), "127.0.0.1", 0)
    await server.start()
    request = asyncio.create_task(get(server.port, "/"))
    await arrived.wait()
    stopping = asyncio.create_task(server.stop())
    go.set()
    assert (await request).text == "done"
    await stopping
    await server.stop()


async def test_taken_port_is_an_error() -> None:
    server = HttpServer(Starlette(), "127.0.0.1", 0)
    await server.start()
    with pytest.raises(OSError, match="Address already in use"):
        await HttpServer(Starlette(), "127.0.0.1", server.port).start()
    await server.stop()


def test_clock_counts_milliseconds() -> None:
    assert 1_700_000_000_000 < now_ms() < 10_000_000_000_000


class OwnProcess:
    def __init__(self, mode: str) -> None:
        command = [sys.executable, str(OWN_PROCESS), mode]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def says(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def ends(self) -> tuple[int, str, list[dict[str, Any]]]:
        """Exit code, what it printed after what was read, its log."""
        out, err = self.process.communicate()
        return self.process.returncode, out, [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_drains(number: signal.Signals) -> None:
    own = OwnProcess("wait")
    own.says("started")
    own.process.send_signal(number)
    code, out, log = own.ends()
    assert (code, out) == (0, "drained\n")
    assert [entry["event"] for entry in log] == ["started", "stopped"]
    assert {entry["service"] for entry in log} == {"version"}


def test_drained_it_is_gone() -> None:
    """Taking the libraries of a service apart would take longer than all of its own stopping."""
    own = OwnProcess("say what is taken apart")
    own.says("started")
    own.process.terminate()
    assert own.ends()[:2] == (0, "drained\n")


def test_second_signal_ends_at_once() -> None:
    own = OwnProcess("drain for ever")
    own.says("started")
    own.process.terminate()
    own.says("draining")
    own.process.terminate()
    assert own.ends()[0] == 130


def test_signal_while_building_ends() -> None:
    own = OwnProcess("build for ever")
    own.says("building")
    own.process.terminate()
    assert own.ends()[:2] == (0, "")


def test_lost_connection_is_a_failure() -> None:
    code, out, log = OwnProcess("close").ends()
    assert (code, out) == (1, "started\ndrained\n")
    assert "lost what it lives on" in [entry["event"] for entry in log]


def test_failed_build_is_logged_in_one_line() -> None:
    code, _, log = OwnProcess("fail").ends()
    assert code == 1
    assert log[-1]["event"] == "ended by an error"
    assert log[-1]["exception"][0]["exc_value"] == "no NATS at nats://u:[redacted]@host:4222"


def test_blocked_thread_does_not_keep_the_process() -> None:
    own = OwnProcess("block a thread")
    own.says("started")
    own.process.terminate()
    assert own.ends()[0] == 0
