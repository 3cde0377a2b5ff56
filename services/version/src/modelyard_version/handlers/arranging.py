"""What is settled before a version is created: its template resolved, its deployment types, and where its bytes lie."""

from dataclasses import dataclass, replace

from modelyard_contracts.calls.version import CreateVersion
from modelyard_version.domain.origins import Reach, reaches
from modelyard_version.errors import CopyOfAuto, OriginRefused
from modelyard_version.handlers.templates import Arrangement, TemplateCalls
from modelyard_version.repository.versions import VersionRepository


@dataclass(frozen=True)
class Arranging:
    templates: TemplateCalls
    versions: VersionRepository
    bucket: str

    async def arrange(self, project: str, request: CreateVersion) -> Arrangement:
        """Raises TemplateMissing, TemplateRefused, NoBatch, OriginRefused, CopyOfAuto."""
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
            raise CopyOfAuto(origin.model_id, reach.field)
        return origin.model_id
