import asyncio

import pytest

from modelyard_runtime import tasks
from modelyard_runtime.tasks import cancelled


async def deaf(times: int) -> None:
    """Loses so many cancellations."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not times:
                raise
            times -= 1


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_that_loses_a_cancellation_ends(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    monkeypatch.setattr(tasks, "AGAIN", 0.01)
    task = asyncio.create_task(deaf(times))
    await asyncio.sleep(0)
    await cancelled(task)
    assert task.cancelled()


async def test_what_one_raised_is_left_with_it() -> None:
    async def failing() -> None:
        raise ValueError("of its own")

    ended, other = asyncio.create_task(failing()), asyncio.create_task(deaf(0))
    await asyncio.sleep(0)
    await cancelled(ended, other)
    assert str(ended.exception()) == "of its own"
    assert other.cancelled()
