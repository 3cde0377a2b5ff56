"""Job import.fetch: one attempt to bring a package in, fenced by the claim in its document.

An attempt that is interrupted leaves what it has copied to the next one (docs/adr/0007); how the store is kept clean
all the same is in `sweeping`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from modelyard_bus.connection import Bus
from modelyard_bus.consume import Retry
from modelyard_bus.handling import current_delivery
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import ImportJob
from modelyard_import.domain.imports import Cancelled, Import, Progress
from modelyard_import.errors import ImportBroken, RegistryAway
from modelyard_import.fetching.bring import Bring
from modelyard_import.fetching.notes import Notes
from modelyard_import.handlers.sweeping import Sweeping
from modelyard_import.repository import Repository
from modelyard_store.claims import Held, Lost, while_held
from modelyard_store.documents import StoreUnavailable
from modelyard_store.objects import Objects

log = structlog.get_logger()

REPORT_EVERY: Final = 1.0  # seconds between two saves of the progress, at most


@dataclass(frozen=True, slots=True)
class FetchHandler:
    """`lease_ms` must outlast several reports: an attempt that reports keeps its claim."""

    repository: Repository
    objects: Objects
    bus: Bus
    bring: Bring
    now: Callable[[], int]
    lease_ms: int

    async def fetch(self, envelope: Envelope, job: ImportJob) -> None:
        taken = await self._take(envelope.project, job.import_id)
        if taken is None:
            return
        notes = Notes(self.now)
        try:
            fact = await self._watched(taken, notes)
        except (Lost, Cancelled) as reason:
            log.info("import_given_up", import_id=taken.import_id, attempt=taken.attempt, reason=str(reason))
            await self._sweeping.given_up(taken, notes)
        except asyncio.CancelledError:
            await self._interrupted(taken, notes, "the service stops")
            raise
        except Failure as failure:
            await self._failed(taken, notes, failure)
        except Exception as error:  # noqa: BLE001 - trouble of any kind is tried again, and ends as a failure at last
            await self._again(taken, notes, error)
        else:
            await self._succeeded(taken, notes, fact)

    async def _take(self, project: str, import_id: str) -> Import | None:
        """None when there is nothing to do any more."""
        try:
            taken = await self.repository.take(import_id, now=self.now(), lease_ms=self.lease_ms)
        except Held as held:
            raise Retry(str(held), after=max(0, held.until - self.now()) / 1000 + 0.1) from held
        if taken is None:
            ended = await self.repository.imports.get(project, import_id)
            if ended is not None:
                await self._sweeping.ended(ended)
        return taken

    @property
    def _sweeping(self) -> Sweeping:
        return Sweeping(self.repository, self.objects)

    async def _watched(self, taken: Import, notes: Notes) -> ImportSucceeded:
        """The work, while its lease is renewed and its progress told. Raises Lost and Cancelled besides."""
        reported: Progress | None = notes.progress()
        renewed = self.now()

        async def renew() -> None:
            nonlocal reported, renewed
            if notes.progress() != reported or self.now() - renewed > self.lease_ms // 3:
                reported, renewed = await self._report(taken, notes), self.now()

        return await while_held(self.bring(taken, notes), renew, REPORT_EVERY)

    async def _report(self, taken: Import, notes: Notes) -> Progress | None:
        """What the document says now, without the lines; None when that is unknown."""
        await self._announce(taken, "running", notes)
        progress = notes.progress()
        try:
            await self.repository.report(taken, progress, now=self.now(), lease_ms=self.lease_ms)
        except StoreUnavailable as error:  # said again with the next report; the fence holds without it
            log.warning("progress_not_saved", import_id=taken.import_id, error=str(error))
            return None
        notes.saved(progress)
        return replace(progress, lines=())

    async def _succeeded(self, taken: Import, notes: Notes, fact: ImportSucceeded) -> None:
        """A store that is away leaves it open whether the result was saved, so nothing is removed then."""
        try:
            done = await self.repository.succeed(taken, notes.progress(), fact, now=self.now())
        except (Lost, Cancelled):
            await self._sweeping.given_up(taken, notes)
            return
        await self._announce(taken, "succeeded", notes)
        await self._sweeping.ended(done)

    async def _failed(self, taken: Import, notes: Notes, failure: Failure) -> None:
        """What lies there is removed before the failure is written down."""
        try:
            await self._sweeping.emptied(await self.repository.abandon(taken), notes)
            done = await self.repository.fail(taken, notes.progress(), failure, now=self.now())
        except (Lost, Cancelled):
            await self._sweeping.given_up(taken, notes)
            return
        await self._announce(taken, "failed", notes)
        await self._sweeping.ended(done)

    async def _again(self, taken: Import, notes: Notes, error: Exception) -> None:
        """Trouble that is not the package's fault: another delivery will try again, unless this was the last."""
        delivery = current_delivery()
        reason = f"{type(error).__name__}: {error}"
        if delivery is not None and delivery.last:
            log.error("import_broken", import_id=taken.import_id, exc_info=error)
            await self._failed(taken, notes, ImportBroken(f"the import was tried {delivery.attempt} times: {error}"))
            return
        await self._interrupted(taken, notes, reason)
        raise Retry(reason, after=error.after if isinstance(error, RegistryAway) else None) from error

    async def _interrupted(self, taken: Import, notes: Notes, reason: str) -> None:
        """Let go of the claim, so that the next attempt need not wait for it, and tell it how far this one was."""
        try:
            await self.repository.interrupt(taken, notes.progress(), reason, now=self.now())
        except (Lost, Cancelled, StoreUnavailable) as error:
            log.info("claim_not_released", import_id=taken.import_id, error=str(error))

    async def _announce(self, taken: Import, state: str, notes: Notes) -> None:
        progress = notes.progress()
        copied = progress.copied_bytes or taken.copied_bytes  # none: it has not looked yet at what is there
        payload = {"state": state, "copied_bytes": copied, "total_bytes": progress.total_bytes or taken.total_bytes}
        await self.bus.announce("import", taken.model_id, payload)
