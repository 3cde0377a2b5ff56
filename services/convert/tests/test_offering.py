"""A toolchain whose probe was killed is found nevertheless, and one that breaks is offered no longer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts.calls import convert
from modelyard_contracts.catalogue import CONVERT_ONNX
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import ConversionJob
from modelyard_convert import offering
from modelyard_convert.offering import Offering
from modelyard_convert.toolchains import TOOLCHAINS
from modelyard_convert.toolchains.target import Toolchain
from modelyard_runtime.subprocesses import SubprocessFailed
from modelyard_testkit.service_stack import ServiceStack

pytestmark = pytest.mark.servers

KILLED = SubprocessFailed("crashed", "killed by SIGKILL; the machine may have run out of memory", -9)
THERE = {"onnx": "1.0"}


class Probes:
    """What each probe in turn finds; the last one stays."""

    def __init__(self, *found: dict[str, str] | SubprocessFailed | None) -> None:
        self.found = list(found)

    async def __call__(self, chain: Toolchain) -> dict[str, str] | None:
        now = self.found.pop(0) if len(self.found) > 1 else self.found[0]
        if isinstance(now, SubprocessFailed):
            raise now
        return now


class Jobs:
    """Takes jobs and does nothing."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def convert(self, _envelope: Envelope, job: ConversionJob) -> None:
        self.taken.append(job.conversion_id)


class Worker:
    """A worker of `convert` on a real bus, whose looks follow each other at once."""

    def __init__(self, stack: ServiceStack) -> None:
        self.stack = stack
        self.jobs = Jobs()

    async def start(self, probes: Probes) -> Offering:
        bus = await self.stack.bus("convert")
        self.calls, self.consumer = CallServer(bus, "convert"), Consumer(bus, "convert")
        jobs: Any = self.jobs
        self.offering = Offering(self.calls, self.consumer, jobs, 1, (TOOLCHAINS["onnx"],), probes)
        await self.offering.start()
        await self.calls.start()
        await self.consumer.start()
        return self.offering

    async def stop(self) -> None:
        await self.offering.stop()
        await self.consumer.stop(0)
        await self.calls.stop(0)

    async def offered(self) -> bool:
        return await CallClient(await self.stack.bus("gateway")).answered(convert.offers("onnx"))

    async def until(self, condition: Callable[[], Any]) -> None:
        while not await condition():  # noqa: ASYNC110 - what is waited for lies behind the bus
            await asyncio.sleep(0.01)

    async def order(self, conversion_id: str) -> None:
        data = ConversionJob(conversion_id=conversion_id).model_dump(mode="json")
        said = Envelope(source="test", type="job", subject=conversion_id, project=self.stack.project, data=data)
        await (await self.stack.bus("convert")).publish(CONVERT_ONNX.subject, said)


@pytest.fixture
async def worker(service_stack: ServiceStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    for name in ("FIRST_WAIT", "LONGEST_WAIT", "STEADY_WAIT"):
        monkeypatch.setattr(offering, name, 0.05)
    made = Worker(service_stack)
    yield made
    await made.stop()


async def test_a_probe_that_was_killed_at_start_is_made_again(worker: Worker) -> None:
    looking = await worker.start(Probes(KILLED, THERE))

    async def taken() -> bool:
        return "waiting" in worker.jobs.taken

    await worker.order("waiting")
    await worker.until(worker.offered)
    await worker.until(taken)
    assert await looking.check() is None


async def test_readiness_says_what_is_not_offered(worker: Worker) -> None:
    looking = await worker.start(Probes(KILLED))
    assert not await worker.offered()
    assert str(await looking.check()).startswith("onnx: killed by SIGKILL")


async def test_what_is_not_installed_is_neither_offered_nor_missed(worker: Worker) -> None:
    looking = await worker.start(Probes(None))
    assert not await worker.offered()
    assert await looking.check() is None


async def test_one_that_breaks_is_offered_no_longer_until_it_is_whole_again(worker: Worker) -> None:
    probes = Probes(THERE)
    looking = await worker.start(probes)
    assert await worker.offered()

    async def withdrawn() -> bool:
        return not await worker.offered()

    probes.found = [None]
    await worker.until(withdrawn)
    assert "not installed any more" in str(await looking.check())
    probes.found = [THERE]
    await worker.until(worker.offered)
    assert await looking.check() is None
