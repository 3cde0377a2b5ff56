"""The one place where the publish service opens its clients and binds its handlers."""

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer
from modelyard_bus.relay import Relay
from modelyard_contracts.calls import publish
from modelyard_contracts.catalogue import EVALUATION_FAILED, EVALUATION_SUCCEEDED, VERSION_DELETED, VERSION_PUBLISHED
from modelyard_publish.competitions import Competitions
from modelyard_publish.entries import Entries
from modelyard_publish.gallery import Gallery
from modelyard_publish.plans import Plans
from modelyard_publish.register import Register
from modelyard_publish.repository import COLLECTIONS, Repository
from modelyard_publish.settings import PublishSettings
from modelyard_runtime.clock import now_ms
from modelyard_runtime.process import Service
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox


async def build(settings: PublishSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or PublishSettings()
    bus = await Bus.connect(BusSettings(**settings.nats("publish")))
    documents = open_documents(settings.document_url)
    relay = Relay(bus, [Outbox(documents, collection) for collection in COLLECTIONS])
    repository = Repository(documents, relay.nudge)
    register = Register(CallClient(bus))
    gallery = Gallery(repository, register, now_ms)
    competitions = Competitions(repository, register, now_ms)
    entries = Entries(repository, register, competitions, now_ms)
    calls = _answer(CallServer(bus, "publish"), gallery, competitions, entries)
    consumer = _listen(Consumer(bus, "publish"), Plans(gallery, entries, register))

    async def open_collections() -> None:
        await documents.open(COLLECTIONS)

    return Service(
        name="publish",
        checks={"nats": bus.check, "documents": documents.check},
        start=(open_collections, relay.start, consumer.start, calls.start),
        stop=(bus.close, documents.close, relay.stop, consumer.stop, calls.stop),
        closed=bus.closed,
        stats={"bus": bus.stats},
        http_host=settings.http_host,
        http_port=settings.http_port,
    )


def _answer(calls: CallServer, gallery: Gallery, competitions: Competitions, entries: Entries) -> CallServer:
    calls.answer(publish.CREATE_LISTING, gallery.create)
    calls.answer(publish.GET_LISTING, gallery.get)
    calls.answer(publish.LIST_LISTINGS, gallery.page)
    calls.answer(publish.WITHDRAW_LISTING, gallery.withdraw)
    calls.answer(publish.LISTING_FILES, gallery.files)
    calls.answer(publish.CREATE_COMPETITION, competitions.create)
    calls.answer(publish.GET_COMPETITION, competitions.get)
    calls.answer(publish.LIST_COMPETITIONS, competitions.page)
    calls.answer(publish.SUBMIT_ENTRY, entries.submit)
    calls.answer(publish.GET_ENTRY, entries.get)
    calls.answer(publish.LEADERBOARD, competitions.leaderboard)
    return calls


def _listen(consumer: Consumer, plans: Plans) -> Consumer:
    consumer.on_event(VERSION_PUBLISHED, plans.version_published)
    consumer.on_event(VERSION_DELETED, plans.version_deleted)
    consumer.on_event(EVALUATION_SUCCEEDED, plans.evaluation_succeeded)
    consumer.on_event(EVALUATION_FAILED, plans.evaluation_failed)
    return consumer
