"""Listings: what the gallery's calls do, and what the plan of a version asks of it."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.calls.version import FileLinks, GetFiles, VersionView
from modelyard_contracts.catalogue import PUBLICATION_LISTED, PUBLICATION_WITHDRAWN
from modelyard_contracts.events import PublicationListed, PublicationWithdrawn
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.ids import derived_id
from modelyard_publish import card
from modelyard_publish.domain import Listing, withdrawn
from modelyard_publish.errors import ListedAlready, NotDownloadable, NotFound, NotPublished
from modelyard_publish.register import Register, own_context
from modelyard_publish.repository import Repository
from modelyard_publish.views import listing_summary, listing_view
from modelyard_store.aggregates import Say
from modelyard_store.documents import Duplicate


@dataclass(frozen=True)
class Gallery:
    repository: Repository
    register: Register
    clock: Callable[[], int]

    async def create(self, context: CallContext, request: publish.CreateListing) -> publish.ListingView:
        """A version is in the gallery once: asking for the same listing again finds it, for another is refused."""
        listing_id, digest = created_id(context, publish.CREATE_LISTING), request_digest(request)
        listing = await self.repository.listings.get(context.project, listing_id)
        if listing is None:
            version = await self.register.version(context, request.model_id)
            wanted = self._wanted(
                context, listing_id, version, title=request.title, description=request.description, digest=digest
            )
            listing = await self._add(context, wanted)
        elif listing.request_digest != digest:
            raise KeyReused
        return await self._view(context, listing)

    async def carry_out(self, context: CallContext, version: VersionView, title: str | None) -> None:
        """What a version's plan asks: once, so that a listing which somebody withdrew does not come back."""
        wanted = self._wanted(context, derived_id("planned-listing", version.model_id), version, title=title)
        await self._version(context, await self._add(context, wanted))

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
        own = own_context(listing.project, context.correlationid)
        return await self.register.files(
            own, GetFiles(model_id=listing.model_id, after=request.after, limit=request.limit)
        )

    async def withdraw(self, context: CallContext, request: publish.GetListing) -> Nothing:
        if not await self._withdraw(context.project, request.listing_id, context.correlationid):
            raise NotFound("listing", request.listing_id)
        return Nothing()

    async def version_gone(self, project: str, model_id: str, correlationid: str | None) -> None:
        """Withdrawn rather than removed: what the listing still has to tell lies in its document."""
        listing = await self.repository.live_listing(model_id)
        if listing is not None:
            await self._withdraw(project, listing.listing_id, correlationid)

    def _wanted(
        self,
        context: CallContext,
        listing_id: str,
        version: VersionView,
        *,
        title: str | None,
        description: str = "",
        digest: str = "",
    ) -> Listing:
        if version.model_status != "published":
            raise NotPublished(version.model_status)
        return Listing(
            listing_id=listing_id,
            project=context.project,
            model_id=version.model_id,
            model_name=version.model_name,
            model_version=version.model_version,
            title=title or f"{version.model_name} {version.model_version}",
            description=description,
            state="listed",
            live=version.model_id,
            created_at=self.clock(),
            created_by=context.actor,
            request_digest=digest,
        )

    async def _add(self, context: CallContext, wanted: Listing) -> Listing:
        while True:  # until the one that was in the way is found: it may be withdrawn before we look
            try:
                await self.repository.listings.add(
                    context.project, wanted.listing_id, wanted, [_listed(wanted, context.correlationid)]
                )
            except Duplicate as taken:
                by_id = taken.fields == ("id",)
                present = await self._in_the_way(wanted, by_id)
                if present is None:
                    continue
                if by_id and present.request_digest != wanted.request_digest:
                    raise KeyReused from taken
                if not by_id and (present.title, present.description) != (wanted.title, wanted.description):
                    raise ListedAlready(present.listing_id) from taken
                return present
            return wanted

    async def _in_the_way(self, wanted: Listing, by_id: bool) -> Listing | None:
        if by_id:
            return await self.repository.listings.get(wanted.project, wanted.listing_id)
        return await self.repository.live_listing(wanted.model_id)

    async def _withdraw(self, project: str, listing_id: str, correlationid: str | None) -> bool:
        """False when the project has no such listing."""

        def decide(listing: Listing) -> tuple[Listing, list[Say]]:
            if listing.state == "withdrawn":
                return listing, []
            return withdrawn(listing), [_gone(listing, correlationid)]

        return await self.repository.listings.change(project, listing_id, decide) is not None

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
            return await self.register.version(own_context(listing.project, context.correlationid), listing.model_id)
        except Failure as failure:
            if failure.kind is not FailureKind.NOT_FOUND:
                raise
            await self.version_gone(listing.project, listing.model_id, context.correlationid)
            raise NotFound("listing", listing.listing_id) from failure


def _listed(listing: Listing, correlationid: str | None) -> Say:
    data = PublicationListed(listing_id=listing.listing_id, model_id=listing.model_id, title=listing.title)
    return Say(PUBLICATION_LISTED, data, listing.listing_id, correlationid)


def _gone(listing: Listing, correlationid: str | None) -> Say:
    data = PublicationWithdrawn(listing_id=listing.listing_id, model_id=listing.model_id)
    return Say(PUBLICATION_WITHDRAWN, data, listing.listing_id, correlationid)
