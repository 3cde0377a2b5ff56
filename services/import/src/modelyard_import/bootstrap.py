"""The one place where the import service opens its clients and binds its handlers."""

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts import catalogue
from modelyard_contracts.calls import imports
from modelyard_import.domain.images import Registries
from modelyard_import.domain.imports import asked_again
from modelyard_import.domain.sources import Places
from modelyard_import.domain.uploads import UploadLimits
from modelyard_import.fetching.bring import Bring
from modelyard_import.fetching.image import Images
from modelyard_import.fetching.inspection import Inspector
from modelyard_import.fetching.listing import PackageLimits
from modelyard_import.fetching.registry import registry_http
from modelyard_import.fetching.registry_auth import Login
from modelyard_import.handlers.expiry import UploadExpiry
from modelyard_import.handlers.fetch import FetchJobs
from modelyard_import.handlers.imports import ImportHandlers
from modelyard_import.handlers.rules import RuleCalls
from modelyard_import.handlers.sources import SourceCalls
from modelyard_import.handlers.training import TrainingHandlers
from modelyard_import.handlers.uploads import UploadCalls
from modelyard_import.repository import COLLECTIONS, TELLING, Repository
from modelyard_import.settings import ImportSettings
from modelyard_runtime.clock import now_ms
from modelyard_runtime.confining import confinement_here
from modelyard_runtime.process import Service, Step
from modelyard_runtime.subprocesses import Limits
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_work.chores import Chore
from modelyard_work.ending import Policy
from modelyard_work.ground import Ground
from modelyard_work.revival import Revival


async def build(settings: ImportSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect, and NotConfined."""
    settings = settings or ImportSettings()
    confinement = await confinement_here(settings.confinement) if "worker" in settings.import_roles else None
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    ground = await Ground.open("import", settings, TELLING)
    repository = Repository(ground.documents, ground.relay.nudge, now_ms)
    places = Places(settings.source_buckets, settings.source_prefixes)
    inspector, http = Inspector(_limits(settings), confinement), registry_http()
    workers, chores = tuple[Step, ...](), tuple[Chore, ...]()
    if "api" in settings.import_roles:
        uploads = UploadCalls(
            repository, objects, now_ms, settings.artifacts_bucket, _upload_limits(settings), settings.upload_seconds
        )
        training = TrainingHandlers(repository, CallClient(ground.bus), now_ms)
        known = ImportHandlers(repository, now_ms)
        _answer(ground.calls, known, training, RuleCalls(repository, now_ms), uploads)
        ground.calls.answer(imports.CHECK_SOURCE, SourceCalls(repository, places, settings.artifacts_bucket).check)
        _listen(ground.consumer, known, training)
        expiry = UploadExpiry(repository, objects, now_ms)
        revival = Revival(repository.imports, lambda job: asked_again(job, now=now_ms()))
        chores = (expiry.sweep, revival.sweep, Revival(repository.training_jobs).sweep)
    if "worker" in settings.import_roles:
        limits = PackageLimits(settings.max_package_files, settings.max_package_bytes)
        images = Images(objects, http, _registries(settings), _logins(settings), settings.max_image_bytes)
        bring = Bring(repository, objects, inspector, images, limits, places, now_ms)
        fetch = FetchJobs(repository, objects, ground.bus, bring, now_ms, _policy(settings))
        ground.consumer.on_job(catalogue.IMPORT_FETCH, fetch.fetch, parallel=settings.import_parallel)
        workers = (fetch.job.start, inspector.start)
    return ground.service(
        COLLECTIONS,
        objects=objects,
        watched=(repository.imports, repository.training_jobs),
        workers=workers,
        chores=chores,
        closing=(http.aclose, inspector.stop),
        confinement=confinement,
    )


def _answer(
    calls: CallServer, known: ImportHandlers, training: TrainingHandlers, rules: RuleCalls, uploads: UploadCalls
) -> None:
    calls.answer(imports.GET, known.get)
    calls.answer(imports.BEGIN_UPLOAD, uploads.begin)
    calls.answer(imports.COMPLETE_UPLOAD, uploads.complete)
    calls.answer(imports.GET_UPLOAD, uploads.get)
    calls.answer(imports.RESUME_UPLOAD, uploads.resume)
    calls.answer(imports.KEEP_UPLOAD, uploads.keep)
    calls.answer(imports.COMPLETE_TRAINING, training.complete)
    calls.answer(imports.GET_TRAINING_JOB, training.get)
    calls.answer(imports.LIST_TRAINING_JOBS, training.list)
    calls.answer(imports.CREATE_RULE, rules.create)
    calls.answer(imports.DRY_RUN_RULE, rules.dry_run)
    calls.answer(imports.LIST_RULES, rules.list)
    calls.answer(imports.DELETE_RULE, rules.delete)


def _listen(consumer: Consumer, known: ImportHandlers, training: TrainingHandlers) -> None:
    consumer.on_event(catalogue.TRAINING_COMPLETED, training.heard)
    consumer.on_event(catalogue.VERSION_REQUESTED, known.requested)
    consumer.on_event(catalogue.VERSION_DELETED, known.deleted)
    consumer.on_job(catalogue.IMPORT_MATCH, training.match, parallel=4, quick=True)


def _policy(settings: ImportSettings) -> Policy:
    return Policy(lease_ms=settings.import_lease_ms, deaths=11)


def _registries(settings: ImportSettings) -> Registries:
    return Registries(settings.import_registries)


def _logins(settings: ImportSettings) -> dict[str, Login]:
    pairs = ((host, secret.get_secret_value()) for host, secret in settings.import_registry_credentials.items())
    return {host: Login(*text.partition(":")[::2]) for host, text in pairs}


def _upload_limits(settings: ImportSettings) -> UploadLimits:
    return UploadLimits(settings.max_upload_files, settings.max_package_bytes, settings.upload_part_bytes)


def _limits(settings: ImportSettings) -> Limits:
    return Limits(
        memory_bytes=settings.inspection_memory_bytes,
        cpu_seconds=int(settings.inspection_seconds) + 1,
        wall_seconds=settings.inspection_seconds,
        file_bytes=16 * 1024 * 1024,
        confinement=settings.confinement,
    )
