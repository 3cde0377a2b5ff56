"""Verifications and audits as documents, each with the claim of the worker that is at it."""

from collections.abc import Callable
from typing import Any, Final, Generic

from pydantic import BaseModel, TypeAdapter

from modelyard_contracts.catalogue import Job
from modelyard_store import claims
from modelyard_store.aggregates import Aggregates, Nudge, Say
from modelyard_store.documents import Collection, Documents, Index
from modelyard_version.domain.checks import CheckT, running

VERIFICATIONS: Final = Collection("verifications", indexes=(Index(("project", "created_at")),))
AUDITS: Final = Collection("audits", indexes=(Index(("project", "created_at")),))

Decide = Callable[[CheckT], CheckT]


class Checks(Generic[CheckT]):
    def __init__(self, documents: Documents, collection: Collection, kind: type[CheckT], nudge: Nudge) -> None:
        self._documents = documents
        self._collection = collection
        self._checks: Aggregates[CheckT] = Aggregates(documents, collection, kind, "version", nudge)
        self._adapter: TypeAdapter[CheckT] = TypeAdapter(kind)

    async def add(self, check: CheckT, job: Job[Any], data: BaseModel) -> None:
        """With the job that works on it. Raises Duplicate."""
        await self._checks.add(check.project, check.id, check, (Say(job, data, check.id, check.correlationid),))

    async def get(self, project: str, identifier: str) -> CheckT | None:
        return await self._checks.get(project, identifier)

    async def take(self, identifier: str, *, now: int, lease_ms: int) -> CheckT | None:
        """Make the next attempt ours. None when it has ended or is gone. Raises Held."""
        change = self._edit(identifier, running)
        states = ("waiting", "running")
        claimed = await claims.claim(
            self._documents, self._collection, identifier, now=now, lease_ms=lease_ms, states=states, change=change
        )
        return None if claimed is None else self._adapter.validate_python(claimed.body, extra="ignore")

    async def report(self, check: CheckT, decide: Decide[CheckT], *, now: int, lease_ms: int) -> None:
        """Keep the progress and renew the lease; a lease of 0 lets go. Raises Lost."""
        change = self._edit(check.id, decide)
        await claims.renew(
            self._documents, self._collection, check.id, check.attempt, now=now, lease_ms=lease_ms, change=change
        )

    async def finish(self, check: CheckT, decide: Decide[CheckT]) -> None:
        """Raises Lost."""
        change = self._edit(check.id, decide)
        await claims.finish(self._documents, self._collection, check.id, check.attempt, change)

    def _edit(self, identifier: str, decide: Decide[CheckT]) -> claims.Edit:
        return self._checks.edit(identifier, lambda check: (decide(check), ()))
