"""The calls of the gallery: list a version, look at listings, withdraw one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext, own_context
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.calls.version import FileLinks, GetFiles, VersionView
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.outcome import Cause
from modelyard_publish import card
from modelyard_publish.domain.listings import Listing, listing_of
from modelyard_publish.errors import NotDownloadable, NotFound
from modelyard_publish.register import Register, require_published
from modelyard_publish.repository import Repository
from modelyard_publish.views import listing_summary, listing_view

LINK_SECONDS: Final = 300
"""A listing that is withdrawn must not be fetched for long by who asked for its links before."""


@dataclass(frozen=True, slots=True)
class GalleryCalls:
    repository: Repository
    register: Register
    now: Callable[[], int]

    async def create(self, context: CallContext, request: publish.CreateListing) -> publish.ListingView:
        """A version is in the gallery once: asking for the same listing again finds it, for another is refused."""
        listing_id, digest = created_id(context, publish.CREATE_LISTING), request_digest(request)
        listing = await self.repository.listings.get(context.project, listing_id)
        if listing is None:
            listing = await self._add(context, request, listing_id, digest)
        elif listing.request_digest != digest:
            raise KeyReused
        return await self._view(context, listing)

    async def _add(self, context: CallContext, request: publish.CreateListing, listing_id: str, digest: str) -> Listing:
        version = await self.register.version(context, request.model_id)
        require_published(version)
        wanted = listing_of(
            version,
            listing_id,
            request.title,
            by=context.actor,
            now=self.now(),
            description=request.description,
            digest=digest,
        )
        return await self.repository.add_listing(wanted, Cause.asked(context))

    async def get(self, context: CallContext, request: publish.GetListing) -> publish.ListingView:
        return await self._view(context, await self._listing(request.listing_id))

    async def page(self, _: CallContext, request: publish.ListListings) -> publish.ListingPage:
        total, page = await self.repository.newest_listings(request.text, request.offset, request.limit)
        return publish.ListingPage(
            total_count=total, count=len(page), listings=tuple(listing_summary(listing) for listing in page)
        )

    async def files(self, context: CallContext, request: publish.GetListingFiles) -> FileLinks:
        """For every user of the yard, in the name of the project that listed the version."""
        listing = await self._listing(request.listing_id)
        version = await self._version(context, listing)
        if version.source_type == "auto":
            raise NotDownloadable
        own = own_context("publish", listing.project, context.correlationid)
        wanted = GetFiles(
            model_id=listing.model_id, after=request.after, limit=request.limit, link_seconds=LINK_SECONDS
        )
        return await self.register.files(own, wanted)

    async def withdraw(self, context: CallContext, request: publish.GetListing) -> Nothing:
        if not await self.repository.withdraw(context.project, request.listing_id, Cause.asked(context)):
            raise NotFound("listing", request.listing_id)
        return Nothing()

    async def _listing(self, listing_id: str) -> Listing:
        """Of any project: the gallery is for everybody."""
        listing = await self.repository.listings.get(None, listing_id)
        if listing is None or listing.state != "listed":
            raise NotFound("listing", listing_id)
        return listing

    async def _view(self, context: CallContext, listing: Listing) -> publish.ListingView:
        version = await self._version(context, listing)
        return listing_view(listing, card.render(listing.title, listing.description, version))

    async def _version(self, context: CallContext, listing: Listing) -> VersionView:
        """A version that was deleted while it was being listed takes its listing with it."""
        try:
            return await self.register.version(
                own_context("publish", listing.project, context.correlationid), listing.model_id
            )
        except Failure as failure:
            if failure.kind is not FailureKind.NOT_FOUND:
                raise
            await self.repository.withdraw_version(listing.project, listing.model_id, Cause.asked(context))
            raise NotFound("listing", listing.listing_id) from failure
