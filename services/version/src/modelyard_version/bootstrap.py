"""The one place where the version service opens its clients and binds its handlers."""

from dataclasses import dataclass
from typing import Final

from modelyard_bus.backlog import caught_up
from modelyard_bus.calls import CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts import catalogue
from modelyard_contracts.calls import templates, version
from modelyard_runtime.clock import now_ms
from modelyard_runtime.process import Service
from modelyard_store.attempts import Attempts
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_version.domain import audit, verification
from modelyard_version.domain.audit import Audit
from modelyard_version.domain.verification import Verification
from modelyard_version.handlers.aliases import AliasHandlers
from modelyard_version.handlers.arranging import Arranging
from modelyard_version.handlers.audits import AuditHandlers
from modelyard_version.handlers.comparison import ComparisonCalls
from modelyard_version.handlers.creation import CreationCalls
from modelyard_version.handlers.deletion import DeletionHandlers
from modelyard_version.handlers.history import HistoryHandlers
from modelyard_version.handlers.lineage import LineageCalls
from modelyard_version.handlers.reading import ReadingCalls
from modelyard_version.handlers.reports import ReportEvents
from modelyard_version.handlers.templates import TemplateCalls
from modelyard_version.handlers.updates import UpdateCalls
from modelyard_version.handlers.verifications import VerificationHandlers
from modelyard_version.repository.checks import AUDITS, VERIFICATIONS, audits_in, verifications_in
from modelyard_version.repository.history import HISTORY, HistoryRepository
from modelyard_version.repository.moves import MOVES, MoveRepository
from modelyard_version.repository.templates import TEMPLATES, TemplateRepository
from modelyard_version.repository.versions import COLLECTIONS, AliasRepository, VersionRepository
from modelyard_version.settings import VersionSettings
from modelyard_work.ground import Ground
from modelyard_work.revival import Revival

DAY_MS: Final = 86_400_000
CATCH_UP: Final = 10.0
"""Seconds that an audit waits for events which lie before it."""


