"""The gallery and the competitions."""

from typing import Annotated

from fastapi import APIRouter, Query

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Nothing, Page
from modelyard_contracts.calls.version import FileLinks
from modelyard_gateway.doors.v1 import examples
from modelyard_gateway.doors.v1.access import Publisher, Reader

router = APIRouter(prefix="/v1/{project_id}")


@router.post("/gallery", tags=["gallery"])
async def create_listing(caller: Publisher, body: examples.Listing) -> publish.ListingView:
    """Share a published version with every user of the yard."""
    return await caller.ask(publish.CREATE_LISTING, body)


@router.get("/gallery", tags=["gallery"])
async def list_listings(caller: Reader, query: Annotated[publish.ListListings, Query()]) -> publish.ListingPage:
    """Listings of all projects, newest first."""
    return await caller.ask(publish.LIST_LISTINGS, query)


@router.get("/gallery/{listing_id}", tags=["gallery"])
async def show_listing(caller: Reader, listing_id: str) -> publish.ListingView:
    """One listing with its model card, rendered from the version's own facts."""
    return await caller.ask(publish.GET_LISTING, publish.GetListing(listing_id=listing_id))


@router.get("/gallery/{listing_id}/files", tags=["gallery"])
async def listing_files(
    caller: Reader,
    listing_id: str,
    after: Annotated[str | None, Query(max_length=900)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> FileLinks:
    """Presigned download links, by path; `next_after` is the `after` of the next page."""
    request = publish.GetListingFiles(listing_id=listing_id, after=after, limit=limit)
    return await caller.ask(publish.LISTING_FILES, request)


@router.delete("/gallery/{listing_id}", tags=["gallery"])
async def withdraw_listing(caller: Publisher, listing_id: str) -> Nothing:
    return await caller.ask(publish.WITHDRAW_LISTING, publish.GetListing(listing_id=listing_id))


@router.post("/competitions", tags=["competitions"])
async def create_competition(caller: Publisher, body: examples.Competition) -> publish.CompetitionView:
    """Open a competition on a hidden dataset."""
    return await caller.ask(publish.CREATE_COMPETITION, body)


@router.get("/competitions", tags=["competitions"])
async def list_competitions(caller: Reader, query: Annotated[Page, Query()]) -> publish.CompetitionPage:
    return await caller.ask(publish.LIST_COMPETITIONS, query)


@router.get("/competitions/{competition_id}", tags=["competitions"])
async def show_competition(caller: Reader, competition_id: str) -> publish.CompetitionView:
    return await caller.ask(publish.GET_COMPETITION, publish.GetCompetition(competition_id=competition_id))


@router.post("/competitions/{competition_id}/entries", tags=["competitions"])
async def submit_entry(caller: Publisher, competition_id: str, body: examples.Entry) -> publish.EntryView:
    """Enter one artifact of a published version; it is scored on data the entrant never sees."""
    request = publish.SubmitEntry(competition_id=competition_id, **body.model_dump())
    return await caller.ask(publish.SUBMIT_ENTRY, request)


@router.get("/competitions/{competition_id}/leaderboard", tags=["competitions"])
async def leaderboard(caller: Reader, competition_id: str) -> publish.Leaderboard:
    return await caller.ask(publish.LEADERBOARD, publish.GetCompetition(competition_id=competition_id))


@router.get("/entries/{entry_id}", tags=["competitions"])
async def show_entry(caller: Reader, entry_id: str) -> publish.EntryView:
    return await caller.ask(publish.GET_ENTRY, publish.GetEntry(entry_id=entry_id))
