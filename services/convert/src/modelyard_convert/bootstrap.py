"""The one place where the convert service opens its clients and binds its handlers."""

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts import catalogue
from modelyard_contracts.calls import convert
from modelyard_contracts.outcome import Outcome
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.conversion import CHILDREN, Converter
from modelyard_convert.domain import Conversion
from modelyard_convert.handlers.calls import ConversionCalls
from modelyard_convert.handlers.events import VersionEvents
from modelyard_convert.handlers.jobs import ConversionJobs
from modelyard_convert.handlers.kept import KeptResults
from modelyard_convert.handlers.unoffered import Unoffered
from modelyard_convert.inputs import Inputs
from modelyard_convert.offering import Offering
from modelyard_convert.outputs import Outputs
from modelyard_convert.repository import COLLECTIONS, Repository
from modelyard_convert.settings import ConvertSettings
from modelyard_convert.toolchains import TOOLCHAINS
from modelyard_runtime.clock import now_ms
from modelyard_runtime.confining import confinement_here
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.process import Service
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_work.chores import Chore
from modelyard_work.ground import Ground
from modelyard_work.revival import Revival


async def build(settings: ConvertSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect, and NotConfined."""
    settings = settings or ConvertSettings()
    confinement = await confinement_here(settings.confinement) if "worker" in settings.convert_roles else None
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    ground = await Ground.open("convert", settings, COLLECTIONS)
    repository = Repository(ground.documents, ground.relay.nudge, now_ms)
    admission = Admission(CallClient(ground.bus))
    outputs = Outputs(objects, settings.artifacts_bucket)
    chores = tuple[Chore, ...]()
    if "api" in settings.convert_roles:
        kept = KeptResults(repository, outputs, settings.convert_link_seconds, now_ms)
        _answer(ground.calls, ConversionCalls(repository, admission, kept, now_ms))
        _listen(ground.consumer, VersionEvents(repository, admission, outputs, now_ms))
        unoffered = Unoffered(repository, admission, now_ms, settings.convert_worker_patience)
        chores = (Revival(repository.conversions, asked_again).sweep, unoffered.sweep, kept.sweep)
    inputs = Inputs(objects, settings.convert_source_bytes, settings.convert_calibration_bytes)
    children = PreloadedPython(CHILDREN, settings.limits)  # comes up with the first conversion
    jobs = ConversionJobs(
        repository=repository,
        admission=admission,
        inputs=inputs,
        outputs=outputs,
        converter=Converter(children.run, settings.limits),
        announce=ground.bus.announce,
        settings=settings,
        now=now_ms,
        confinement=confinement,
    )
    chains = tuple(TOOLCHAINS.values()) if "worker" in settings.convert_roles else ()
    offering = Offering(ground.calls, ground.consumer, jobs, settings.convert_parallel, chains)
    return ground.service(
        COLLECTIONS,
        objects=objects,
        watched=(repository.conversions,),
        workers=(jobs.job.start, offering.start) if chains else (),
        chores=chores,
        closing=(children.stop, offering.stop),
        checks={"toolchains": offering.check},
        confinement=confinement,
    )


def asked_again(conversion: Conversion) -> Outcome[Conversion]:
    return domain.asked_again(conversion, TOOLCHAINS[conversion.toolchain].job)


def _answer(calls: CallServer, handlers: ConversionCalls) -> None:
    calls.answer(convert.CREATE, handlers.create)
    calls.answer(convert.GET, handlers.get)
    calls.answer(convert.LIST, handlers.list)
    calls.answer(convert.LOG, handlers.log)
    calls.answer(convert.RESULT, handlers.result)
    calls.answer(convert.DELETE, handlers.delete)
    calls.answer(convert.TARGETS, handlers.targets)


def _listen(consumer: Consumer, events: VersionEvents) -> None:
    consumer.on_event(catalogue.VERSION_PUBLISHED, events.published)
    consumer.on_event(catalogue.VERSION_DELETED, events.deleted)
