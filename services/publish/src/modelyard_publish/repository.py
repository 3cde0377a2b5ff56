"""The publish service's own documents: listings, competitions and entries, each with its named queries."""

from collections.abc import Callable

from modelyard_contracts.calls.repeats import KeyReused
from modelyard_contracts.outcome import Cause
from modelyard_publish.domain.competitions import Competition
from modelyard_publish.domain.entries import Entry, day_of, in_slot, same_entry, submitted
from modelyard_publish.domain.listings import Listing, listed, same_words, withdrawn
from modelyard_publish.errors import DeadlinePassed, ListedAlready, NotFound, TooManyEntries
from modelyard_store.aggregates import Aggregates, Nudge
from modelyard_store.documents import (
    Between,
    Collection,
    Condition,
    Contains,
    Documents,
    Duplicate,
    Equals,
    Index,
    Query,
    Sort,
)
from modelyard_store.outbox import TOLD
from modelyard_store.watched import Watched, due_by

LISTINGS = Collection(
    "listings", indexes=(Index(("live",), unique=True), Index(("state", "created_at")), TOLD), substrings=("title",)
)
COMPETITIONS = Collection(
    "competitions", indexes=(Index(("created_at",)), Index(("project", "dataset_id", "deadline")), TOLD)
)
ENTRIES = Collection(
    "entries",
    indexes=(
        Index(("slot",), unique=True),
        Index(("competition_id", "state", "score")),
        due_by("state"),
        TOLD,
    ),
)
COLLECTIONS = (LISTINGS, COMPETITIONS, ENTRIES)


class Repository:
    def __init__(self, documents: Documents, nudge: Nudge, now: Callable[[], int]) -> None:
        self.listings = Aggregates(documents, LISTINGS, Listing, "publish", nudge)
        self.competitions = Aggregates(documents, COMPETITIONS, Competition, "publish", nudge)
        self.entries = Watched(
            documents, ENTRIES, Entry, "publish", nudge, now=now, waits_by="state", waits_in=("submitted",)
        )

    async def add_listing(self, wanted: Listing, cause: Cause) -> Listing:
        """The one that is there already, by its id or in the same words. Raises KeyReused and ListedAlready."""
        while True:  # until the one that was in the way is found: it may be withdrawn before we look
            try:
                await self.listings.add(wanted.project, wanted.listing_id, listed(wanted), cause)
            except Duplicate as taken:
                by_id = taken.fields == ("id",)
                present = await self._in_the_way(wanted, by_id)
                if present is None:
                    continue
                if by_id and present.request_digest != wanted.request_digest:
                    raise KeyReused from taken
                if not by_id and not same_words(present, wanted):
                    raise ListedAlready(present.title) from taken
                return present
            return wanted

    async def _in_the_way(self, wanted: Listing, by_id: bool) -> Listing | None:
        if by_id:
            return await self.listings.get(wanted.project, wanted.listing_id)
        return await self.live_listing(wanted.model_id)

    async def withdraw(self, project: str, listing_id: str, cause: Cause) -> bool:
        """False when the project has no such listing."""
        return await self.listings.change(project, listing_id, withdrawn, cause) is not None

    async def withdraw_version(self, project: str, model_id: str, cause: Cause) -> None:
        """Withdrawn rather than removed: what the listing still has to tell lies in its document."""
        listing = await self.live_listing(model_id)
        if listing is not None:
            await self.withdraw(project, listing.listing_id, cause)

    async def newest_listings(self, text: str | None, offset: int, limit: int) -> tuple[int, list[Listing]]:
        """How many are listed, in all projects, and one page of them, newest first."""
        query = listed_query(text, offset, limit)
        return await self.listings.count(query.where), await self.listings.find(query)

    async def live_listing(self, model_id: str) -> Listing | None:
        found = await self.listings.find(live_query(model_id))
        return found[0] if found else None

    async def competition(self, competition_id: str) -> Competition:
        """Of any project. Raises NotFound."""
        competition = await self.competitions.get(None, competition_id)
        if competition is None:
            raise NotFound("competition", competition_id)
        return competition

    async def newest_competitions(self, offset: int, limit: int) -> tuple[int, list[Competition]]:
        return await self.competitions.count(()), await self.competitions.find(newest_query(offset, limit))

    async def open_on(self, project: str, dataset_id: str, now: int) -> list[Competition]:
        """Those of a dataset that still take entries."""
        return await self.competitions.find(open_query(project, dataset_id, now))

    async def add_entry(self, wanted: Entry, competition: Competition, cause: Cause) -> Entry:
        """In the first free slot of the day; the unique index decides between several at once. The same `entry_id`
        again finds the entry it made, also after the deadline. Raises KeyReused, DeadlinePassed and TooManyEntries."""
        if made := await self._made(wanted):
            return made
        if not competition.open_at(wanted.submitted_at):
            raise DeadlinePassed(competition.deadline)
        taken = await self.entries_on(day_of(wanted.competition_id, wanted.project, wanted.submitted_at))
        for number in range(taken, competition.entries_per_day):
            placed = in_slot(wanted, number)
            try:
                await self.entries.add(wanted.project, wanted.entry_id, submitted(placed, competition), cause)
            except Duplicate as duplicate:
                if duplicate.fields == ("id",) and (made := await self._made(wanted)):
                    return made
                continue
            return placed
        raise TooManyEntries(competition.entries_per_day)

    async def _made(self, wanted: Entry) -> Entry | None:
        present = await self.entries.get(wanted.project, wanted.entry_id)
        if present is not None and not same_entry(present, wanted):
            raise KeyReused
        return present

    async def entries_in(self, competition_id: str) -> int:
        return await self.entries.count(entries_query(competition_id).where)

    async def entries_on(self, day: str) -> int:
        """`day` as `domain.entries.day_of` gives it."""
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


def open_query(project: str, dataset_id: str, now: int) -> Query:
    """Open are those whose deadline is later than `now`, as `Competition.open_at` has it."""
    where = (Equals("project", project), Equals("dataset_id", dataset_id), Between("deadline", low=now + 1))
    return Query(where, (Sort("deadline"),))


def entries_query(competition_id: str) -> Query:
    """Those that have a slot, whatever became of them: `;` is what follows `:` in both databases."""
    return Query((Between("slot", f"{competition_id}:", f"{competition_id};"),))


def day_query(day: str) -> Query:
    """Slots end with a number, and in both databases digits come before `:`."""
    return Query((Between("slot", day, f"{day}:"),))


def best_query(competition_id: str) -> Query:
    where = (Equals("competition_id", competition_id), Equals("state", "scored"))
    return Query(where, (Sort("score", descending=True),))
