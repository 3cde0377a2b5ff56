"""Answers questions about versions: get, list, download links."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_bus.calls import Written
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import (
    FileLink,
    FileLinks,
    GetFiles,
    GetVersion,
    ListVersions,
    VersionPage,
    VersionView,
)
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_store.objects import Objects
from modelyard_version.domain.versions import Version
from modelyard_version.errors import Archived, NotDownloadable, NotFound, NotPublished, OneTypeFilter, ReferenceChanged
from modelyard_version.handlers.pins import changed
from modelyard_version.handlers.views import version_view
from modelyard_version.repository.versions import VersionRepository

MOST_BYTES: Final = 800_000
"""Of one page of links: a message holds 1 MiB, and a signed link to a long key has kilobytes."""


@dataclass(frozen=True)
class ReadingCalls:
    """`link_seconds`: how long a download link works."""

    versions: VersionRepository
    objects: Objects
    link_seconds: int
    now: Callable[[], int]

    async def get(self, context: CallContext, request: GetVersion) -> VersionView:
        return version_view(await self._found(context, request.model_id), self.now())

    async def list(self, context: CallContext, request: ListVersions) -> Written[VersionPage]:
        if request.model_type and request.not_model_type:
            raise OneTypeFilter
        return await self.versions.page(context.project, request)

    async def files(self, context: CallContext, request: GetFiles) -> FileLinks:
        """One page of links, by path. Raises NotFound, NotPublished, NotDownloadable, ReferenceChanged.

        What automatic learning made is nobody's to download, not even another service's on somebody's behalf.
        """
        version = await self._found(context, request.model_id)
        if version.source_type == "auto":
            raise NotDownloadable
        if version.model_status != "published":
            raise NotPublished(version.title, version.model_status)
        artifact = version.artifact(request.artifact_id)
        if artifact is None:
            raise NotFound("artifact", request.artifact_id or "source", "artifact_id")
        wanted = _after(artifact, request)
        if artifact.by_reference and (damaged := await changed(self.objects, artifact, wanted[: request.limit])):
            raise ReferenceChanged(damaged)
        seconds = min(self.link_seconds, request.link_seconds or self.link_seconds)
        expires_at = self.now() + seconds * 1000
        links = await self._links(artifact, wanted[: request.limit], seconds)
        return FileLinks(
            model_id=version.model_id,
            artifact_id=artifact.artifact_id,
            digest=artifact.digest,
            files=links,
            expires_at=expires_at,
            total_count=len(artifact.files),
            next_after=links[-1].path if len(links) < len(wanted) else None,
        )

    async def _links(self, artifact: Artifact, files: tuple[FileEntry, ...], seconds: int) -> tuple[FileLink, ...]:
        """As many as fit into one reply."""
        place = artifact.location
        links: list[FileLink] = []
        room = MOST_BYTES
        for file in files:
            name = file.path.rpartition("/")[2]
            url = await self.objects.presign_get(place.bucket, place.prefix + file.path, seconds, name)
            link = FileLink(path=file.path, size=file.size, sha256=file.sha256, url=url)
            room -= len(link.model_dump_json().encode()) + 1
            if links and room < 0:
                break
            links.append(link)
        return tuple(links)

    async def _found(self, context: CallContext, model_id: str) -> Version:
        version = await self.versions.get(context.project, model_id)
        if version is None:
            if put_away := await self.versions.archived(context.project, model_id):
                raise Archived(put_away.title, put_away.expires_at)
            raise NotFound("model", model_id, "model_id")
        return version


def _after(artifact: Artifact, request: GetFiles) -> tuple[FileEntry, ...]:
    files = sorted(artifact.files, key=lambda file: file.path)
    return tuple(file for file in files if request.after is None or file.path > request.after)
