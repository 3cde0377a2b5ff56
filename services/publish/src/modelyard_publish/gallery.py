"""Listings: what the gallery's calls do, and what the plan of a version asks of it."""

from collections.abc import Callable
from dataclasses import dataclass

from modelyard_bus.calls import CallContext
from modelyard_contracts.calls import publish
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.version import FileLinks, VersionView
from modelyard_contracts.catalogue import PUBLICATION_LISTED, PUBLICATION_WITHDRAWN
from modelyard_contracts.events import PublicationListed, PublicationWithdrawn
from modelyard_contracts.ids import derived_id
from modelyard_publish import card
from modelyard_publish.domain import Listing, withdrawn
from modelyard_publish.errors import ListedAlready, NotDownloadable, NotFound, NotPublished
from modelyard_publish.register import Register
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
        version = await self.register.version(context, request.model_id)
        listing = await self.list_version(context, version, request.title, request.description)
        return listing_view(listing, card.render(listing.title, listing.description, version))

    async def list_version(
        self, context: CallContext, version: VersionView, title: str | None, description: str = ""
    ) -> Listing:
        """One listing per version: the same request again finds it; another title or text is refused."""
        if version.model_status != "published":
            raise NotPublished(version.model_status)
        wanted = Listing(
            listing_id=derived_id("listing", version.model_id),
            project=context.project,
            model_id=version.model_id,
            model_name=version.model_name,
            model_version=version.model_version,
            title=title or f"{version.model_name} {version.model_version}",
            description=description,
            state="listed",
            created_at=self.clock(),
            created_by=context.actor,
        )
        try:
            await self.repository.listings.add(context.project, wanted.listing_id, wanted, [_listed(wanted, context)])
        except Duplicate:
            return await self._list_again(context, wanted)
        return wanted

    async def _list_again(self, context: CallContext, wanted: Listing) -> Listing:
        def decide(present: Listing) -> tuple[Listing, list[Say]]:
            if present.state == "withdrawn":
                return wanted, [_listed(wanted, context)]
            if (present.title, present.description) != (wanted.title, wanted.description):
                raise ListedAlready(present.listing_id)
            return present, []

        listing = await self.repository.listings.change(context.project, wanted.listing_id, decide)
        if listing is None:
            raise NotFound("listing", wanted.listing_id)
        return listing

    async def get(self, context: CallContext, request: publish.GetListing) -> publish.ListingView:
        listing = await self._listing(request.listing_id)
        version = await self.register.version(self._owner(context, listing), listing.model_id)
        return listing_view(listing, card.render(listing.title, listing.description, version))

    async def page(self, _: CallContext, request: publish.ListListings) -> publish.ListingPage:
        total, page = await self.repository.newest_listings(request.text, request.offset, request.limit)
        return publish.ListingPage(
            total_count=total, count=len(page), listings=tuple(listing_summary(listing) for listing in page)
        )

    async def files(self, context: CallContext, request: publish.GetListing) -> FileLinks:
        """For every user of the yard, in the name of the project that listed the version."""
        listing = await self._listing(request.listing_id)
        owner = self._owner(context, listing)
        version = await self.register.version(owner, listing.model_id)
        if version.source_type == "auto":
            raise NotDownloadable
        return await self.register.files(owner, listing.model_id)

    async def withdraw(self, context: CallContext, request: publish.GetListing) -> Nothing:
        def decide(listing: Listing) -> tuple[Listing, list[Say]]:
            return (listing, []) if listing.state == "withdrawn" else (withdrawn(listing), [_gone(listing, context)])

        if await self.repository.listings.change(context.project, request.listing_id, decide) is None:
            raise NotFound("listing", request.listing_id)
        return Nothing()

    async def remove_version(self, project: str, model_id: str) -> None:
        """The version is deleted, so there is nothing left to withdraw from: the document goes."""
        await self.repository.listings.remove(project, derived_id("listing", model_id))

    async def _listing(self, listing_id: str) -> Listing:
        listing = await self.repository.listings.get(None, listing_id)
        if listing is None or listing.state != "listed":
            raise NotFound("listing", listing_id)
        return listing

    def _owner(self, context: CallContext, listing: Listing) -> CallContext:
        return replace_project(context, listing.project)


def replace_project(context: CallContext, project: str) -> CallContext:
    return context.model_copy(update={"project": project, "actor": "service:publish", "idempotency_key": None})


def _listed(listing: Listing, context: CallContext) -> Say:
    data = PublicationListed(listing_id=listing.listing_id, model_id=listing.model_id, title=listing.title)
    return Say(PUBLICATION_LISTED, data, listing.listing_id, context.correlationid)


def _gone(listing: Listing, context: CallContext) -> Say:
    data = PublicationWithdrawn(listing_id=listing.listing_id, model_id=listing.model_id)
    return Say(PUBLICATION_WITHDRAWN, data, listing.listing_id, context.correlationid)
