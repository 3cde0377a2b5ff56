"""Answers questions about versions: get, list, lineage, download links."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_bus.calls import CallContext
from modelyard_contracts.calls.version import (
    FileLink,
    FileLinks,
    GetFiles,
    GetVersion,
    Lineage,
    ListVersions,
    VersionPage,
    VersionView,
)
from modelyard_contracts.shapes import Artifact
from modelyard_store.objects import Objects
from modelyard_version.domain.lineage import lineage
from modelyard_version.domain.versions import Version
from modelyard_version.errors import NotDownloadable, NotFound, NotPublished, OneTypeFilter
from modelyard_version.handlers.views import version_view
from modelyard_version.repository import VersionRepository

SERVICE: Final = "service:"
"""How the actors of internal calls begin; the gateway gives no such name to a caller from outside."""


@dataclass(frozen=True)
class Reading:
    """`link_seconds`: how long a download link works."""

    versions: VersionRepository
    objects: Objects
    link_seconds: int
    clock: Callable[[], int]

    async def get(self, context: CallContext, request: GetVersion) -> VersionView:
        return version_view(await self._found(context, request.model_id), self.clock())

    async def list(self, context: CallContext, request: ListVersions) -> VersionPage:
        if request.model_type and request.not_model_type:
            raise OneTypeFilter
        models, total = await self.versions.page(context.project, request)
        return VersionPage(total_count=total, count=len(models), models=models)

    async def lineage(self, context: CallContext, request: GetVersion) -> Lineage:
        return lineage(await self._found(context, request.model_id))

    async def files(self, context: CallContext, request: GetFiles) -> FileLinks:
        """Raises NotFound, NotPublished, NotDownloadable."""
        version = await self._found(context, request.model_id)
        if version.source_type == "auto" and not context.actor.startswith(SERVICE):
            raise NotDownloadable
        if version.model_status != "published":
            raise NotPublished(version.model_id, version.model_status)
        artifact = version.artifact(request.artifact_id)
        if artifact is None:
            raise NotFound("artifact", request.artifact_id or "source", "artifact_id")
        expires_at = self.clock() + self.link_seconds * 1000
        return FileLinks(
            model_id=version.model_id,
            artifact_id=artifact.artifact_id,
            digest=artifact.digest,
            files=await self._links(artifact),
            expires_at=expires_at,
        )

    async def _links(self, artifact: Artifact) -> tuple[FileLink, ...]:
        place = artifact.location
        links = []
        for file in artifact.files:
            name = file.path.rpartition("/")[2]
            url = await self.objects.presign_get(place.bucket, place.prefix + file.path, self.link_seconds, name)
            links.append(FileLink(path=file.path, size=file.size, sha256=file.sha256, url=url))
        return tuple(links)

    async def _found(self, context: CallContext, model_id: str) -> Version:
        version = await self.versions.get(context.project, model_id)
        if version is None:
            raise NotFound("model", model_id, "model_id")
        return version
