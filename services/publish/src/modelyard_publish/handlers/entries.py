"""The calls about entries of competitions: submit one, look at it."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import created_id
from modelyard_contracts.outcome import Cause
from modelyard_publish.domain.entries import entry_of
from modelyard_publish.errors import NotFound
from modelyard_publish.register import Register, artifact_of
from modelyard_publish.repository import Repository
from modelyard_publish.views import entry_view


@dataclass(frozen=True, slots=True)
class EntryCalls:
    repository: Repository
    register: Register
    now: Callable[[], int]

    async def submit(self, context: CallContext, request: publish.SubmitEntry) -> publish.EntryView:
        """Raises what `Repository.add_entry` raises, NotPublished and NoSuchArtifact."""
        version = await self.register.version(context, request.model_id)
        competition = await self.repository.competition(request.competition_id)
        wanted = entry_of(
            version,
            created_id(context, publish.SUBMIT_ENTRY),
            competition.competition_id,
            artifact_of(version, request.artifact_id),
            by=context.actor,
            now=self.now(),
        )
        return entry_view(await self.repository.add_entry(wanted, competition, Cause.asked(context)))

    async def get(self, context: CallContext, request: publish.GetEntry) -> publish.EntryView:
        entry = await self.repository.entries.get(context.project, request.entry_id)
        if entry is None:
            raise NotFound("entry", request.entry_id)
        return entry_view(entry)
