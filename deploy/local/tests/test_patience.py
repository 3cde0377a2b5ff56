"""Nothing that gets on is given up, however slow it is; what does nothing is, and its message says what is missing."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
import pytest

from modelyard import GatewayUnreachable, Refused
from modelyard_local.child import ChildServer, ServerFailed
from modelyard_local.demo.watching import DemoFailed, Step, Watch
from modelyard_local.patience import Patience
from modelyard_local.ports import free_port


class Clock:
    """Time passes when somebody looks at it."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_patience_begins_anew_with_every_sign() -> None:
    clock, signs = Clock(6.0), iter(range(100))
    patience = Patience(60.0, clock)
    assert all(patience.holds(lambda: next(signs)) for _ in range(100))
    while patience.holds(lambda: "still the same"):
        assert clock.now < 10_000
    assert clock.now == pytest.approx(100 * 6.0 + 60.0, abs=20.0)


class Program(ChildServer):
    """A Python program for a server; it is ready when `ready` says so."""

    name = "program"

    def __init__(self, folder: Path, code: str, ready: Callable[[], bool]) -> None:
        super().__init__(folder, 0)
        self._code, self._ready = code, ready

    def _draw_ports(self) -> dict[str, int]:
        return {"main": free_port()}

    def _prepare(self) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-c", self._code], {"PORT": str(self.port)}

    async def _answers(self) -> bool:
        if not self._ready():
            raise ConnectionRefusedError
        return True

    def _listens(self) -> set[int]:
        return {self.port} if self._ready() else set()

    def _clean(self, ports: Mapping[str, int]) -> None:
        pass


IDLE = "import time; time.sleep(3600)"
BUSY = "while True: pass"


class Moving(Program):
    """Every look at it finds it changed."""

    looks = 0

    def _signs_of_life(self) -> tuple[float, ...]:
        self.looks += 1
        return (float(self.looks),)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a process sets no asyncio.Event
        await asyncio.sleep(0)


async def test_a_server_that_gets_on_is_waited_for(tmp_path: Path) -> None:
    server = Moving(tmp_path, IDLE, lambda: server.looks > 50)  # five times its patience and more
    server.patience = 0.2
    await server.start()
    await server.stop()


async def test_a_server_may_wait_for_one_beside_it(tmp_path: Path) -> None:
    beside = Moving(tmp_path / "beside", IDLE, lambda: False)
    server = Program(tmp_path / "server", IDLE, lambda: beside.looks > 50)
    server.patience, server.beside = 0.2, [beside]
    await server.start()
    await server.stop()


async def test_what_a_server_computes_and_writes_are_signs_of_life(tmp_path: Path) -> None:
    for code, place in ((BUSY, 1), ("while True: print('still loading', flush=True)", 0)):
        server = Program(tmp_path / str(place), code, lambda: False)
        server.patience = 3600
        starting = asyncio.create_task(server.start())
        seen: set[float] = set()
        while len(seen) < 3:
            seen |= set(server._signs_of_life()[place : place + 1])
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert server.pid is None


BUSY_BELOW = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
FORKING = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY_BELOW!r}, str(os.getpid())])"


async def test_what_its_children_compute_is_a_sign_of_life(tmp_path: Path) -> None:
    """Of a server that listens: it may be loading something in a process of its own, and say nothing."""
    server = Program(tmp_path, FORKING, lambda: False)
    server.patience = 3600
    starting = asyncio.create_task(server.start())
    seen: set[tuple[float, ...]] = set()
    while len(seen) < 3:
        server._listening = True
        seen.add(server._signs_of_life())
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


class Waiting(Program):
    """It listens, and misses something."""

    async def _answers(self) -> bool:
        return False

    async def _missing(self) -> str:
        return "convert: no answer within 1 s"


async def test_what_a_server_waited_for_in_vain_is_said(tmp_path: Path) -> None:
    server = Waiting(tmp_path, IDLE, lambda: True)
    server.patience = 0.2
    missing = r"program is not ready on port \d+ \(convert: no answer within 1 s\) and has done nothing for 0\.2 s"
    with pytest.raises(ServerFailed, match=missing):
        await server.start()


