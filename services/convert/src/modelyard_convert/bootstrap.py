"""The one place where the convert service opens its clients and binds its handlers."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.connection import Bus, BusSettings
from modelyard_bus.consume import Consumer
from modelyard_bus.relay import Relay
from modelyard_contracts import catalogue
from modelyard_contracts.calls import convert
from modelyard_contracts.failures import Failure
from modelyard_contracts.outcome import Outcome
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.domain import Conversion
from modelyard_convert.handlers.calls import ConversionCalls, offer
from modelyard_convert.handlers.events import VersionEvents
from modelyard_convert.handlers.jobs import ConversionJobs
from modelyard_convert.inputs import Inputs
from modelyard_convert.outputs import Outputs
from modelyard_convert.repository import COLLECTIONS, Repository
from modelyard_convert.settings import ConvertSettings
from modelyard_convert.toolchains import TOOLCHAINS
from modelyard_convert.toolchains.target import Toolchain
from modelyard_runtime.clock import now_ms
from modelyard_runtime.process import Service
from modelyard_runtime.scratch import sweep
from modelyard_runtime.subprocesses import Limits, SubprocessFailed, run_python
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_store.opening import open_documents
from modelyard_store.outbox import Outbox
from modelyard_work.chores import Chores
from modelyard_work.revival import Revival

PROBE = "modelyard_convert.probe_child"
PROBE_LIMITS = Limits(memory_bytes=None, cpu_seconds=60, wall_seconds=60)

log = structlog.get_logger()


async def build(settings: ConvertSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or ConvertSettings()
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    documents = open_documents(settings.document_url)
    bus = await Bus.connect(BusSettings(**settings.nats("convert")))
    relay = Relay(bus, [Outbox(documents, collection) for collection in COLLECTIONS])
    repository = Repository(documents, relay.nudge, now_ms)
    admission = Admission(CallClient(bus))
    outputs = Outputs(objects, settings.artifacts_bucket)
    calls, consumer = CallServer(bus, "convert"), Consumer(bus, "convert")
    chores = Chores((), settings.housekeeping_seconds)
    if "api" in settings.convert_roles:
        revival = Revival(repository.conversions, asked_again)
        chores = Chores((revival.sweep,), settings.housekeeping_seconds)
        _answer(calls, ConversionCalls(repository, admission, now_ms))
        _listen(consumer, VersionEvents(repository, admission, outputs, now_ms))
    inputs = Inputs(objects, settings.convert_source_bytes, settings.convert_calibration_bytes)
    jobs = ConversionJobs(
        repository=repository,
        admission=admission,
        inputs=inputs,
        outputs=outputs,
        run=run_python,
        announce=bus.announce,
        settings=settings,
        now=now_ms,
    )
    worker = _Worker(settings, calls, consumer, jobs)

    async def open_collections() -> None:
        await documents.open(COLLECTIONS)
        await repository.conversions.adopt()

    async def check_objects() -> str | None:
        return await objects.check(settings.artifacts_bucket)

    return Service(
        name="convert",
        checks={"nats": bus.check, "documents": documents.check, "objects": check_objects},
        # Calls before events: the first event of a plan asks whether a worker, perhaps this one, is there.
        start=(open_collections, worker.take_jobs, relay.start, calls.start, consumer.start, chores.start),
        stop=(bus.close, documents.close, objects.close, relay.stop, calls.stop, consumer.stop, chores.stop),
        closed=bus.closed,
        stats={"bus": bus.stats},
        http_host=settings.http_host,
        http_port=settings.http_port,
    )


@dataclass(frozen=True)
class _Worker:
    """The worker role: takes the jobs of the toolchains that this machine really has."""

    settings: ConvertSettings
    calls: CallServer
    consumer: Consumer
    jobs: ConversionJobs

    async def take_jobs(self) -> None:
        if "worker" not in self.settings.convert_roles:
            return
        await asyncio.to_thread(sweep, self.settings.convert_work_dir, "convert")
        chains = tuple(TOOLCHAINS.values())
        for chain, found in zip(chains, await asyncio.gather(*map(versions_of, chains)), strict=True):
            if found is None:
                continue
            log.info("toolchain_offered", toolchain=chain.name, versions=found)
            self.calls.answer(convert.offers(chain.name), offer)
            self.consumer.on_job(chain.job, self.jobs.convert, parallel=self.settings.convert_parallel)


async def versions_of(chain: Toolchain) -> dict[str, str] | None:
    """Versions of the modules that a toolchain needs; None when one of them is not there or does not load."""

    async def on_line(line: str) -> None:
        log.debug("probe", toolchain=chain.name, line=line)

    with tempfile.TemporaryDirectory() as folder:
        try:
            return await run_python(
                PROBE, {"toolchain": chain.name}, workdir=Path(folder), on_line=on_line, limits=PROBE_LIMITS
            )
        except (SubprocessFailed, Failure) as failed:
            log.warning("toolchain_missing", toolchain=chain.name, reason=failed.message)
            return None


def asked_again(conversion: Conversion) -> Outcome[Conversion]:
    return domain.asked_again(conversion, TOOLCHAINS[conversion.toolchain].job)


def _answer(calls: CallServer, handlers: ConversionCalls) -> None:
    calls.answer(convert.CREATE, handlers.create)
    calls.answer(convert.GET, handlers.get)
    calls.answer(convert.LIST, handlers.list)
    calls.answer(convert.LOG, handlers.log)
    calls.answer(convert.DELETE, handlers.delete)
    calls.answer(convert.TARGETS, handlers.targets)


def _listen(consumer: Consumer, events: VersionEvents) -> None:
    consumer.on_event(catalogue.VERSION_PUBLISHED, events.published)
    consumer.on_event(catalogue.VERSION_DELETED, events.deleted)
