"""Changes what a person wrote about a version: description, labels, documents."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import UpdateVersion, VersionView
from modelyard_contracts.outcome import Cause
from modelyard_version.domain.versions import Version, VersionOutcome, updated
from modelyard_version.errors import Changed, NotFound
from modelyard_version.handlers.views import version_view
from modelyard_version.repository.versions import VersionRepository


@dataclass(frozen=True)
class UpdateCalls:
    versions: VersionRepository
    now: Callable[[], int]

    async def update(self, context: CallContext, request: UpdateVersion) -> VersionView:
        """Of two at once each changes what it was given, and nothing else. Raises NotFound, Changed, Contended."""
        now = self.now()

        def decide(seen: Version) -> VersionOutcome | None:
            unchanged_since(seen, request.revisions)
            return updated(seen, request, now)

        version = await self.versions.change(context.project, request.model_id, decide, Cause.asked(context))
        if version is None:
            raise NotFound("model", request.model_id, "model_id")
        return version_view(version, now)


def unchanged_since(version: Version, seen: tuple[int, ...] | None) -> None:
    """Raises Changed when it is at none of the revisions that were seen."""
    if seen is not None and version.history_seq not in seen:
        raise Changed(f"{version.model_name} {version.model_version}", version.history_seq)
