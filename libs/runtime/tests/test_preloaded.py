"""Children of a process that has imported everything: each for one request, confined, and never left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from modelyard_contracts.failures import Failure
from modelyard_runtime.limits import Limits
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import SubprocessFailed

CHILDREN = Path(__file__).parent / "children"


async def ignore(_: str) -> None:
    """Lines are tested with `run_python`."""


def own_children() -> set[psutil.Process]:
    """Without theirs: servers that other tests of this run share have some that come and go."""
    return set(psutil.Process().children())


@pytest.fixture
async def preloaded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PreloadedPython]:
    monkeypatch.setenv("PYTHONPATH", str(CHILDREN))
    monkeypatch.setenv("MODELYARD_SECRET", "hidden")
    before = own_children()
    preloaded = PreloadedPython("runtime_child", Limits(wall_seconds=10, open_files=100))
    await preloaded.start()
    yield preloaded
    await preloaded.stop()
    assert own_children() <= before


async def test_each_request_gets_a_confined_process_of_its_own(preloaded: PreloadedPython) -> None:
    first = await preloaded.run({"do": "surroundings"}, on_line=ignore)
    second = await preloaded.run({"do": "surroundings"}, on_line=ignore)
    assert first["cwd"] != second["cwd"]
    assert first["environment"]["HOME"] == first["cwd"]
    assert "MODELYARD_SECRET" not in first["environment"]
    assert first["limits"]["NOFILE"] == 100
    assert first["session"]


async def test_many_at_once(preloaded: PreloadedPython) -> None:
    requests = [{"do": "echo", "number": number, "filler": "x" * 200_000} for number in range(20)]
    found = await asyncio.gather(*(preloaded.run(request, on_line=ignore) for request in requests))
    assert found == requests


async def test_what_it_prints_is_passed_on(preloaded: PreloadedPython) -> None:
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line)

    await preloaded.run({"do": "echo"}, on_line=keep)
    assert sorted(lines) == ["a warning", "first line", "from C"]


async def test_a_crash_is_told_and_the_next_request_works(preloaded: PreloadedPython) -> None:
    with pytest.raises(SubprocessFailed) as crashed:
        await preloaded.run({"do": "die", "signal": signal.SIGSEGV}, on_line=ignore)
    assert crashed.value.code == -signal.SIGSEGV
    with pytest.raises(Failure, match="bad package"):
        await preloaded.run({"do": "refuse"}, on_line=ignore)
    assert (await preloaded.run({"do": "surroundings"}, on_line=ignore))["session"]


async def test_a_cancelled_request_is_killed(preloaded: PreloadedPython) -> None:
    printed = asyncio.Event()

    async def note(_: str) -> None:
        printed.set()

    running = asyncio.create_task(preloaded.run({"do": "wait_for", "file": "never"}, on_line=note))
    await printed.wait()
    template = psutil.Process((await preloaded._living()).pid)
    assert template.children()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not template.children()


async def test_it_comes_back_when_it_was_killed(preloaded: PreloadedPython) -> None:
    os.kill((await preloaded._living()).pid, signal.SIGKILL)
    assert (await preloaded.run({"do": "surroundings"}, on_line=ignore))["session"]


async def test_its_children_die_with_it(preloaded: PreloadedPython) -> None:
    printed = asyncio.Event()

    async def note(_: str) -> None:
        printed.set()

    running = asyncio.create_task(preloaded.run({"do": "wait_for", "file": "never"}, on_line=note))
    await printed.wait()
    template = psutil.Process((await preloaded._living()).pid)
    (child,) = template.children()
    template.kill()
    with pytest.raises(SubprocessFailed):
        await running
    child.wait()


async def test_a_module_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CHILDREN))
    preloaded = PreloadedPython("unimportable_child")
    with pytest.raises(SubprocessFailed, match="again and again"):
        await preloaded.run({}, on_line=ignore)
    await preloaded.stop()
