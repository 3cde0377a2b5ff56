"""Changes what a person wrote about a version: description, labels, documents."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import UpdateVersion, VersionView
from modelyard_contracts.outcome import Cause
from modelyard_version.domain.versions import updated
from modelyard_version.errors import NotFound
from modelyard_version.handlers.views import version_view
from modelyard_version.repository.versions import VersionRepository


@dataclass(frozen=True)
class UpdateCalls:
    versions: VersionRepository
    now: Callable[[], int]

    async def update(self, context: CallContext, request: UpdateVersion) -> VersionView:
        """Of two at once each changes what it was given, and nothing else. Raises NotFound, Contended."""
        now = self.now()
        version = await self.versions.change(
            context.project, request.model_id, lambda seen: updated(seen, request, now), Cause.asked(context)
        )
        if version is None:
            raise NotFound("model", request.model_id, "model_id")
        return version_view(version, now)
