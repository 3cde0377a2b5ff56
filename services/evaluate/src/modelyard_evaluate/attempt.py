"""One worker's attempt at one run: keeps the lease while the work goes on, and tells how far it is.

Made by the job. The document is saved about once a second, watchers hear of every progress line.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from modelyard_evaluate.child_request import PROGRESS
from modelyard_evaluate.domain.runs import Run
from modelyard_evaluate.repository import Repository
from modelyard_store.claims import while_held

LEASE_MS: Final = 8_000  # shorter than the job's ack_wait: over before a dead worker's job is delivered again
BEAT_SECONDS: Final = 1.0

ResultT = TypeVar("ResultT")
Announce = Callable[[str, str, dict[str, Any]], Awaitable[None]]

log = structlog.get_logger()


class Attempt:
    def __init__(self, run: Run, repository: Repository, announce: Announce, now: Callable[[], int]) -> None:
        self.run = run
        self.samples_done = 0
        self._repository = repository
        self._announce = announce
        self._now = now

    async def hear(self, line: str) -> None:
        """One line that the subprocess printed."""
        word, *numbers = line.split(" ")
        if word == PROGRESS and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            self.samples_done = int(numbers[0])
            await self.tell("running")
        else:
            log.info("evaluation_says", run_id=self.run.run_id, line=line)

    async def tell(self, state: str, reason: str | None = None) -> None:
        """Whoever watches now."""
        payload = {
            "state": state,
            "version": self.run.version,
            "attempt": self.run.attempt,
            "samples_done": self.samples_done,
            "samples": self.run.samples,
            "reason": reason,
        }
        await self._announce("evaluation", self.run.run_id, payload)

    async def while_held(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Do the work and keep the lease. The work is cancelled, and Lost or Ended raised, when it is ours no more."""

        async def renew() -> None:
            await self._repository.report(self.run, self.samples_done, now=self._now(), lease_ms=LEASE_MS)

        return await while_held(work, renew, BEAT_SECONDS)
