"""What the publish service asks of others: facts and files of versions, and whether a dataset is hidden."""

from dataclasses import dataclass

from modelyard_bus.calls import CallClient
from modelyard_contracts.calls import evaluate, version
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import FileLinks, GetFiles
from modelyard_publish.errors import NoSuchArtifact, NotPublished


@dataclass(frozen=True)
class Register:
    calls: CallClient

    async def version(self, context: CallContext, model_id: str) -> version.VersionView:
        return await self.calls(version.GET, context, version.GetVersion(model_id=model_id))

    async def files(self, context: CallContext, wanted: GetFiles) -> FileLinks:
        return await self.calls(version.FILES, context, wanted)

    async def dataset(self, context: CallContext, dataset_id: str) -> evaluate.DatasetView:
        return await self.calls(evaluate.GET_DATASET, context, evaluate.GetDataset(dataset_id=dataset_id))


def require_published(found: version.VersionView) -> None:
    """Raises NotPublished."""
    if found.model_status != "published":
        raise NotPublished(found.model_status)


def artifact_of(found: version.VersionView, artifact_id: str | None) -> str:
    """Its id; None means the source. Raises NotPublished and NoSuchArtifact."""
    require_published(found)
    for artifact in found.artifacts:
        if artifact.artifact_id == artifact_id or (artifact_id is None and artifact.kind == "source"):
            return artifact.artifact_id
    raise NoSuchArtifact(artifact_id or "source")
