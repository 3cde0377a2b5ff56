"""Verifies versions: every file of every artifact is read again and compared with its manifest."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import created_id
from modelyard_contracts.calls.version import (
    VERIFY,
    DamagedFile,
    GetVerification,
    GetVersion,
    VerificationView,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import VerifyJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import Attempts
from modelyard_store.objects import AccessDenied, NoSuchBucket, NoSuchObject, ObjectChanged, Objects
from modelyard_version.domain import verification as domain
from modelyard_version.domain.checks import Named
from modelyard_version.domain.verification import Verification
from modelyard_version.domain.versions import Version
from modelyard_version.errors import CannotCheck, NotFound, NotPublished
from modelyard_version.handlers.checking import POLICY, Checking, known, started
from modelyard_version.repository.versions import VersionRepository
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, Progress

AT_ONCE: Final = 4
"""Files that one verification reads at the same time: what a disk and a hash can use."""


@dataclass(frozen=True)
class VerificationHandlers:
    versions: VersionRepository
    checks: Attempts[Verification]
    objects: Objects
    now: Callable[[], int]

    async def start(self, context: CallContext, request: GetVersion) -> VerificationView:
        """Raises NotFound, NotPublished, KeyReused."""
        version = await self.versions.get(context.project, request.model_id)
        if version is None:
            raise NotFound("model", request.model_id, "model_id")
        if not version.artifacts:
            raise NotPublished(version.title, version.model_status)
        verification = Verification(
            id=created_id(context, VERIFY),
            project=context.project,
            created_at=self.now(),
            created_by=context.actor,
            correlationid=context.correlationid,
            model_id=version.model_id,
            total_bytes=domain.bytes_of(version),
        )
        wanted = version.model_id
        return _view(await started(self.checks, domain.asked(verification), lambda made: made.model_id == wanted))

    async def get(self, context: CallContext, request: GetVerification) -> VerificationView:
        return _view(await known(self.checks, context.project, "verification", request.verification_id))

    async def work(self, envelope: Envelope, job: VerifyJob) -> None:
        """Job version.verify. An attempt after a break begins anew: what was read before may have rotted since."""
        await self._job.run(envelope, job.verification_id)

    @cached_property
    def _job(self) -> LongJob[Verification]:
        return LongJob(self.checks, lambda: _Reading(self), POLICY)


class _Reading(Checking[Verification]):
    """One attempt at one verification."""

    def __init__(self, verifying: VerificationHandlers) -> None:
        super().__init__(verifying.now)
        self._verifying = verifying
        self._checked = 0
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self, attempt: Attempt[Verification]) -> Decide[Verification]:
        taken = attempt.value
        version = await self._version(taken)
        if version is None:
            raise CannotCheck("the version was deleted meanwhile")
        damaged = [fault for fault in await self._all(version) if fault]
        now = await self._version(taken) if damaged else version
        if now is None:
            raise CannotCheck("the version was deleted while it was read")
        named = Named(fault for fault in damaged if domain.still_there(now, fault))
        at = self._now()
        return lambda taken: Outcome(domain.result(taken, tuple(named), named.total, at))

    def progress(self) -> Progress[Verification]:
        checked = self._checked
        return Progress(lambda taken: domain.progressed(taken, min(checked, taken.total_bytes)))

    async def _version(self, taken: Verification) -> Version | None:
        return await self._verifying.versions.get(taken.project, taken.model_id)

    async def _all(self, version: Version) -> list[DamagedFile | None]:
        tasks = []
        async with asyncio.TaskGroup() as group:
            for artifact, file in domain.files_of(version):
                tasks.append(group.create_task(self._look(artifact, file)))
        return [task.result() for task in tasks]

    async def _look(self, artifact: Artifact, file: FileEntry) -> DamagedFile | None:
        """Raises ObjectStoreUnavailable."""
        place = artifact.location
        pin = file.etag if artifact.by_reference else None
        async with self._room:
            try:
                found = await self._verifying.objects.digest(
                    place.bucket, place.prefix + file.path, if_etag=pin, on_read=self._read
                )
            except (NoSuchObject, NoSuchBucket, AccessDenied) as error:
                return domain.damage(artifact, file, "missing", f"{file.path} cannot be read: {error}")
            except ObjectChanged:
                message = f"{file.path} is not the object that was imported: somebody has written to its key"
                return domain.damage(artifact, file, "changed", message)
        return domain.fault(artifact, file, found)

    def _read(self, count: int) -> None:
        """In worker threads; a sum that is a chunk behind does no harm."""
        self._checked += count


def _view(verification: Verification) -> VerificationView:
    return VerificationView(
        verification_id=verification.id,
        model_id=verification.model_id,
        state=verification.state,
        checked_bytes=verification.checked_bytes,
        total_bytes=verification.total_bytes,
        intact=verification.intact,
        damaged=verification.damaged,
        reason=verification.reason or (f"{verification.more} more files are damaged" if verification.more else None),
        created_at=verification.created_at,
        finished_at=verification.finished_at,
    )