class Dependent(Program):
    """Alive, and after its first start never ready again: another is away."""

    questions = 0

    async def _answers(self) -> bool:
        return self.questions == 0

    async def _lives(self) -> bool:
        self.questions += 1
        return True


async def test_what_is_not_ready_but_lives_is_left_alone(tmp_path: Path) -> None:
    server = Dependent(tmp_path, IDLE, lambda: True)
    await server.start()
    server.patience = 0.2
    reports: list[str] = []
    watch = asyncio.create_task(server.keep_running(reports.append))
    psutil.Process(server.pid).kill()
    await until(lambda: server.questions >= 100)  # far more than its patience
    pid = server.pid
    assert pid is not None
    await until(lambda: server.questions >= 200)
    assert server.pid == pid
    await server.stop()
    await watch
    assert reports == ["program was killed by SIGKILL; starting it again in 0.2 s"]


class Mute(Dependent):
    """From the hundredth question on it does not answer, until it is started again."""

    async def _lives(self) -> bool:
        self.questions += 1
        if 100 <= self.questions < 110:
            await asyncio.Event().wait()
        return True


async def test_what_does_not_answer_for_long_is_named_and_started_again(tmp_path: Path) -> None:
    server = Mute(tmp_path, IDLE, lambda: True)
    await server.start()
    first, server.patience = server.pid, 0.2
    reports: list[str] = []
    watch = asyncio.create_task(server.keep_running(reports.append))
    await until(lambda: server.pid != first and server.questions >= 150)
    await server.stop()
    await watch
    assert reports == ["program has not answered for 0.2 s; starting it again in 0.2 s"]


async def test_a_server_that_does_nothing_is_given_up_once(tmp_path: Path) -> None:
    asked: set[int] = set()

    def never() -> bool:
        asked.add(server.port)
        return False

    server = Program(tmp_path, IDLE, never)
    server.patience = 0.2
    with pytest.raises(ServerFailed, match=r"does not listen on port \d+ and has done nothing for 0\.2 s, see .*log"):
        await server.start()
    assert len(asked) == 1, "other ports would not help"
    assert server.pid is None


def nothing() -> None:
    return None


def watch(steps: Callable[[], list[Step]]) -> Watch:
    return Watch(steps, Patience(60.0, Clock(1.0)), pause=0)


@pytest.mark.parametrize("state", ["running", "waiting"])
async def test_the_demo_waits_while_the_yard_gets_on(state: str) -> None:
    """What runs may be silent; of what waits something has to change."""
    looks: list[int] = []

    def steps() -> list[Step]:
        looks.append(len(looks))
        return [Step("conversion to x", state, "" if state == "running" else f"{len(looks)} before it")]

    def read() -> str | None:
        return "there" if len(looks) > 200 else None

    assert await watch(steps).until(read, "the version") == "there"


async def test_the_demo_says_what_it_misses_when_nothing_moves() -> None:
    done, new = Step("the import", "succeeded"), Step("conversion to x", "initialising")
    steps = [done, new, Step("evaluation", "waiting", "0")]
    with pytest.raises(DemoFailed) as gave_up:
        await watch(lambda: steps).until(nothing, "the version")
    assert str(gave_up.value) == (
        "the version did not come, and nothing has moved for 60 s. "
        "conversion to x is initialising; evaluation is waiting (0)"
    )
    with pytest.raises(DemoFailed, match="nothing is at work that could bring it"):
        await watch(lambda: steps[:1]).until(nothing, "the gallery listing")


async def test_the_demo_bears_a_service_that_is_too_busy_to_answer() -> None:
    answers: list[Exception | str] = [Refused(503, {"error_msg": "busy"}), GatewayUnreachable("busy"), "there"]

    def read() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def steps() -> list[Step]:
        raise GatewayUnreachable("busy")

    assert await watch(steps).until(read, "it") == "there"

    def refused() -> None:
        raise Refused(503, {"error_msg": "evaluate did not answer within 5 s"})

    with pytest.raises(DemoFailed, match="the gateway said: evaluate did not answer"):
        await watch(steps).until(refused, "it")

    def forbidden() -> None:
        raise Refused(403, {"error_msg": "no"})

    with pytest.raises(Refused):
        await watch(steps).until(forbidden, "it")
