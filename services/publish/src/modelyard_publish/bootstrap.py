"""The one place where the publish service opens its clients and binds its handlers."""

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts.calls import publish
from modelyard_contracts.catalogue import (
    EVALUATION_FAILED,
    EVALUATION_SUCCEEDED,
    VERSION_ARCHIVED,
    VERSION_DELETED,
    VERSION_PUBLISHED,
)
from modelyard_publish.handlers.competitions import CompetitionCalls
from modelyard_publish.handlers.entries import EntryCalls
from modelyard_publish.handlers.gallery import GalleryCalls
from modelyard_publish.handlers.plans import VersionEvents
from modelyard_publish.handlers.scores import EvaluationEvents
from modelyard_publish.register import Register
from modelyard_publish.repository import COLLECTIONS, Repository
from modelyard_publish.settings import PublishSettings
from modelyard_runtime.clock import now_ms
from modelyard_runtime.process import Service
from modelyard_work.ground import Ground
from modelyard_work.revival import Revival


async def build(settings: PublishSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or PublishSettings()
    ground = await Ground.open("publish", settings, COLLECTIONS)
    repository = Repository(ground.documents, ground.relay.nudge, now_ms)
    register = Register(CallClient(ground.bus))
    _answer_gallery(ground.calls, GalleryCalls(repository, register, now_ms))
    competitions, entries = CompetitionCalls(repository, register, now_ms), EntryCalls(repository, register, now_ms)
    _answer_competitions(ground.calls, competitions, entries)
    versions = VersionEvents(repository, register, now_ms)
    _listen(ground.consumer, versions, EvaluationEvents(repository, versions))
    return ground.service(COLLECTIONS, watched=(repository.entries,), chores=(Revival(repository.entries).sweep,))


def _answer_gallery(calls: CallServer, gallery: GalleryCalls) -> None:
    calls.answer(publish.CREATE_LISTING, gallery.create)
    calls.answer(publish.GET_LISTING, gallery.get)
    calls.answer(publish.LIST_LISTINGS, gallery.page)
    calls.answer(publish.WITHDRAW_LISTING, gallery.withdraw)
    calls.answer(publish.LISTING_FILES, gallery.files)


def _answer_competitions(calls: CallServer, competitions: CompetitionCalls, entries: EntryCalls) -> None:
    calls.answer(publish.CREATE_COMPETITION, competitions.create)
    calls.answer(publish.GET_COMPETITION, competitions.get)
    calls.answer(publish.LIST_COMPETITIONS, competitions.page)
    calls.answer(publish.OPEN_COMPETITIONS_ON, competitions.open_on)
    calls.answer(publish.SUBMIT_ENTRY, entries.submit)
    calls.answer(publish.GET_ENTRY, entries.get)
    calls.answer(publish.LEADERBOARD, competitions.leaderboard)


def _listen(consumer: Consumer, versions: VersionEvents, evaluations: EvaluationEvents) -> None:
    consumer.on_event(VERSION_PUBLISHED, versions.published)
    consumer.on_event(VERSION_DELETED, versions.deleted)
    consumer.on_event(VERSION_ARCHIVED, versions.deleted)
    consumer.on_event(EVALUATION_SUCCEEDED, evaluations.succeeded)
    consumer.on_event(EVALUATION_FAILED, evaluations.failed)