async def build(settings: VersionSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or VersionSettings()
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    ground = await Ground.open("version", settings, (*COLLECTIONS, VERIFICATIONS, AUDITS))
    nudge, documents = ground.relay.nudge, ground.documents
    versions = VersionRepository(documents, nudge)
    verifications, audits = verifications_in(documents, nudge, now_ms), audits_in(documents, nudge, now_ms)
    aliasing = AliasHandlers(versions, AliasRepository(documents, nudge), MoveRepository(documents), now_ms)
    kept_ms = settings.deleted_days * DAY_MS
    deletion = DeletionHandlers(versions, aliasing, objects, settings.artifacts_bucket, now_ms, kept_ms)
    yard = _Yard(ground, settings, objects, versions, deletion)
    _bind_register(yard)
    _bind_tracing(yard)
    _bind_checks(yard, verifications, audits)
    return ground.service(
        (*COLLECTIONS, TEMPLATES, HISTORY, MOVES, VERIFICATIONS, AUDITS),
        objects=objects,
        watched=(versions.watched, verifications, audits),
        chores=(
            deletion.expire,
            versions.derive,
            Revival(versions.watched).sweep,
            Revival(verifications, verification.asked).sweep,
            Revival(audits, audit.asked).sweep,
        ),
    )


@dataclass(frozen=True)
class _Yard:
    """What the handlers are made of."""

    ground: Ground
    settings: VersionSettings
    objects: Objects
    versions: VersionRepository
    deletion: DeletionHandlers


def _bind_register(yard: _Yard) -> None:
    """Versions, their aliases and what they are made from."""
    calls, versions, documents = yard.ground.calls, yard.versions, yard.ground.documents
    bucket = yard.settings.artifacts_bucket
    deletion, aliasing = yard.deletion, yard.deletion.aliasing
    reading = ReadingCalls(versions, yard.objects, yard.settings.link_seconds, now_ms)
    kept = TemplateCalls(TemplateRepository(documents), now_ms)
    creation = CreationCalls(versions, Arranging(kept, versions, bucket), bucket, now_ms)
    _answer(calls, creation, reading, deletion, aliasing)
    _answer_templates(calls, kept)
    calls.answer(version.UPDATE, UpdateCalls(versions, now_ms).update)
    _listen(yard.ground.consumer, ReportEvents(versions, deletion, now_ms), deletion, aliasing)


def _bind_tracing(yard: _Yard) -> None:
    """Where versions came from, what became of them, how they differ."""
    calls, versions = yard.ground.calls, yard.versions
    tracing = LineageCalls(versions, yard.settings.artifacts_bucket)
    calls.answer(version.LINEAGE, tracing.lineage)
    calls.answer(version.TRACE, tracing.trace)
    calls.answer(version.COMPARE, ComparisonCalls(versions).compare)
    histories = HistoryHandlers(versions, HistoryRepository(yard.ground.documents), now_ms)
    calls.answer(version.HISTORY, histories.history)
    calls.answer(version.VERIFY_HISTORY, histories.verify)
    yard.ground.consumer.on_job(catalogue.VERSION_RECORD, histories.record, parallel=4, quick=True)


def _bind_checks(yard: _Yard, verifications: Attempts[Verification], audits: Attempts[Audit]) -> None:
    """Whether what is stored is what the register says."""
    calls, settings = yard.ground.calls, yard.settings
    verifying = VerificationHandlers(yard.versions, verifications, yard.objects, now_ms)
    calls.answer(version.VERIFY, verifying.start)
    calls.answer(version.GET_VERIFICATION, verifying.get)
    yard.ground.consumer.on_job(catalogue.VERSION_VERIFY, verifying.work, parallel=settings.verify_parallel)
    auditing = AuditHandlers(
        yard.versions,
        audits,
        yard.objects,
        settings.artifacts_bucket,
        now_ms,
        grace_ms=settings.audit_grace_seconds * 1000,
        caught_up=lambda: caught_up(yard.ground.bus, "version", CATCH_UP),
    )
    calls.answer(version.AUDIT, auditing.start)
    calls.answer(version.GET_AUDIT, auditing.get)
    yard.ground.consumer.on_job(catalogue.VERSION_AUDIT, auditing.work)


def _answer(
    calls: CallServer,
    creation: CreationCalls,
    reading: ReadingCalls,
    deletion: DeletionHandlers,
    aliasing: AliasHandlers,
) -> None:
    calls.answer(version.CREATE, creation.create)
    calls.answer(version.CHECK_NEW, creation.check)
    calls.answer(version.GET, reading.get)
    calls.answer(version.LIST, reading.list)
    calls.answer(version.DELETE, deletion.delete)
    calls.answer(version.ARCHIVE, deletion.archive)
    calls.answer(version.RESTORE, deletion.restore)
    calls.answer(version.SET_ALIAS, aliasing.set_alias)
    calls.answer(version.LIST_ALIASES, aliasing.list_aliases)
    calls.answer(version.GET_ALIAS, aliasing.get_alias)
    calls.answer(version.ALIAS_HISTORY, aliasing.history)
    calls.answer(version.FILES, reading.files)
    calls.answer(version.PREVIEW_DELETION, deletion.preview)


def _answer_templates(calls: CallServer, kept: TemplateCalls) -> None:
    calls.answer(templates.CREATE_TEMPLATE, kept.create)
    calls.answer(templates.GET_TEMPLATE, kept.get)
    calls.answer(templates.LIST_TEMPLATES, kept.list)
    calls.answer(templates.DELETE_TEMPLATE, kept.delete)
    calls.answer(templates.LIST_MODES, kept.list_modes)
    calls.answer(templates.LIST_RUNTIMES, kept.list_runtimes)


def _listen(consumer: Consumer, reports: ReportEvents, deletion: DeletionHandlers, aliasing: AliasHandlers) -> None:
    consumer.on_event(catalogue.VERSION_ALIASED, aliasing.on_aliased)
    consumer.on_event(catalogue.IMPORT_SUCCEEDED, reports.import_succeeded)
    consumer.on_event(catalogue.IMPORT_FAILED, reports.import_failed)
    consumer.on_event(catalogue.CONVERSION_CREATED, reports.conversion_created)
    consumer.on_event(catalogue.CONVERSION_SUCCEEDED, reports.conversion_succeeded)
    consumer.on_event(catalogue.CONVERSION_FAILED, reports.conversion_failed)
    consumer.on_event(catalogue.EVALUATION_CREATED, reports.evaluation_created)
    consumer.on_event(catalogue.EVALUATION_SUCCEEDED, reports.evaluation_succeeded)
    consumer.on_event(catalogue.EVALUATION_FAILED, reports.evaluation_ended)
    consumer.on_event(catalogue.EVALUATION_STOPPED, reports.evaluation_ended)
    consumer.on_event(catalogue.PUBLICATION_LISTED, reports.listed)
    consumer.on_event(catalogue.PUBLICATION_WITHDRAWN, reports.withdrawn)
    consumer.on_event(catalogue.PUBLICATION_REFUSED, reports.refused)
    consumer.on_event(catalogue.ENTRY_SUBMITTED, reports.entry_submitted)
    consumer.on_event(catalogue.ENTRY_SCORED, reports.entry_scored)
    consumer.on_event(catalogue.ENTRY_REJECTED, reports.entry_rejected)
    consumer.on_job(catalogue.VERSION_PURGE, deletion.purge, quick=True)
