"""The publish service's own documents: listings, competitions and entries, each with its named queries."""

from collections.abc import Callable

from modelyard_publish.domain import Competition, Entry, Listing
from modelyard_store.aggregates import Aggregates
from modelyard_store.documents import Collection, Condition, Contains, Documents, Equals, Index, Query, Sort

LISTINGS = Collection("listings", indexes=(Index(("state", "created_at")), Index(("model_id",))), substrings=("title",))
COMPETITIONS = Collection("competitions", indexes=(Index(("created_at",)),))
ENTRIES = Collection(
    "entries",
    indexes=(
        Index(("slot",), unique=True),
        Index(("competition_id", "state", "score")),
        Index(("competition_id", "submitted_at")),
        Index(("model_id",)),
    ),
)
COLLECTIONS = (LISTINGS, COMPETITIONS, ENTRIES)


class Repository:
    def __init__(self, documents: Documents, nudge: Callable[[], None]) -> None:
        self.listings = Aggregates(documents, LISTINGS, Listing, "publish", nudge)
        self.competitions = Aggregates(documents, COMPETITIONS, Competition, "publish", nudge)
        self.entries = Aggregates(documents, ENTRIES, Entry, "publish", nudge)

    async def newest_listings(self, text: str | None, offset: int, limit: int) -> tuple[int, list[Listing]]:
        """How many are listed, in all projects, and one page of them, newest first."""
        where: tuple[Condition, ...] = (Equals("state", "listed"),)
        if text:
            where = (*where, Contains("title", text))
        query = Query(where=where, sort=(Sort("created_at", descending=True),), offset=offset, limit=limit)
        return await self.listings.count(where), await self.listings.find(query)

    async def newest_competitions(self, offset: int, limit: int) -> tuple[int, list[Competition]]:
        query = Query(sort=(Sort("created_at", descending=True),), offset=offset, limit=limit)
        return await self.competitions.count(()), await self.competitions.find(query)

    async def entries_in(self, competition_id: str) -> int:
        return await self.entries.count((Equals("competition_id", competition_id),))

    async def best_entries(self, competition_id: str, limit: int = 1000) -> list[Entry]:
        """Best score first; of equal scores the one that the index gives first (the caller ranks by time)."""
        where = (Equals("competition_id", competition_id), Equals("state", "scored"))
        return await self.entries.find(Query(where=where, sort=(Sort("score", descending=True),), limit=limit))

    async def entries_of(self, model_id: str) -> list[Entry]:
        return await self.entries.find(Query(where=(Equals("model_id", model_id),)))
