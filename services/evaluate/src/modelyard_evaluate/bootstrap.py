"""The one place where the evaluate service opens its clients and binds its handlers."""

from modelyard_bus.calls import CallClient, CallContext, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer
from modelyard_bus.relay import Relay
from modelyard_contracts import catalogue
from modelyard_contracts.calls import evaluate
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.outcome import Outcome
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.runs import Run
from modelyard_evaluate.fetching import Fetcher
from modelyard_evaluate.handlers.datasets import DatasetCalls
from modelyard_evaluate.handlers.evaluations import EvaluationCalls
from modelyard_evaluate.handlers.events import VersionEvents
from modelyard_evaluate.handlers.jobs import EvaluationJobs
from modelyard_evaluate.handlers.results import ResultCalls
from modelyard_evaluate.planning import Planner
from modelyard_evaluate.register import Register
from modelyard_evaluate.repository import COLLECTIONS, TELLING, Repository
from modelyard_evaluate.scanning import Scanner
from modelyard_evaluate.settings import EvaluateSettings
from modelyard_evaluate.tasks.table import TASKS, task_of
from modelyard_runtime.clock import now_ms
from modelyard_runtime.process import Service, Step
from modelyard_runtime.subprocesses import run_python
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox
from modelyard_work.chores import Chores
from modelyard_work.ending import Policy
from modelyard_work.revival import Revival

GRACE_SECONDS = 1.0  # a run that takes longer is taken over by the next worker


async def build(settings: EvaluateSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or EvaluateSettings()
    bus = await Bus.connect(BusSettings(**settings.nats("evaluate")))
    documents = open_documents(settings.document_url)
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    relay = Relay(bus, [Outbox(documents, collection) for collection in TELLING])
    repository = Repository(documents, relay.nudge, now_ms)
    calls, consumer = CallServer(bus, "evaluate"), Consumer(bus, "evaluate")
    scanner = Scanner(objects, settings.dataset_limits, settings.evaluate_work_dir)
    chores, workers = Chores((), settings.housekeeping_seconds), tuple[Step, ...]()
    if "api" in settings.evaluate_roles:
        chores = Chores((Revival(repository.runs, _asked_again).sweep,), settings.housekeeping_seconds)
        bucket, register, planner = settings.artifacts_bucket, Register(CallClient(bus)), Planner(repository, now_ms)
        results = ResultCalls(repository, objects, settings.link_seconds)
        _answer(calls, EvaluationCalls(repository, register, planner, objects, bucket, now_ms), results)
        buckets = settings.dataset_buckets
        folders = settings.source_prefixes
        _answer_datasets(calls, DatasetCalls(repository, register, scanner, buckets, bucket, now_ms, folders))
        _listen(consumer, VersionEvents(repository, register, planner, objects, bucket, now_ms))
    if "worker" in settings.evaluate_roles:
        fetcher = Fetcher(objects, scanner, settings.max_model_bytes)
        job = EvaluationJobs(repository, objects, fetcher, run_python, bus.announce, settings, now_ms, Policy())
        workers = (job.job.start,)
        for task in TASKS.values():
            calls.answer(evaluate.offers(task.name), _offer)
            consumer.on_job(task.job, job.evaluate, parallel=settings.evaluate_parallel)

    async def stop_consumer() -> None:
        await consumer.stop(GRACE_SECONDS)

    async def open_collections() -> None:
        await documents.open(COLLECTIONS)
        await repository.runs.adopt()

    async def bucket_missing() -> str | None:
        return await objects.check(settings.artifacts_bucket)

    return Service(
        name="evaluate",
        checks={"nats": bus.check, "documents": documents.check, "objects": bucket_missing},
        start=(open_collections, *workers, relay.start, calls.start, consumer.start, chores.start),
        stop=(bus.close, documents.close, objects.close, relay.stop, calls.stop, stop_consumer, chores.stop),
        closed=bus.closed,
        stats={"bus": bus.stats},
        http_host=settings.http_host,
        http_port=settings.http_port,
    )


def _asked_again(run: Run) -> Outcome[Run]:
    return life.asked_again(run, task_of(run).job)


def _answer(calls: CallServer, evaluations: EvaluationCalls, results: ResultCalls) -> None:
    calls.answer(evaluate.CREATE, evaluations.create)
    calls.answer(evaluate.CREATE_VERSION, evaluations.create_version)
    calls.answer(evaluate.GET, evaluations.get)
    calls.answer(evaluate.LIST, evaluations.list)
    calls.answer(evaluate.STOP, evaluations.stop)
    calls.answer(evaluate.DELETE, evaluations.delete)
    calls.answer(evaluate.RESULT, results.result)
    calls.answer(evaluate.COMPARE, results.compare)


def _answer_datasets(calls: CallServer, datasets: DatasetCalls) -> None:
    calls.answer(evaluate.CREATE_DATASET, datasets.create)
    calls.answer(evaluate.GET_DATASET, datasets.get)
    calls.answer(evaluate.LIST_DATASETS, datasets.list)
    calls.answer(evaluate.DELETE_DATASET, datasets.delete)


def _listen(consumer: Consumer, events: VersionEvents) -> None:
    consumer.on_event(catalogue.VERSION_PUBLISHED, events.published)
    consumer.on_event(catalogue.ARTIFACT_ADDED, events.artifact_added)
    consumer.on_event(catalogue.ENTRY_SUBMITTED, events.entry_submitted)
    consumer.on_event(catalogue.VERSION_DELETED, events.deleted)


async def _offer(_: CallContext, __: Nothing) -> Nothing:
    return Nothing()
