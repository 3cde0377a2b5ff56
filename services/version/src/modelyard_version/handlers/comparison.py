"""Sets versions of one project side by side."""

import asyncio
from dataclasses import dataclass

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import CompareVersions, Comparison
from modelyard_version.domain.comparison import compared
from modelyard_version.domain.versions import Version
from modelyard_version.errors import ComparedTwice, NotFound
from modelyard_version.repository.versions import VersionRepository


@dataclass(frozen=True)
class ComparisonCalls:
    versions: VersionRepository

    async def compare(self, context: CallContext, request: CompareVersions) -> Comparison:
        """Raises NotFound, ComparedTwice."""
        for number, model_id in enumerate(request.model_ids):
            if model_id in request.model_ids[:number]:
                raise ComparedTwice(model_id)
        return compared(await asyncio.gather(*(self._found(context.project, each) for each in request.model_ids)))

    async def _found(self, project: str, model_id: str) -> Version:
        version = await self.versions.get(project, model_id)
        if version is None:
            raise NotFound("model", model_id, "model_id")
        return version
