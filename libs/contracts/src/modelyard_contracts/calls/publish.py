"""Calls that the publish service answers."""

from typing import Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.calls.version import TEXT, FileLinks
from modelyard_contracts.shapes import Shape

Metric = Literal["accuracy", "precision", "recall", "f1", "auc"]
EntryState = Literal["submitted", "scored", "rejected"]


class CreateListing(Shape):
    model_id: str
    title: str | None = Field(default=None, min_length=1, max_length=100, pattern=TEXT)
    description: str = Field(default="", max_length=1000)


class ListingSummary(Shape):
    listing_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    title: str
    description: str
    created_at: int
    created_by: str


class ListingView(ListingSummary):
    """`card` is Markdown, rendered at reading time from the version's own facts."""

    card: str


class GetListing(Shape):
    listing_id: str


class GetListingFiles(GetListing):
    """Pages as those of a version's files."""

    after: str | None = Field(default=None, max_length=900)
    limit: int = Field(default=1000, ge=1, le=1000)


class ListListings(Page):
    text: str | None = Field(default=None, description="substring of the title")


class ListingPage(Shape):
    total_count: int
    count: int
    listings: tuple[ListingSummary, ...]


class CreateCompetition(Shape):
    """Entries are scored on `dataset_id`, which must be hidden. `deadline` in ms since 1970 UTC."""

    title: str = Field(min_length=1, max_length=100, pattern=TEXT)
    description: str = Field(default="", max_length=1000)
    dataset_id: str
    metric: Metric = "accuracy"
    deadline: int = Field(gt=0)
    entries_per_day: int = Field(default=5, ge=1, le=1000)


class CompetitionView(Shape):
    competition_id: str
    project: str
    title: str
    description: str
    metric: Metric
    deadline: int
    entries_per_day: int
    open: bool
    entries: int
    created_at: int
    created_by: str


class GetCompetition(Shape):
    competition_id: str


class CompetitionPage(Shape):
    total_count: int
    count: int
    competitions: tuple[CompetitionView, ...]


class OpenCompetitionsOn(Shape):
    """Asked by the service that keeps datasets: people are never told which one a competition uses."""

    dataset_id: str


class OpenCompetitions(Shape):
    titles: tuple[str, ...]


class SubmitEntry(Shape):
    """`artifact_id` None means the version's source."""

    competition_id: str
    model_id: str
    artifact_id: str | None = None


class EntryView(Shape):
    entry_id: str
    competition_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    artifact_id: str
    state: EntryState
    score: float | None
    reason: str | None
    submitted_at: int
    submitted_by: str
    code: str | None = None


class GetEntry(Shape):
    entry_id: str


class LeaderboardRow(Shape):
    rank: int
    entry_id: str
    project: str
    model_name: str
    model_version: str
    score: float
    submitted_at: int


class Leaderboard(Shape):
    competition_id: str
    title: str
    metric: Metric
    rows: tuple[LeaderboardRow, ...]


CREATE_LISTING = Call("publish", "create-listing", CreateListing, ListingView)
GET_LISTING = Call("publish", "get-listing", GetListing, ListingView)
LIST_LISTINGS = Call("publish", "list-listings", ListListings, ListingPage)
WITHDRAW_LISTING = Call("publish", "withdraw-listing", GetListing, Nothing)
LISTING_FILES = Call("publish", "listing-files", GetListingFiles, FileLinks)
CREATE_COMPETITION = Call("publish", "create-competition", CreateCompetition, CompetitionView)
GET_COMPETITION = Call("publish", "get-competition", GetCompetition, CompetitionView)
LIST_COMPETITIONS = Call("publish", "list-competitions", Page, CompetitionPage)
OPEN_COMPETITIONS_ON = Call("publish", "open-competitions-on", OpenCompetitionsOn, OpenCompetitions)
SUBMIT_ENTRY = Call("publish", "submit-entry", SubmitEntry, EntryView)
GET_ENTRY = Call("publish", "get-entry", GetEntry, EntryView)
LEADERBOARD = Call("publish", "leaderboard", GetCompetition, Leaderboard)
