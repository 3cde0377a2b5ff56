"""The call that says of a source, before a version is made of it, what its import would be refused for at once."""

from dataclasses import dataclass

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import CheckSource
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_import.domain.sources import Places
from modelyard_import.errors import SourceRefused
from modelyard_import.fetching.origin import refuse_unknown
from modelyard_import.repository import Repository


@dataclass(frozen=True, slots=True)
class SourceCalls:
    """`bucket` is that of the artifacts."""

    repository: Repository
    places: Places
    bucket: str

    async def check(self, context: CallContext, request: CheckSource) -> Nothing:
        """Raises Failure."""
        try:
            await refuse_unknown(request.source, context.project, self.bucket, self.repository, self.places)
        except SourceRefused as refused:
            raise Failure(FailureKind.INVALID, refused.code, refused.message, problems=refused.problems) from refused
        return Nothing()
