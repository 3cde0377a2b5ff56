"""Keeps the records of what became of versions, shows them, and finds out whether somebody touched them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_bus.consume import Reject
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.version import GetHistory, GetVersion, History, HistoryRecord, HistoryVerdict
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.jobs import RecordJob
from modelyard_version.domain.history import Head, verdict
from modelyard_version.errors import NotFound
from modelyard_version.repository.history import Contradicted, HistoryRepository
from modelyard_version.repository.versions import VersionRepository

ON_THE_WAY: Final = 15_000
"""Milliseconds between a change and its record being kept, at most, before it counts as missing."""
PAGE: Final = 1000
PAGE_BYTES: Final = 500_000
"""A page ends here: a reply must stay below the broker's largest message."""


@dataclass(frozen=True)
class HistoryHandlers:
    versions: VersionRepository
    records: HistoryRepository
    now: Callable[[], int]

    async def record(self, envelope: Envelope, job: RecordJob) -> None:
        try:
            await self.records.keep(envelope.project, job.record)
        except Contradicted as error:
            raise Reject(f"another record is kept as {error}") from error

    async def history(self, context: CallContext, request: GetHistory) -> History:
        """Committed records that are not kept yet are shown too; one that was made unreadable is left out. Raises
        NotFound."""
        head, waiting = await self.versions.head(context.project, request.model_id)
        found = dict(await self.records.after(context.project, request.model_id, request.after, request.limit))
        for record in waiting:
            if record.seq - 1 in (*found, request.after):  # never past one that is on its way: it would be skipped
                found.setdefault(record.seq, record)
        if not found and not await self._known(context.project, request.model_id, head):
            raise NotFound("model", request.model_id, "model_id")
        ordered = [record for _, record in sorted(found.items()) if record]
        return History(model_id=request.model_id, records=tuple(_page(ordered[: request.limit])))

    async def verify(self, context: CallContext, request: GetVersion) -> HistoryVerdict:
        """Raises NotFound."""
        head, waiting = await self.versions.head(context.project, request.model_id)
        while True:
            records = await self._kept(context.project, request.model_id)
            for record in waiting:
                records.setdefault(record.seq, record)
            seen = head
            if seen is None or max(records, default=0) <= seen.seq:
                break
            head, waiting = await self.versions.head(context.project, request.model_id)
            if head is None or head.seq <= seen.seq:  # nobody has changed the version since: they are forged
                break
        if not records and not await self._known(context.project, request.model_id, head):
            raise NotFound("model", request.model_id, "model_id")
        return verdict(request.model_id, head, records, self.now() - ON_THE_WAY)

    async def _kept(self, project: str, model_id: str) -> dict[int, HistoryRecord | None]:
        kept: dict[int, HistoryRecord | None] = {}
        while page := await self.records.after(project, model_id, max(kept, default=0), PAGE):
            kept.update(page)
        return kept

    async def _known(self, project: str, model_id: str, head: Head | None) -> bool:
        """Whether the caller may hear of this version although none of its records was found."""
        if await self.versions.get(project, model_id):
            return True
        return bool(head and await self.records.after(project, model_id, 0, 1))


def _page(records: list[HistoryRecord]) -> list[HistoryRecord]:
    size = 0
    for number, record in enumerate(records):
        size += len(record.model_dump_json())
        if size > PAGE_BYTES and number:
            return records[:number]
    return records
