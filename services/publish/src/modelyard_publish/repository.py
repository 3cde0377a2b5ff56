"""The publish service's own documents: listings, competitions and entries, each with its named queries."""

from collections.abc import Callable

from modelyard_publish.domain import Competition, Entry, Listing
from modelyard_store.aggregates import Aggregates
from modelyard_store.documents import Between, Collection, Condition, Contains, Documents, Equals, Index, Query, Sort

LISTINGS = Collection(
    "listings", indexes=(Index(("live",), unique=True), Index(("state", "created_at"))), substrings=("title",)
)
COMPETITIONS = Collection("competitions", indexes=(Index(("created_at",)),))
ENTRIES = Collection(
    "entries",
    indexes=(
        Index(("slot",), unique=True),
        Index(("competition_id", "state", "score")),
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
        query = listed_query(text, offset, limit)
        return await self.listings.count(query.where), await self.listings.find(query)

    async def live_listing(self, model_id: str) -> Listing | None:
        found = await self.listings.find(live_query(model_id))
        return found[0] if found else None

    async def newest_competitions(self, offset: int, limit: int) -> tuple[int, list[Competition]]:
        return await self.competitions.count(()), await self.competitions.find(newest_query(offset, limit))

    async def entries_in(self, competition_id: str) -> int:
        return await self.entries.count(entries_query(competition_id).where)

    async def entries_on(self, day: str) -> int:
        """`day` as `domain.day_of` gives it."""
        return await self.entries.count(day_query(day).where)

    async def best_entries(self, competition_id: str) -> list[Entry]:
        """The thousand best; of equal scores at the end whichever the index gives first."""
        return await self.entries.find(best_query(competition_id))


def listed_query(text: str | None, offset: int, limit: int) -> Query:
    where: tuple[Condition, ...] = (Equals("state", "listed"),)
    if text:
        where = (*where, Contains("title", text))
    return Query(where, (Sort("created_at", descending=True),), offset=offset, limit=limit)


def live_query(model_id: str) -> Query:
    return Query((Equals("live", model_id),))


def newest_query(offset: int, limit: int) -> Query:
    everything = Between("created_at", low=0)  # said so that the index is used, not only followed
    return Query((everything,), (Sort("created_at", descending=True),), offset=offset, limit=limit)


def entries_query(competition_id: str) -> Query:
    return Query((Equals("competition_id", competition_id),))


def day_query(day: str) -> Query:
    """Slots end with a number, and in both databases digits come before `:`."""
    return Query((Between("slot", day, f"{day}:"),))


def best_query(competition_id: str) -> Query:
    where = (Equals("competition_id", competition_id), Equals("state", "scored"))
    return Query(where, (Sort("score", descending=True),))
