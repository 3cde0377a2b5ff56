"""Ends conversions that no worker comes for. A chore of every process that answers calls.

Workers may be away for long (a roll, an outage, a machine that is switched on at night), so a conversion waits; but
not for ever, because its version cannot be deleted as long as it does.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from modelyard_contracts.outcome import Cause, Outcome
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.domain import Conversion
from modelyard_convert.errors import NoWorker
from modelyard_convert.repository import Repository
from modelyard_convert.toolchains import TOOLCHAINS


@dataclass
class Unoffered:
    """`patience` in seconds, counted from when this process has first asked in vain: what was asked of another one, or
    while workers could not be heard, does not count."""

    repository: Repository
    admission: Admission
    now: Callable[[], int]
    patience: float
    clock: Callable[[], float] = time.monotonic
    _since: dict[str, float] = field(default_factory=dict)

    async def sweep(self) -> int:
        """How many were ended."""
        return sum([await self._look(toolchain) for toolchain in TOOLCHAINS])

    async def _look(self, toolchain: str) -> int:
        if await self.admission.offered(toolchain):
            self._since.pop(toolchain, None)
            return 0
        if self.clock() - self._since.setdefault(toolchain, self.clock()) < self.patience:
            return 0
        waiting = await self.repository.unfinished_before(self.now() - int(self.patience * 1000))
        mine = [each for each in waiting if each.toolchain == toolchain]
        for each in mine:
            cause = Cause(each.correlationid)
            await self.repository.change(each.project, each.conversion_id, lambda c: self._ended(c, toolchain), cause)
        return len(mine)

    def _ended(self, conversion: Conversion, toolchain: str) -> Outcome[Conversion] | None:
        return None if conversion.finished else domain.failed(conversion, NoWorker(toolchain), now=self.now())
