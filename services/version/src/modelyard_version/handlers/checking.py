"""How a verification or an audit is worked on: claimed, renewed while it runs, ended once. Used by both handlers.

Trouble with a store is tried again, and ends as a failure with its reason when the deliveries are used up.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic

import structlog
from pydantic import BaseModel

from modelyard_bus.consume import Retry
from modelyard_bus.handling import current_delivery
from modelyard_bus.repeats import KeyReused
from modelyard_contracts.catalogue import Job
from modelyard_store.claims import Held, Lost, while_held
from modelyard_store.documents import Duplicate, StoreUnavailable
from modelyard_version.checks_repository import Checks
from modelyard_version.domain.checks import CheckT, ended
from modelyard_version.errors import NotFound

log = structlog.get_logger()
EVERY: Final = 1.0  # seconds between two saves of the progress

Change = Callable[[CheckT], CheckT]


class CannotCheck(Exception):  # noqa: N818 - says what is the case
    """There is nothing to look at, and trying again would not help; the message becomes the reason."""


async def started(
    checks: Checks[CheckT], check: CheckT, job: Job[Any], data: BaseModel, alike: Callable[[CheckT], bool]
) -> CheckT:
    """The check with its job, or what the same idempotency key made before. Raises KeyReused unless that is `alike`."""
    try:
        await checks.add(check, job, data)
    except Duplicate:
        made = await checks.get(check.project, check.id)
        if made is None or not alike(made):
            raise KeyReused from None
        return made
    return check


async def known(checks: Checks[CheckT], project: str, what: str, identifier: str) -> CheckT:
    """Raises NotFound."""
    check = await checks.get(project, identifier)
    if check is None:
        raise NotFound(what, identifier, f"{what}_id")
    return check


@dataclass(frozen=True)
class Working(Generic[CheckT]):
    """`lease_ms` must outlast several reports."""

    checks: Checks[CheckT]
    clock: Callable[[], int]
    lease_ms: int

    async def work(
        self,
        identifier: str,
        begin: Callable[[CheckT], tuple[Coroutine[Any, Any, Change[CheckT]], Callable[[], Change[CheckT]]]],
    ) -> None:
        """`begin` gives the work, which ends with the change that is its result, and what tells its progress."""
        try:
            taken = await self.checks.take(identifier, now=self.clock(), lease_ms=self.lease_ms)
        except Held as held:
            raise Retry(str(held), after=max(0, held.until - self.clock()) / 1000 + 0.1) from held
        if taken is None:
            return
        work, progress = begin(taken)
        try:
            result = await while_held(work, lambda: self._report(taken, progress(), self.lease_ms), EVERY)
            await self.checks.finish(taken, result)
        except Lost as reason:
            log.info("check_given_up", check=identifier, reason=str(reason))
        except CannotCheck as error:
            await self._failed(taken, str(error))
        except asyncio.CancelledError:
            await self._let_go(taken, progress())
            raise
        except Exception as error:  # noqa: BLE001 - trouble of any kind is tried again, and ends as a failure at last
            await self._again(taken, progress(), _first(error))

    async def _report(self, taken: CheckT, progress: Change[CheckT], lease_ms: int) -> None:
        await self.checks.report(taken, progress, now=self.clock(), lease_ms=lease_ms)

    async def _again(self, taken: CheckT, progress: Change[CheckT], error: BaseException) -> None:
        delivery = current_delivery()
        if delivery is not None and delivery.last:
            log.error("check_broken", check=taken.id, exc_info=error)
            await self._failed(taken, f"it was tried {delivery.attempt} times: {error}")
            return
        await self._let_go(taken, progress)
        raise Retry(f"{type(error).__name__}: {error}") from error

    async def _failed(self, taken: CheckT, reason: str) -> None:
        try:
            await self.checks.finish(taken, lambda check: ended(check, self.clock(), reason[:2000]))
        except Lost as lost:
            log.info("check_given_up", check=taken.id, reason=str(lost))

    async def _let_go(self, taken: CheckT, progress: Change[CheckT]) -> None:
        """So that the next attempt need not wait for the lease."""
        try:
            await self._report(taken, progress, 0)
        except (Lost, StoreUnavailable) as error:
            log.info("claim_not_released", check=taken.id, error=str(error))


def _first(error: BaseException) -> BaseException:
    """What a group of tasks met first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
