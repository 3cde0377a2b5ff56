"""What is settled before a version is created: its template resolved, its original found, its deployment types, and
where its bytes lie."""

from dataclasses import dataclass, replace

from modelyard_contracts.calls.version import CreateVersion
from modelyard_contracts.events import Original
from modelyard_contracts.shapes import PromotionSource
from modelyard_version.domain.origins import Reach, reaches
from modelyard_version.domain.promotion import MOST_BYTES, brought_along, taken_from
from modelyard_version.domain.versions import Version
from modelyard_version.errors import CopyOfAuto, OriginalMissing, OriginalTooLarge, OriginalUnfit, OriginRefused
from modelyard_version.handlers.templates import Arrangement, TemplateCalls
from modelyard_version.repository.versions import VersionRepository


@dataclass(frozen=True)
class Arranging:
    templates: TemplateCalls
    versions: VersionRepository
    bucket: str

    async def arrange(self, project: str, request: CreateVersion, model_id: str) -> Arrangement:
        """Raises TemplateMissing, TemplateRefused, NoBatch, OriginRefused, CopyOfAuto, OriginalMissing, OriginalUnfit,
        OriginalTooLarge."""
        if isinstance(request.source, PromotionSource):
            return await self._promotion(project, request, request.source, model_id)
        arranged = await self.templates.arrange(project, request)
        reached = reaches(request.source, project, self.bucket)
        origins = [await self._allowed(project, reach, request) for reach in reached]
        return replace(arranged, imported_from=tuple(dict.fromkeys(origins)))

    async def _allowed(self, project: str, reach: Reach, request: CreateVersion) -> str:
        """The id of the version that would be copied."""
        origin = await self.versions.get(project, reach.model_id) if reach.model_id else None
        if origin is None:
            raise OriginRefused(reach.place, reach.field)
        if origin.source_type == "auto" and request.source_type != "auto":
            raise CopyOfAuto(origin.title, reach.field)
        return origin.model_id

    async def _promotion(
        self, project: str, request: CreateVersion, source: PromotionSource, model_id: str
    ) -> Arrangement:
        version = await self._original(source)
        if version.source_type == "auto" and request.source_type != "auto":
            raise CopyOfAuto(version.title, "source.model_id")
        arranged = await self.templates.arrange(project, taken_from(version, source, request))
        original = _along(version, project, model_id)
        own = (version.model_id,) if source.project == project else ()
        return replace(arranged, original=original, imported_from=own)

    async def _original(self, source: PromotionSource) -> Version:
        """It is looked up in the project that the caller has shown to be allowed to read, and nowhere else."""
        version = await self.versions.get(source.project, source.model_id)
        if version is None:
            if put_away := await self.versions.archived(source.project, source.model_id):
                raise OriginalUnfit(put_away.title, "archived; restore it first")
            raise OriginalMissing(source.model_id, source.project)
        if version.model_status != "published":
            raise OriginalUnfit(version.title, f"{version.model_status}; only a published version can be promoted")
        return version


def _along(version: Version, project: str, model_id: str) -> Original:
    original = brought_along(version, project, model_id)
    if original is None:
        raise OriginalUnfit(version.title, "without its files; see what an audit says of it")
    size = len(original.model_dump_json().encode())
    if size > MOST_BYTES:
        raise OriginalTooLarge(version.title, size, MOST_BYTES)
    return original
