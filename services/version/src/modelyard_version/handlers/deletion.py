"""Archives, restores and deletes versions, and frees the objects of deleted ones in a job of its own."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from modelyard_bus.consume import Reject
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import (
    ArchiveVersion,
    DeleteFailure,
    DeleteReport,
    DeleteVersions,
    DeletionPreview,
    GoingVersion,
    RestoreVersion,
    VersionView,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import PurgeJob
from modelyard_contracts.outcome import Cause
from modelyard_store.objects import NoSuchBucket, Objects
from modelyard_version.domain.holds import in_use
from modelyard_version.domain.versions import (
    Version,
    VersionOutcome,
    archive_of,
    archived,
    deleted,
    folder_of,
    restored,
)
from modelyard_version.errors import Contended, InUse, NotFound, StillPublishing
from modelyard_version.handlers.aliases import AliasHandlers
from modelyard_version.handlers.updates import unchanged_since
from modelyard_version.handlers.views import version_view
from modelyard_version.repository.versions import VersionRepository
from modelyard_work.sweeping import each_once

CASCADE: Final = 20
MOST_KEPT: Final = 1000
"""Versions in use that one call tells of."""
AT_ONCE: Final = 100
ATTEMPTS: Final = 10


@dataclass(frozen=True)
class DeletionHandlers:
    """`kept_ms`: how long a published version that was deleted can be restored; 0 for not at all."""

    versions: VersionRepository
    aliasing: AliasHandlers
    objects: Objects
    bucket: str
    now: Callable[[], int]
    kept_ms: int = 0

    async def delete(self, context: CallContext, request: DeleteVersions) -> DeleteReport:
        """The named one first, so that it is gone or told of whatever comes after. What is in use is kept and
        reported; raises NotFound and Changed only for the version that was named."""
        named = await self._named(context.project, request)
        cause, until = Cause.asked(context), self._until(request.purge)
        gone: list[str] = []
        kept: list[DeleteFailure] = []
        more = waits = False
        async for version in self._wanted(named, request):
            if len(gone) == CASCADE or len(kept) == MOST_KEPT:
                more = True
                break
            seen = request.revisions if version.model_id == named.model_id else None
            try:
                waits = await self._delete(version, cause, until, seen) or waits
                gone.append(version.model_id)
            except InUse as refusal:
                kept.append(_failure(version, refusal))
        return DeleteReport(
            delete_success_list=tuple(gone),
            delete_failed_list=tuple(kept),
            more=more,
            expires_at=until if waits else None,
        )

    async def preview(self, context: CallContext, request: DeleteVersions) -> DeletionPreview:
        """What `delete` would do now, without doing it. Raises NotFound as it does."""
        named = await self._named(context.project, request)
        going: list[Version] = []
        kept: list[DeleteFailure] = []
        more = False
        async for version in self._wanted(named, request):
            if len(going) == CASCADE or len(kept) == MOST_KEPT:
                more = True
                break
            if held := await self._held(version):
                kept.append(_failure(version, InUse(held)))
            else:
                going.append(version)
        sizes = [size for version in going for size in await self._sizes(version)]
        until = self._until(request.purge)
        return DeletionPreview(
            versions=tuple(_shown(version, until) for version in going),
            kept=tuple(kept),
            objects=len(sizes),
            bytes=sum(sizes),
            by_reference=tuple(v.model_id for v in going if any(each.by_reference for each in v.artifacts)),
            more=more,
            expires_at=until if any(map(_can_wait, going)) else None,
        )

    async def archive(self, context: CallContext, request: ArchiveVersion) -> VersionView:
        """Doing it again changes nothing. Raises NotFound, StillPublishing, InUse."""
        if found := await self.versions.archived(context.project, request.model_id):
            return version_view(found, self.now())
        version = await self.versions.get(context.project, request.model_id)
        if version is None:
            raise NotFound("model", request.model_id, "model_id")
        if version.model_status == "publishing":
            raise StillPublishing(version.title)
        await self._put_away(version, Cause.asked(context), archived, request.revisions)
        return await self._archived(context.project, request.model_id)

    async def restore(self, context: CallContext, request: RestoreVersion) -> VersionView:
        """Doing it again changes nothing. Raises NotFound."""
        now = self.now()
        place = archive_of(context.project)
        version = await self.versions.change(
            place, request.model_id, lambda seen: _restored(seen, now, request.revisions), Cause.asked(context)
        ) or await self.versions.get(context.project, request.model_id)
        if version is None:
            raise NotFound("archived model", request.model_id, "model_id")
        return version_view(version, now)

    async def expire(self) -> int:
        """Delete what was archived until now, for good; how many. A chore."""
        return await each_once(lambda: self.versions.expired(AT_ONCE), self._expire)

    async def purge(self, envelope: Envelope, job: PurgeJob) -> None:
        """Repeatable: it ends when the objects are gone. The tombstone stays."""
        version = await self.versions.any(job.model_id)
        ours = job.location.prefix == folder_of(envelope.project, job.model_id)
        if not ours or (version and version.deleted_at is None):
            raise Reject(f"{job.location.prefix} does not belong to a deleted version")
        await self._remove(job.location.bucket, job.location.prefix)

    async def discard(self, project: str, model_id: str) -> None:
        """Objects that arrived for a version after its deletion."""
        if await self.versions.kept(project, model_id) is None:
            await self._remove(self.bucket, folder_of(project, model_id))

    async def _named(self, project: str, request: DeleteVersions) -> Version:
        """Raises NotFound, also for an archived one that is not to be purged."""
        version = await self.versions.get(project, request.model_id)
        if version is None and request.purge:
            version = await self.versions.archived(project, request.model_id)
        if version is None:
            raise NotFound("model", request.model_id, "model_id")
        return version

    async def _wanted(self, named: Version, request: DeleteVersions) -> AsyncIterator[Version]:
        yield named
        places = (named.owner, *([archive_of(named.owner)] if request.purge else []))
        for place in places if request.cascade else ():
            async for version in self.versions.under(place, named.model_name):
                if version.model_id != named.model_id:
                    yield version

    def _until(self, purge: bool) -> int | None:
        return None if purge or not self.kept_ms else self.now() + self.kept_ms

    async def _expire(self, model_id: str) -> bool:
        done = await self.versions.change(None, model_id, self._expired, Cause(None))
        return done is not None and done.deleted_at is not None

    def _expired(self, version: Version) -> VersionOutcome | None:
        """None when somebody was faster, with restoring it or with this."""
        now = self.now()
        return deleted(version, self.bucket, now) if (version.expires_at or now + 1) <= now else None

    async def _held(self, version: Version) -> tuple[str, ...]:
        """A mark of an alias that points elsewhere does not hold: `delete` takes it off."""
        marks = []
        for mark in version.marks:
            alias = await self.aliasing.aliases.get(version.project, version.model_name, mark.alias)
            if alias.model_id == version.model_id:
                marks.append(mark)
        return in_use(replace(version, marks=tuple(marks)), self.now())

    async def _sizes(self, version: Version) -> list[int]:
        """Of every object below the version's folder, whether a manifest names it or not."""
        folder = folder_of(version.owner, version.model_id)
        try:
            return [found.size async for found in self.objects.list(self.bucket, folder)]
        except NoSuchBucket:
            return []

    async def _delete(self, version: Version, cause: Cause, until: int | None, seen: tuple[int, ...] | None) -> bool:
        """Whether it waits in the archive. Somebody else having deleted it meanwhile is as good; having moved it into
        the archive or out of it is not. Raises InUse and Changed."""

        def ended(now: Version, at: int) -> VersionOutcome:
            if until is None or not _can_wait(now):
                return deleted(now, self.bucket, at)
            return archived(now, at, until)

        for _ in range(ATTEMPTS):
            if version.archived_at is None:
                done = await self._put_away(version, cause, ended, seen)
            else:
                done = await self.versions.change(
                    archive_of(version.owner), version.model_id, lambda now: self._purged(now, seen), cause
                )
            if done is not None:
                return done.deleted_at is None
            found = await self.versions.kept(version.owner, version.model_id)
            if found is None:
                return False
            version = found
        raise Contended(f"version {version.model_id}")

    def _purged(self, version: Version, seen: tuple[int, ...] | None) -> VersionOutcome:
        unchanged_since(version, seen)
        return deleted(version, self.bucket, self.now())

    async def _put_away(
        self,
        version: Version,
        cause: Cause,
        away: Callable[[Version, int], VersionOutcome],
        seen: tuple[int, ...] | None = None,
    ) -> Version | None:
        """None when it is not in use any more. Raises InUse and Changed."""
        unchanged_since(version, seen)
        await self.aliasing.clear(version, cause)
        after_clearing = seen if seen is None or not version.marks else None  # taking marks off changes it

        def decide(now: Version) -> VersionOutcome:
            unchanged_since(now, after_clearing)
            at = self.now()
            if reasons := in_use(now, at):
                raise InUse(reasons)
            return away(now, at)

        return await self.versions.change(version.project, version.model_id, decide, cause)

    async def _archived(self, project: str, model_id: str) -> VersionView:
        """Raises NotFound when somebody has deleted it just now."""
        version = await self.versions.archived(project, model_id)
        if version is None:
            raise NotFound("model", model_id, "model_id")
        return version_view(version, self.now())

    async def _remove(self, bucket: str, prefix: str) -> None:
        try:
            await self.objects.remove_prefix(bucket, prefix)
        except NoSuchBucket:
            return  # nothing was ever written


def _can_wait(version: Version) -> bool:
    """What never was published has nothing to wait for."""
    return version.model_status == "published"


def _restored(version: Version, now: int, seen: tuple[int, ...] | None) -> VersionOutcome:
    unchanged_since(version, seen)
    return restored(version, now)


def _shown(version: Version, until: int | None) -> GoingVersion:
    return GoingVersion(
        model_id=version.model_id,
        model_name=version.model_name,
        model_version=version.model_version,
        expires_at=until if _can_wait(version) else None,
    )


def _failure(version: Version, refusal: InUse) -> DeleteFailure:
    return DeleteFailure(
        model_id=version.model_id,
        error_code=refusal.code,
        error_msg="the version is in use and cannot be deleted",
        error_message=refusal.message,
        model_name=version.model_name,
        model_version=version.model_version,
    )
