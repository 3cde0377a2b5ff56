"""The convert service's own documents: conversions, with every query that is made of them."""

from collections.abc import Callable

from modelyard_contracts.outcome import Cause, Outcome
from modelyard_convert import domain
from modelyard_convert.domain import UNFINISHED, Conversion
from modelyard_store.aggregates import Decide, Nudge, Untold
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import (
    AnyOf,
    Between,
    Collection,
    Condition,
    Documents,
    Equals,
    Index,
    Query,
    Sort,
)
from modelyard_store.outbox import TOLD

CONVERSIONS = Collection(
    "conversions",
    indexes=(
        Index(("project", "created_at")),
        Index(("project", "model_id", "created_at")),
        Index(("project", "state", "created_at")),
        Index(("kept_until",)),
        DUE,
        TURN,
        TOLD,
    ),
)
COLLECTIONS = (CONVERSIONS,)
_AT_ONCE = 100


class Repository:
    def __init__(self, documents: Documents, nudge: Nudge, now: Callable[[], int]) -> None:
        self.conversions = Attempts(
            documents, CONVERSIONS, Conversion, "convert", nudge, now=now, open_states=UNFINISHED
        )

    async def add(self, outcome: Outcome[Conversion], cause: Cause) -> None:
        """Raises Duplicate."""
        made = outcome.value
        await self.conversions.add(made.project, made.conversion_id, outcome, cause)

    async def get(self, project: str, conversion_id: str) -> Conversion | None:
        return await self.conversions.get(project, conversion_id)

    async def change(
        self, project: str, conversion_id: str, decide: Decide[Conversion], cause: Cause
    ) -> Conversion | None:
        """None when there is none. Raises what `decide` raises."""
        return await self.conversions.change(project, conversion_id, decide, cause)

    async def page(
        self, project: str, model_id: str | None, state: str | None, offset: int, limit: int
    ) -> tuple[int, list[Conversion]]:
        """How many there are, and one page of them, newest first."""
        where: tuple[Condition, ...] = (Equals("project", project),)
        where += (Equals("model_id", model_id),) if model_id is not None else ()
        where += (Equals("state", state),) if state is not None else ()
        query = Query(where=where, sort=(Sort("created_at", descending=True),), offset=offset, limit=limit)
        return await self.conversions.count(where), await self.conversions.find(query)

    async def unfinished_of(self, project: str, model_id: str) -> list[Conversion]:
        return await self.conversions.find(Query(where=_unfinished(project, model_id)))

    async def count_unfinished(self, project: str, model_id: str) -> int:
        return await self.conversions.count(_unfinished(project, model_id))

    async def unfinished_before(self, moment: int) -> list[Conversion]:
        """Of all projects, some of those that were ordered before this moment (ms)."""
        found = await self.conversions.find(Query(where=(AnyOf("state", UNFINISHED),)))
        return [each for each in found if each.created_at <= moment]

    async def kept_too_long(self, now: int) -> list[Conversion]:
        """Some of those whose failed result may go."""
        return await self.conversions.find(Query(where=(Between("kept_until", 1, now),), limit=_AT_ONCE))

    async def remove(self, project: str, conversion_id: str) -> str | None:
        """Why it was not removed; None when it is gone. Raises Stale when it was changed at the same moment."""
        found = await self.conversions.get(project, conversion_id)
        if found is None:
            return "there is no such conversion"
        if kept := domain.why_kept(found):
            return kept
        try:
            await self.conversions.remove(project, conversion_id)
        except Untold:
            return "its end has not been told to the other services yet; try again"
        return None


def _unfinished(project: str, model_id: str) -> tuple[Condition, ...]:
    return Equals("project", project), Equals("model_id", model_id), AnyOf("state", UNFINISHED)
