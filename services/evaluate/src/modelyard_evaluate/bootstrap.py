"""The one place where the evaluate service opens its clients and binds its handlers."""

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts import catalogue
from modelyard_contracts.calls import evaluate
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
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
from modelyard_runtime.confining import confinement_here
from modelyard_runtime.process import Service, Step
from modelyard_runtime.subprocesses import run_python
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_work.chores import Chore
from modelyard_work.ending import Policy
from modelyard_work.ground import Ground
from modelyard_work.revival import Revival


async def build(settings: EvaluateSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect, and NotConfined."""
    settings = settings or EvaluateSettings()
    confinement = await confinement_here(settings.confinement) if "worker" in settings.evaluate_roles else None
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    ground = await Ground.open("evaluate", settings, TELLING)
    repository = Repository(ground.documents, ground.relay.nudge, now_ms)
    scanner = Scanner(objects, settings.dataset_limits, settings.evaluate_work_dir)
    workers, chores = tuple[Step, ...](), tuple[Chore, ...]()
    if "api" in settings.evaluate_roles:
        bucket, register = settings.artifacts_bucket, Register(CallClient(ground.bus))
        planner = Planner(repository, now_ms)
        results = ResultCalls(repository, objects, settings.link_seconds)
        _answer(ground.calls, EvaluationCalls(repository, register, planner, objects, bucket, now_ms), results)
        buckets = settings.dataset_buckets
        folders = settings.source_prefixes
        _answer_datasets(ground.calls, DatasetCalls(repository, register, scanner, buckets, bucket, now_ms, folders))
        _listen(ground.consumer, VersionEvents(repository, register, planner, objects, bucket, now_ms))
        chores = (Revival(repository.runs, _asked_again).sweep,)
    if "worker" in settings.evaluate_roles:
        fetcher = Fetcher(objects, scanner, settings.max_model_bytes)
        jobs = EvaluationJobs(
            repository, objects, fetcher, run_python, ground.bus.announce, settings, now_ms, Policy(), confinement
        )
        workers = (jobs.job.start,)
        for task in TASKS.values():
            ground.calls.answer(evaluate.offers(task.name), _offer)
            ground.consumer.on_job(task.job, jobs.evaluate, parallel=settings.evaluate_parallel)
    return ground.service(
        COLLECTIONS,
        objects=objects,
        watched=(repository.runs,),
        workers=workers,
        chores=chores,
        confinement=confinement,
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
