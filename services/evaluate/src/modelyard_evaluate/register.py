"""What the evaluate service asks of others: versions, uploads, open competitions, and whether a worker is there."""

from dataclasses import dataclass

import structlog

from modelyard_bus.calls import CallClient
from modelyard_contracts.calls import evaluate, imports, publish, version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Artifact, Location
from modelyard_evaluate.errors import NotFound, NotPublished, SourceRefused

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Register:
    calls: CallClient

    async def published(self, context: CallContext, model_id: str) -> version.VersionView:
        """Raises NotPublished, and what the version service refuses with."""
        found = await self.calls(version.GET, context, version.GetVersion(model_id=model_id))
        if found.model_status != "published":
            raise NotPublished(found.model_name, found.model_version, found.model_status)
        return found

    async def upload(self, context: CallContext, upload_id: str) -> Location:
        """Raises SourceRefused unless everything has arrived."""
        found = await self.calls(imports.GET_UPLOAD, context, imports.GetUpload(upload_id=upload_id))
        if found.state != "complete":
            message = f"upload {upload_id} is {found.state}: complete it first"
            raise SourceRefused(message, field="source.upload_id", rule="a completed upload")
        return found.location

    async def keep(self, context: CallContext, upload_id: str, holder: str) -> None:
        """The upload does not expire before `let_go`. Raises what the import service refuses with."""
        await self.calls(imports.KEEP_UPLOAD, context, imports.KeepUpload(upload_id=upload_id, holder=holder))

    async def let_go(self, context: CallContext, upload_id: str, holder: str) -> None:
        """Never raises: what stays kept costs room and nothing else."""
        request = imports.KeepUpload(upload_id=upload_id, holder=holder, keep=False)
        try:
            await self.calls(imports.KEEP_UPLOAD, context, request)
        except Failure as failure:
            log.warning("upload_stays_kept", upload_id=upload_id, holder=holder, reason=failure.message)

    async def open_competitions(self, context: CallContext, dataset_id: str) -> tuple[str, ...]:
        """The titles of those that score their entries on this dataset."""
        asked = publish.OpenCompetitionsOn(dataset_id=dataset_id)
        return (await self.calls(publish.OPEN_COMPETITIONS_ON, context, asked)).titles

    async def offered(self, task: str) -> bool:
        """Whether some worker can do it now."""
        return await self.calls.answered(evaluate.offers(task))


def artifact_of(found: version.VersionView, artifact_id: str | None) -> Artifact:
    """None means the source. Raises NotFound."""
    for artifact in found.artifacts:
        if artifact.artifact_id == artifact_id or (artifact_id is None and artifact.kind == "source"):
            return artifact
    raise NotFound("artifact", artifact_id or "source", "artifact_id")
