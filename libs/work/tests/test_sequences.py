"""Whatever happens, in whatever order: the document ends, once, for the reason that is true, and nothing is left."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard_contracts.failures import Code, Failure, FailureKind
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_store.watched import SILENT_MS
from modelyard_testkit.faults import ALWAYS

from .conftest import Yard

TROUBLES = ("stop", "crash", "kill", "store away", "store cut off", "other service away", "late worker", "lost job")
Steps = list[str]


async def either(task: asyncio.Task[str], event: asyncio.Event) -> None:
    """The work has begun, or there was none."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await asyncio.wait({waiting})


class Story:
    """`seen` counts what the document may blame: workers of which nothing more was heard, crashes, other trouble."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.seen = Counter[str]()

    async def happen(self, step: str) -> None:
        if self.yard.messages:
            await getattr(self, step.replace(" ", "_"))()
        else:
            await self.time_passes()

    async def stop(self) -> None:
        begun = asyncio.Event()

        async def script(attempt: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        working = asyncio.create_task(self.yard.deliver(script))
        await either(working, begun)
        working.cancel()
        await asyncio.wait({working})

    async def crash(self) -> None:
        await self._raise("crashes", SubprocessFailed("crashed", "killed by SIGSEGV", -11))

    async def other_service_away(self) -> None:
        await self._raise("tries", Failure(FailureKind.UNAVAILABLE, Code("ModelArts.9001"), "no worker answers"))

    async def store_away(self) -> None:
        self.yard.faults.away = ALWAYS
        await self.yard.deliver()
        self.yard.faults.away = 0

    async def store_cut_off(self) -> None:
        """From the middle of the work on: neither an end nor letting go can be written down."""

        async def script(attempt: Any) -> None:
            self.seen["tries"] += 1
            self.yard.faults.away = ALWAYS

        await self.yard.deliver(script)
        self.yard.faults.away = 0

    async def kill(self) -> None:
        """The process goes with everything that it still wanted to say."""
        self.seen["silent"] += len(self.yard.job._unsaid)
        self.yard.job = self.yard.worker()
        self.yard.now += self.yard.policy.lease_ms + 1
        if await self._taken():
            self.seen["silent"] += 1
            self.yard.outputs.add((await self.yard.task()).attempt)
        self.yard.now += self.yard.policy.lease_ms + 1

    async def late_worker(self) -> None:
        """It wakes up when another has ended the work, and must harm nobody."""
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def script(attempt: Any) -> None:
            begun.set()
            await go_on.wait()

        late = asyncio.create_task(self.yard.deliver(script))
        await either(late, begun)
        if not late.done():
            self.seen["silent"] += 1
            self.yard.now += self.yard.policy.lease_ms + 1
            await self.yard.deliver()
            self.yard.messages += 1  # it was one message
        go_on.set()
        await late

    async def lost_job(self) -> None:
        self.yard.messages -= 1

    async def cancel(self) -> None:
        """Whoever ends it from outside removes what attempts have left, as the services do."""

        def decide(task: Any) -> Any:
            return Outcome(type(task)("mine", "stopped")) if task.state in ("waiting", "running") else None

        stopped = await self.yard.attempts.change("mine", "t", decide, Cause("c-1"))
        assert stopped is not None
        if stopped.state == "stopped":
            self.yard.outputs.clear()

    async def time_passes(self) -> None:
        self.yard.now += 64 * SILENT_MS
        await self.yard.revival.sweep()
        await self.yard.relay()

    async def heal(self) -> None:
        for _ in range(4):
            await self.time_passes()
            while self.yard.messages > 0:
                await self.yard.deliver()

    async def _taken(self) -> bool:
        taken = await self.yard.attempts.take("t", lambda task, _: Outcome(task), Cause("c"), self.yard.policy.lease_ms)
        return taken is not None

    async def _raise(self, trouble: str, error: Exception) -> None:
        async def script(attempt: Any) -> None:
            self.seen[trouble] += 1
            raise error

        await self.yard.deliver(script)

    async def check(self, *, stopped: bool) -> None:
        yard, policy = self.yard, self.yard.policy
        task = await yard.task()
        sent = [subject for subject in await yard.sent() if subject.endswith(".failed.v1")]  # what `over` says
        assert len(sent) <= 1
        assert yard.outputs == ({task.attempt} if task.state == "succeeded" else set())
        assert not yard.folder.exists() or list(yard.folder.iterdir()) == []
        if task.state == "stopped":
            assert stopped
        elif task.state == "failed":
            blamed = {
                "workers died": self.seen["silent"] > policy.deaths,
                "SIGSEGV": self.seen["crashes"] > policy.crashes,
                "no worker answers": self.seen["tries"] >= policy.tries,
                "the store is away": self.seen["tries"] >= policy.tries,
            }
            assert any(words in str(task.reason) and true for words, true in blamed.items()), (task.reason, self.seen)
        else:
            assert task.state == "succeeded"


@given(steps=st.lists(st.sampled_from(TROUBLES), max_size=7), cancelled=st.booleans())
@settings(max_examples=40, deadline=None)
def test_it_ends_once_for_the_reason_that_is_true(
    steps: Steps, cancelled: bool, open_yard: Callable[[Path], Any]
) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_yard(Path(folder)) as yard:
                story = Story(yard)
                for step in steps:
                    await story.happen(step)
                if cancelled:
                    await story.cancel()
                await story.heal()
                await story.check(stopped=cancelled)

    asyncio.run(live())


@pytest.mark.parametrize("step", TROUBLES)
async def test_each_trouble_alone_is_overcome(yard: Yard, step: str) -> None:
    story = Story(yard)
    await story.happen(step)
    await story.heal()
    await story.check(stopped=False)
    assert (await yard.task()).state == "succeeded"
