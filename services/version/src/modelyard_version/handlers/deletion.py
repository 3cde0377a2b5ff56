"""Deletes versions for good, and frees their objects in a job of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from modelyard_bus.consume import Reject, Retry
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import (
    DeleteFailure,
    DeleteReport,
    DeleteVersions,
    DeletionPreview,
    VersionCreated,
)
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import PurgeJob
from modelyard_contracts.outcome import Cause
from modelyard_store.objects import NoSuchBucket, Objects
from modelyard_version.domain.holds import in_use
from modelyard_version.domain.versions import Version, VersionOutcome, deleted, folder_of
from modelyard_version.errors import InUse, NotFound
from modelyard_version.handlers.aliases import AliasHandlers
from modelyard_version.repository.versions import VersionRepository

CASCADE: Final = 20
RELAY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class DeletionHandlers:
    versions: VersionRepository
    aliasing: AliasHandlers
    objects: Objects
    bucket: str
    now: Callable[[], int]

    async def delete(self, context: CallContext, request: DeleteVersions) -> DeleteReport:
        """What is in use is kept and reported; raises NotFound only for the version that was named."""
        named = await self.versions.get(context.project, request.model_id)
        if named is None:
            raise NotFound("model", request.model_id, "model_id")
        gone: list[str] = []
        kept: list[DeleteFailure] = []
        for version in await self._cascade(named) if request.cascade else [named]:
            try:
                await self._delete(version, Cause.asked(context))
                gone.append(version.model_id)
            except InUse as refusal:
                kept.append(_failure(version, refusal))
        return DeleteReport(delete_success_list=tuple(gone), delete_failed_list=tuple(kept))

    async def preview(self, context: CallContext, request: DeleteVersions) -> DeletionPreview:
        """What `delete` would do now, without doing it. Raises NotFound as it does."""
        named = await self.versions.get(context.project, request.model_id)
        if named is None:
            raise NotFound("model", request.model_id, "model_id")
        wanted = await self._cascade(named) if request.cascade else [named]
        held = {version.model_id: await self._held(version) for version in wanted}
        going = [version for version in wanted if not held[version.model_id]]
        sizes = [size for version in going for size in await self._sizes(version)]
        rest = await self.versions.of_name(named.project, named.model_name, CASCADE + 1) if request.cascade else []
        return DeletionPreview(
            versions=tuple(_named(version) for version in going),
            kept=tuple(_failure(each, InUse(held[each.model_id])) for each in wanted if held[each.model_id]),
            objects=len(sizes),
            bytes=sum(sizes),
            by_reference=tuple(v.model_id for v in going if any(each.by_reference for each in v.artifacts)),
            more=len(rest) > CASCADE,
        )

    async def purge(self, envelope: Envelope, job: PurgeJob) -> None:
        """Repeatable: it ends when the objects are gone, the messages are sent and the tombstone is removed."""
        version = await self.versions.any(job.model_id)
        ours = job.location.prefix == folder_of(envelope.project, job.model_id)
        if not ours or (version and version.deleted_at is None):
            raise Reject(f"{job.location.prefix} does not belong to a deleted version")
        await self._remove(job.location.bucket, job.location.prefix)
        if not await self.versions.bury(job.model_id):
            raise Retry("the tombstone still has messages to send", after=RELAY_SECONDS)

    async def discard(self, project: str, model_id: str) -> None:
        """Objects that arrived for a version after its deletion."""
        await self._remove(self.bucket, folder_of(project, model_id))

    async def _cascade(self, named: Version) -> list[Version]:
        """The named version comes last, so that a repeat of the call finds it and goes on with the rest."""
        found = await self.versions.of_name(named.project, named.model_name, CASCADE + 1)
        others = [version for version in found if version.model_id != named.model_id]
        return [*others, named][:CASCADE]

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
        folder = folder_of(version.project, version.model_id)
        try:
            return [found.size async for found in self.objects.list(self.bucket, folder)]
        except NoSuchBucket:
            return []

    async def _delete(self, version: Version, cause: Cause) -> None:
        """Raises InUse. Somebody else having deleted it meanwhile is as good."""
        await self.aliasing.clear(version, cause)

        def decide(now: Version) -> VersionOutcome:
            at = self.now()
            if reasons := in_use(now, at):
                raise InUse(reasons)
            return deleted(now, self.bucket, at)

        await self.versions.change(version.project, version.model_id, decide, cause)

    async def _remove(self, bucket: str, prefix: str) -> None:
        try:
            await self.objects.remove_prefix(bucket, prefix)
        except NoSuchBucket:
            return  # nothing was ever written


def _named(version: Version) -> VersionCreated:
    return VersionCreated(model_id=version.model_id, model_name=version.model_name, model_version=version.model_version)


def _failure(version: Version, refusal: InUse) -> DeleteFailure:
    return DeleteFailure(
        model_id=version.model_id,
        error_code=refusal.code,
        error_msg="the version is in use and cannot be deleted",
        error_message=refusal.message,
    )
