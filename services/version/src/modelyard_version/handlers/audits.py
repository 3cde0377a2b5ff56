"""Audits a project: what lies in the bucket that no version needs, and what versions need that does not lie there.

Objects and versions are walked side by side, both in the order of their ids, a page of each in memory. What the walk
suspects is looked at again before it is reported or repaired, because both sides move meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import structlog

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import created_id
from modelyard_contracts.calls.version import AUDIT, AuditView, DamagedFile, GetAudit, StartAudit
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_contracts.shapes import FileEntry
from modelyard_store.aggregates import Decide
from modelyard_store.attempts import Attempts
from modelyard_store.objects import NoSuchBucket, ObjectInfo, Objects
from modelyard_version.domain import audit as domain
from modelyard_version.domain.audit import Audit
from modelyard_version.domain.checks import Named, ended
from modelyard_version.domain.versions import Version
from modelyard_version.errors import CannotCheck
from modelyard_version.handlers.checking import POLICY, Checking, known, started
from modelyard_version.handlers.pins import changed
from modelyard_version.repository.versions import VersionRepository
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, Progress

log = structlog.get_logger()
AT_ONCE: Final = 500
"""Strays that are looked at, and removed, together."""

CaughtUp = Callable[[], Awaitable[bool]]


class Behind(Exception):
    """Events wait to be heard: one of them may name what looks like a stray."""


@dataclass(frozen=True)
class AuditHandlers:
    """`grace_ms`: younger objects are left alone. `caught_up`: whether everything that was said has been heard."""

    versions: VersionRepository
    checks: Attempts[Audit]
    objects: Objects
    bucket: str
    now: Callable[[], int]
    grace_ms: int
    caught_up: CaughtUp

    async def start(self, context: CallContext, request: StartAudit) -> AuditView:
        """Raises KeyReused."""
        audit = Audit(
            id=created_id(context, AUDIT),
            project=context.project,
            created_at=self.now(),
            created_by=context.actor,
            correlationid=context.correlationid,
            repair=request.repair,
        )
        return _view(await started(self.checks, domain.asked(audit), lambda made: made.repair == request.repair))

    async def get(self, context: CallContext, request: GetAudit) -> AuditView:
        return _view(await known(self.checks, context.project, "audit", request.audit_id))

    async def work(self, envelope: Envelope, job: AuditJob) -> None:
        """Job version.audit. An attempt after a break begins anew and keeps the names of what was repaired before."""
        await self._job.run(envelope, job.audit_id)

    @cached_property
    def _job(self) -> LongJob[Audit]:
        return LongJob(self.checks, lambda: _Walk(self), POLICY)


class _Folder:
    """Everything below one model id, as far as it was listed. `version` None: the walk met none with this id."""

    def __init__(self, model_id: str, version: Version | None, bucket: str) -> None:
        self.model_id = model_id
        self.version = version
        self.missing = domain.manifested(version, bucket)
        self.suspects: list[ObjectInfo] = []
        self._needed = set(self.missing)

    def note(self, found: ObjectInfo) -> None:
        wanted = self.missing.get(found.key)
        if wanted is not None and wanted[1].size == found.size:
            del self.missing[found.key]
        elif found.key not in self._needed:
            self.suspects.append(found)


class _Walk(Checking[Audit]):
    """One attempt at one audit."""

    _taken: Audit

    def __init__(self, auditing: AuditHandlers) -> None:
        super().__init__(auditing.now)
        self._of = auditing
        self._strays = Named[str]()
        self._incomplete = Named[DamagedFile]()
        self._stray_objects = self._stray_bytes = self._objects = self._versions = 0

    async def run(self, attempt: Attempt[Audit]) -> Decide[Audit]:
        self._taken = taken = attempt.value
        if taken.repair:
            self._strays, self._incomplete = Named(taken.strays), Named(taken.incomplete)
            self._stray_objects, self._stray_bytes = taken.stray_objects, taken.stray_bytes
            if not await self._of.caught_up():
                raise Behind("the service has not heard yet what became of all imports and conversions")
        try:
            await self._side_by_side()
        except NoSuchBucket as error:
            raise CannotCheck(str(error)) from error
        at = self._now()
        return lambda taken: Outcome(replace(ended(self._told(taken), at), repaired=taken.repair))

    def progress(self) -> Progress[Audit]:
        return Progress(self._told)

    def _told(self, audit: Audit) -> Audit:
        return replace(
            audit,
            objects=self._objects,
            versions=self._versions,
            stray_objects=self._stray_objects,
            stray_bytes=self._stray_bytes,
            strays=tuple(self._strays),
            incomplete=tuple(self._incomplete),
        )

    async def _side_by_side(self) -> None:
        """By `id/`, which is how keys sort: an id that begins with another id comes before it in the bucket."""
        versions = self._of.versions.all_of(self._taken.project)
        version = await anext(versions, None)
        folder: _Folder | None = None
        models = f"{self._taken.project}/models/"
        async for found in self._of.objects.list(self._of.bucket, models):
            self._objects += 1
            model_id = found.key[len(models) :].split("/")[0]
            if folder is None or folder.model_id != model_id:
                if folder is not None:
                    await self._close(folder)
                while version is not None and f"{version.model_id}/" < f"{model_id}/":
                    await self._close(self._folder(version.model_id, version))
                    version = await anext(versions, None)
                folder = self._folder(model_id, version if version and version.model_id == model_id else None)
                version = await anext(versions, None) if folder.version else version
            folder.note(found)
            if len(folder.suspects) >= AT_ONCE:
                await self._look_at_suspects(folder)
        if folder is not None:
            await self._close(folder)
        while version is not None:
            await self._close(self._folder(version.model_id, version))
            version = await anext(versions, None)

    def _folder(self, model_id: str, version: Version | None) -> _Folder:
        self._versions += version is not None
        return _Folder(model_id, version, self._of.bucket)

    async def _close(self, folder: _Folder) -> None:
        await self._look_at_suspects(folder)
        version = folder.version
        if version is None or version.model_status != "published":
            return
        damaged = [fault for fault in await self._gone(version, folder) if fault]
        if damaged:
            await self._report(version, damaged)

    async def _look_at_suspects(self, folder: _Folder) -> None:
        """With the version as it is now: the walk read it some time ago, or before it existed."""
        old = self._of.now() - self._of.grace_ms
        suspects = [found for found in folder.suspects if found.modified is not None and found.modified < old]
        folder.suspects.clear()
        if not suspects:
            return
        now = await self._of.versions.kept(self._taken.project, folder.model_id)
        needed = domain.manifested(now, self._of.bucket)
        strays = [found for found in suspects if domain.is_stray(found.key, now, needed)]
        for stray in strays:
            self._stray_objects += 1
            self._stray_bytes += stray.size
            self._strays.note(stray.key)
        if self._taken.repair:
            await asyncio.gather(*(self._of.objects.remove(self._of.bucket, stray.key) for stray in strays))

    async def _gone(self, version: Version, folder: _Folder) -> list[DamagedFile]:
        """The store is asked about each: it may have been written, or the whole version, after it was listed."""
        suspected: dict[str, list[FileEntry]] = {}
        for artifact, file in folder.missing.values():
            suspected.setdefault(artifact.artifact_id, []).append(file)
        found: list[DamagedFile] = []
        for artifact in version.artifacts:
            files = artifact.files if artifact.by_reference else suspected.get(artifact.artifact_id, ())
            found += await changed(self._of.objects, artifact, files)
        return found

    async def _report(self, version: Version, damaged: list[DamagedFile]) -> None:
        """Unless version or artifact went while we looked, and its objects with it."""
        now = await self._of.versions.kept(version.owner, version.model_id)
        real = [each for each in damaged if now is not None and now.artifact(each.artifact_id)]
        for each in real:
            self._incomplete.note(each)
        if real and self._taken.repair:
            cause = Cause(self._taken.correlationid, by=self._taken.created_by)
            await self._of.versions.change(
                version.project, version.model_id, lambda v: domain.repaired(v, real, self._of.now()), cause
            )
            log.warning("version_repaired", model_id=version.model_id, damaged=len(real))


def _view(audit: Audit) -> AuditView:
    return AuditView(
        audit_id=audit.id,
        state=audit.state,
        repair=audit.repair,
        objects=audit.objects,
        versions=audit.versions,
        stray_objects=audit.stray_objects,
        stray_bytes=audit.stray_bytes,
        strays=audit.strays,
        incomplete=audit.incomplete,
        repaired=audit.repaired,
        reason=audit.reason,
        created_at=audit.created_at,
        finished_at=audit.finished_at,
    )
