"""One worker's attempt at one conversion: keeps the lease, carries the log to the document, to watchers and to a file.

Made by the conversion job. The document is saved about once a second, however much the subprocess prints.
"""

from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from modelyard_convert import domain
from modelyard_convert.child_request import STEP
from modelyard_convert.domain import Conversion, Outcome
from modelyard_convert.repository import Cause, Repository
from modelyard_store.claims import while_held

T = TypeVar("T")
Announce = Callable[[str, str, dict[str, Any]], Awaitable[None]]
LEASE_MS = 8_000  # shorter than the job's ack_wait: when a worker died, its lease is over before the redelivery
BEAT_SECONDS = 1.0


class Attempt:
    def __init__(
        self,
        conversion: Conversion,
        *,
        repository: Repository,
        announce: Announce,
        now: Callable[[], int],
        cause: Cause,
        log_file: Path,
    ) -> None:
        self.conversion = conversion
        self.log_file = log_file
        self._repository = repository
        self._announce = announce
        self._now = now
        self._cause = cause
        self._lines: list[str] = []
        self._progress: str | None = None
        log_file.write_text(f"{domain.heading(conversion)}\n")

    async def say(self, line: str) -> None:
        """One line of the log; a step also becomes the progress."""
        if line.startswith(STEP):
            self._progress = line.removeprefix(STEP)
        self._lines.append(line)
        with self.log_file.open("a") as file:
            file.write(f"{line}\n")
        payload = {"state": "running", "attempt": self.conversion.attempt, "progress": self._progress, "line": line}
        await self._announce("conversion", self.conversion.conversion_id, payload)

    @property
    def unsaved(self) -> tuple[str, ...]:
        """Lines of the log that are not in the document yet."""
        return tuple(self._lines)

    async def while_held(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work and keep the lease. Raises Lost or Stopped, after cancelling it, when it is ours no more."""
        return await while_held(work, lambda: self._renew(self._progress, LEASE_MS), BEAT_SECONDS)

    async def let_go(self) -> None:
        """Another attempt may begin at once. Raises Lost, Stopped, StoreUnavailable."""
        await self._renew("waiting for a worker", lease_ms=0)

    async def _renew(self, progress: str | None, lease_ms: int) -> None:
        lines = self.unsaved

        def decide(found: Conversion) -> Outcome:
            return domain.reported(found, lines, progress)

        now = self._now()
        await self._repository.renew(self.conversion, decide, now=now, lease_ms=lease_ms, cause=self._cause)
        del self._lines[: len(lines)]
