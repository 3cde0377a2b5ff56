"""Deletes versions for good, and frees their objects in a job of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_bus.calls import CallContext
from modelyard_bus.consume import Reject, Retry
from modelyard_contracts.calls.version import DeleteFailure, DeleteReport, DeleteVersions
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import PurgeJob
from modelyard_store.objects import NoSuchBucket, Objects
from modelyard_version.domain.holds import in_use
from modelyard_version.domain.versions import Outcome, Version, deleted, folder_of
from modelyard_version.errors import InUse, NotFound
from modelyard_version.handlers.aliasing import Aliasing
from modelyard_version.repository import Cause, VersionRepository

CASCADE: Final = 20
RELAY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Deletion:
    versions: VersionRepository
    aliasing: Aliasing
    objects: Objects
    bucket: str
    clock: Callable[[], int]

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

    async def _delete(self, version: Version, cause: Cause) -> None:
        """Raises InUse. Somebody else having deleted it meanwhile is as good."""
        await self.aliasing.clear(version, cause)

        def decide(now: Version) -> Outcome:
            at = self.clock()
            if reasons := in_use(now, at):
                raise InUse(reasons)
            return deleted(now, self.bucket, at)

        await self.versions.change(version.project, version.model_id, decide, cause)

    async def _remove(self, bucket: str, prefix: str) -> None:
        try:
            await self.objects.remove_prefix(bucket, prefix)
        except NoSuchBucket:
            return  # nothing was ever written


def _failure(version: Version, refusal: InUse) -> DeleteFailure:
    return DeleteFailure(
        model_id=version.model_id,
        error_code=refusal.code,
        error_msg="the version is in use and cannot be deleted",
        error_message=refusal.message,
    )
