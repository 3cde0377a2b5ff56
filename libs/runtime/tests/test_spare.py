"""A child that was started ahead: used once, replaced, and never left behind."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from modelyard_runtime.limits import Limits
from modelyard_runtime.spare import SparePython
from modelyard_runtime.subprocesses import SubprocessFailed

CHILDREN = Path(__file__).parent / "children"


async def ignore(_: str) -> None:
    """Lines are tested with `run_python`."""


def own_children() -> set[psutil.Process]:
    return set(psutil.Process().children())


@pytest.fixture
async def spare(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SparePython]:
    monkeypatch.setenv("PYTHONPATH", str(CHILDREN))
    before = own_children()  # servers that other tests of this run share
    spare = SparePython("runtime_child", Limits(wall_seconds=10))
    await spare.start()
    yield spare
    await spare.stop()
    assert own_children() <= before


async def test_each_request_gets_a_process_of_its_own(spare: SparePython) -> None:
    first = await spare.run({"do": "surroundings"}, on_line=ignore)
    second = await spare.run({"do": "surroundings"}, on_line=ignore)
    assert first["cwd"] != second["cwd"]


async def test_a_spare_that_died_waiting_is_not_used(spare: SparePython) -> None:
    await spare.run({"do": "surroundings"}, on_line=ignore)
    waiting = spare._next
    assert waiting is not None
    child = (await waiting).child
    os.kill(child.process.pid, signal.SIGKILL)
    await child.process.wait()
    assert (await spare.run({"do": "surroundings"}, on_line=ignore))["cwd"] != str(child.path.parent)


async def test_a_crash_is_told_and_the_next_request_works(spare: SparePython) -> None:
    with pytest.raises(SubprocessFailed):
        await spare.run({"do": "leave", "code": 3}, on_line=ignore)
    assert (await spare.run({"do": "surroundings"}, on_line=ignore))["session"]
