"""Events of the version service that begin or end an import, and the call that shows one."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_bus.consume import Retry
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import GetImport, ImportView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import VersionDeleted, VersionRequested
from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Cause
from modelyard_import.domain.imports import Import, asked, cancel, view
from modelyard_import.errors import NotFound
from modelyard_import.repository import Repository
from modelyard_store.documents import Duplicate


def import_id_of(project: str, model_id: str) -> str:
    """A version comes in once."""
    return derived_id(project, "import", model_id)


@dataclass(frozen=True, slots=True)
class ImportHandlers:
    repository: Repository
    now: Callable[[], int]

    async def requested(self, envelope: Envelope, requested: VersionRequested) -> None:
        """Event version.requested: one waiting import and its job, however often it is heard."""
        identifier = import_id_of(envelope.project, requested.model_id)
        waiting = Import(
            import_id=identifier,
            project=envelope.project,
            model_id=requested.model_id,
            model_name=requested.model_name,
            model_version=requested.model_version,
            source=requested.source,
            destination=requested.destination,
            assembly=requested.assembly,
            declared=requested.declared,
            original=requested.original,
            created_at=self.now(),
            correlationid=envelope.correlationid,
        )
        try:
            await self.repository.imports.add(envelope.project, identifier, asked(waiting), Cause.of(envelope))
        except Duplicate:  # its version may wait for an end that was lost on the way
            await self.repository.imports.remind(identifier)

    async def deleted(self, envelope: Envelope, deleted: VersionDeleted) -> None:
        """Event version.deleted: a running attempt notices within a second and removes what it wrote. The document
        stays, as the mark that keeps a late job from bringing the version back."""
        identifier = import_id_of(envelope.project, deleted.model_id)
        now = self.now()
        known = await self.repository.imports.change(
            envelope.project, identifier, lambda current: cancel(current, now=now)
        )
        if known is None:
            raise Retry(f"version {deleted.model_id} was deleted before its request was heard")

    async def get(self, context: CallContext, request: GetImport) -> ImportView:
        found = await self.repository.imports.get(context.project, import_id_of(context.project, request.model_id))
        if found is None:
            raise NotFound("import of version", request.model_id)
        return view(found)
