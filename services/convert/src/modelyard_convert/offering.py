"""What this worker offers: the toolchains that are really there. It looks at start, and again while it runs.

A probe that was killed (as the system does when memory is short) says nothing about its toolchain: it is made again
soon. A toolchain that is no longer there is offered no longer, and offered again when it is back.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from modelyard_bus.calls import CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts.calls import convert
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_convert.handlers.jobs import ConversionJobs
from modelyard_convert.toolchains.target import Toolchain
from modelyard_runtime.subprocesses import Limits, SubprocessFailed, run_program
from modelyard_runtime.tasks import cancelled

PROBE: Final = Path(__file__).with_name("children") / "probe.py"
PROBE_LIMITS: Final = Limits(memory_bytes=None, cpu_seconds=60, wall_seconds=60)
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
STEADY_WAIT: Final = 600.0
"""Seconds between two probes: after one that failed (doubling), and after one that did not."""
GRACE: Final = 1.0

log = structlog.get_logger()
Probe = Callable[[Toolchain], Awaitable[dict[str, str] | None]]


async def versions_of(chain: Toolchain) -> dict[str, str] | None:
    """Of the modules that a toolchain needs, in its own interpreter; None when it is not installed. Raises
    SubprocessFailed when that could not be found out, or it does not load."""

    if chain.python is not None and not chain.python.exists():
        return None

    async def on_line(line: str) -> None:
        log.debug("probe", toolchain=chain.name, line=line)

    with tempfile.TemporaryDirectory() as folder:
        found = await run_program(
            PROBE,
            {"modules": chain.modules},
            python=chain.python,
            workdir=Path(folder),
            on_line=on_line,
            limits=PROBE_LIMITS,
        )
    return None if found.get("missing") else found


@dataclass
class _Known:
    """What is known of one toolchain. `failures` in a row; `again` is when to look next, on the monotonic clock."""

    chain: Toolchain
    offered: bool = False
    was_there: bool = False
    failures: int = 0
    reason: str | None = None
    again: float = 0.0


@dataclass
class Offering:
    """`start` before the bus takes anything: what is there is offered from the beginning."""

    calls: CallServer
    consumer: Consumer
    jobs: ConversionJobs
    parallel: int
    chains: Sequence[Toolchain]
    probe: Probe = versions_of
    _known: list[_Known] = field(init=False)
    _task: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._known = [_Known(chain) for chain in self.chains]

    async def start(self) -> None:
        await self.look()
        self._task = asyncio.create_task(self._keep_looking(), name="toolchains")

    async def stop(self) -> None:
        if self._task is not None:
            await cancelled(self._task)

    async def check(self) -> str | None:
        """What should be offered and is not, or what may not be there any more."""
        return "; ".join(f"{known.chain.name}: {known.reason}" for known in self._known if known.reason) or None

    async def look(self) -> None:
        """At those whose time has come."""
        now = time.monotonic()
        await asyncio.gather(*(self._look(known) for known in self._known if known.again <= now))

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, min(known.again for known in self._known) - time.monotonic()))
            try:
                await self.look()
            except Exception:  # whatever it was, the next time comes
                log.warning("toolchains_not_looked_at", exc_info=True)
                await asyncio.sleep(FIRST_WAIT)

    async def _look(self, known: _Known) -> None:
        try:
            versions = await self.probe(known.chain)
        except SubprocessFailed as failed:
            await self._failed(known, failed.message)
            return
        if versions is None and known.was_there:
            await self._failed(known, "it is not installed any more")
            return
        known.failures, known.reason, known.again = 0, None, time.monotonic() + STEADY_WAIT
        if versions is not None and not known.offered:
            await self._offer(known, versions)

    async def _failed(self, known: _Known, why: str) -> None:
        """One that was offered stays so at the first failure: it may be the probe's alone."""
        known.reason = f"{why}; it is looked for again"
        known.again = time.monotonic() + min(LONGEST_WAIT, FIRST_WAIT * 2**known.failures)
        known.failures += 1
        log.warning("toolchain_missing", toolchain=known.chain.name, reason=why, failures=known.failures)
        if known.offered and known.failures > 1:
            known.offered = False
            await self.calls.answer_no_longer(convert.offers(known.chain.name))
            await self.consumer.take_no_longer(known.chain.job, GRACE)

    async def _offer(self, known: _Known, versions: dict[str, str]) -> None:
        chain = known.chain
        log.info("toolchain_offered", toolchain=chain.name, device=chain.device, versions=versions)
        await self.calls.answer_from_now(convert.offers(chain.name), offer)
        await self.consumer.take_from_now(chain.job, self.jobs.convert, parallel=self.parallel)
        known.offered = known.was_there = True


async def offer(_context: CallContext, _request: Nothing) -> Nothing:
    """Answered by workers: that somebody answers is the answer."""
    return Nothing()
