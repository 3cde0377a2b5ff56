"""Domain objects as the contract shows them."""

from modelyard_contracts.calls import publish
from modelyard_publish.domain.competitions import Competition
from modelyard_publish.domain.entries import Entry
from modelyard_publish.domain.listings import Listing


def listing_summary(listing: Listing) -> publish.ListingSummary:
    return publish.ListingSummary(
        listing_id=listing.listing_id,
        project=listing.project,
        model_id=listing.model_id,
        model_name=listing.model_name,
        model_version=listing.model_version,
        title=listing.title,
        description=listing.description,
        created_at=listing.created_at,
        created_by=listing.created_by,
    )


def listing_view(listing: Listing, card: str) -> publish.ListingView:
    return publish.ListingView(**listing_summary(listing).model_dump(), card=card)


def competition_view(competition: Competition, entries: int, now: int) -> publish.CompetitionView:
    return publish.CompetitionView(
        competition_id=competition.competition_id,
        project=competition.project,
        title=competition.title,
        description=competition.description,
        metric=competition.metric,
        deadline=competition.deadline,
        entries_per_day=competition.entries_per_day,
        open=competition.open_at(now),
        entries=entries,
        created_at=competition.created_at,
        created_by=competition.created_by,
    )


def entry_view(entry: Entry) -> publish.EntryView:
    return publish.EntryView(
        entry_id=entry.entry_id,
        competition_id=entry.competition_id,
        project=entry.project,
        model_id=entry.model_id,
        model_name=entry.model_name,
        model_version=entry.model_version,
        artifact_id=entry.artifact_id,
        state=entry.state,
        score=entry.score,
        reason=entry.reason,
        submitted_at=entry.submitted_at,
        submitted_by=entry.submitted_by,
        code=entry.code,
    )


def leaderboard_row(rank: int, entry: Entry) -> publish.LeaderboardRow:
    return publish.LeaderboardRow(
        rank=rank,
        entry_id=entry.entry_id,
        project=entry.project,
        model_name=entry.model_name,
        model_version=entry.model_version,
        score=entry.score or 0.0,
        submitted_at=entry.submitted_at,
    )
