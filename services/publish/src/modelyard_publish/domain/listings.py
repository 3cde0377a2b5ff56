"""Listings of the gallery: what they are, what may happen to them, and what is then said."""

from dataclasses import dataclass, replace
from typing import Literal

from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.catalogue import PUBLICATION_LISTED, PUBLICATION_REFUSED, PUBLICATION_WITHDRAWN
from modelyard_contracts.events import PublicationListed, PublicationRefused, PublicationWithdrawn
from modelyard_contracts.failures import Failure
from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Listing:
    """One version in the gallery. A withdrawn listing stays as a record; listing the version again makes another. So
    does one that a plan asked for in vain, with `code` and `reason`.

    `live` is the model id while it is listed: unique, so that no version is in the gallery twice. `request_digest` is
    empty when a plan made it.
    """

    listing_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    title: str
    description: str
    state: Literal["listed", "withdrawn", "refused"]
    live: str | None
    created_at: int
    created_by: str
    request_digest: str = ""
    code: str | None = None
    reason: str | None = None


def planned_id(model_id: str) -> str:
    """The same for every delivery, so that a plan lists its version once."""
    return derived_id("planned-listing", model_id)


def listing_of(
    version: VersionView,
    listing_id: str,
    title: str | None,
    *,
    by: str,
    now: int,
    description: str = "",
    digest: str = "",
) -> Listing:
    """`title` None: name and number of the version."""
    return Listing(
        listing_id=listing_id,
        project=version.project,
        model_id=version.model_id,
        model_name=version.model_name,
        model_version=version.model_version,
        title=title or f"{version.model_name} {version.model_version}",
        description=description,
        state="listed",
        live=version.model_id,
        created_at=now,
        created_by=by,
        request_digest=digest,
    )


def same_words(one: Listing, other: Listing) -> bool:
    """Whether a reader of the gallery would see no difference."""
    return (one.title, one.description) == (other.title, other.description)


def listed(listing: Listing) -> Outcome[Listing]:
    fact = PublicationListed(listing_id=listing.listing_id, model_id=listing.model_id, title=listing.title)
    return Outcome(listing, ((PUBLICATION_LISTED, fact),))


def refused(listing: Listing, failure: Failure) -> Outcome[Listing]:
    """What a plan asked for and cannot be: kept, so that people see why."""
    fact = PublicationRefused(
        listing_id=listing.listing_id,
        model_id=listing.model_id,
        title=listing.title,
        code=failure.code,
        reason=failure.message,
    )
    kept = replace(listing, state="refused", live=None, code=failure.code, reason=failure.message)
    return Outcome(kept, ((PUBLICATION_REFUSED, fact),))


def withdrawn(listing: Listing) -> Outcome[Listing] | None:
    if listing.state != "listed":
        return None
    fact = PublicationWithdrawn(listing_id=listing.listing_id, model_id=listing.model_id)
    return Outcome(replace(listing, state="withdrawn", live=None), ((PUBLICATION_WITHDRAWN, fact),))
