"""Whose turn it is: each worker serves the projects one after the other, whoever's jobs stand first in the queue.

Asked by `long_job` before each job; why it is so: docs/adr/0015.
"""

from typing import Any

import structlog

from modelyard_store.attempts import Attempts, Ready
from modelyard_store.documents import StoreUnavailable

log = structlog.get_logger()


class Turns:
    """What one process served last. It knows nothing else: who waits is asked of the documents each time."""

    def __init__(self, attempts: Attempts[Any]) -> None:
        self._attempts = attempts
        self._last: dict[str, str] = {}

    async def next(self, job: str, passed: set[str]) -> Ready | None:
        """What waits longest of the next project, unless that is among those `passed`, to which it is added now. None
        also while nobody can be asked: jobs then come as they are delivered."""
        try:
            ready = await self._attempts.ready_after(job, self._last.get(job, ""))
        except StoreUnavailable as error:
            log.info("turns_unknown", error=str(error))
            return None
        if ready is None or ready.project in passed:
            return None
        passed.add(ready.project)
        self.served(job, ready.project)
        return ready

    def served(self, job: str, project: str) -> None:
        self._last[job] = project
