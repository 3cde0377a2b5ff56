"""The one place where the convert service opens its clients and binds its handlers."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from modelyard_bus.calls import CallClient, CallServer
from modelyard_bus.consume import Consumer
from modelyard_contracts import catalogue
from modelyard_contracts.calls import convert
from modelyard_contracts.outcome import Outcome
from modelyard_convert import domain
from modelyard_convert.admission import Admission
from modelyard_convert.conversion import CHILDREN, Converter
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
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.process import Service
from modelyard_runtime.subprocesses import Limits, SubprocessFailed, run_program
from modelyard_store.objects import Objects, ObjectSettings
from modelyard_work.chores import Chore
from modelyard_work.ground import Ground
from modelyard_work.revival import Revival

PROBE = Path(__file__).with_name("children") / "probe.py"
PROBE_LIMITS = Limits(memory_bytes=None, cpu_seconds=60, wall_seconds=60)

log = structlog.get_logger()


async def build(settings: ConvertSettings | None = None) -> Service:
    """Raises what the clients raise when they cannot connect."""
    settings = settings or ConvertSettings()
    objects = Objects.connect(ObjectSettings(**settings.s3()))
    ground = await Ground.open("convert", settings, COLLECTIONS)
    repository = Repository(ground.documents, ground.relay.nudge, now_ms)
    admission = Admission(CallClient(ground.bus))
    outputs = Outputs(objects, settings.artifacts_bucket)
    chores = tuple[Chore, ...]()
    if "api" in settings.convert_roles:
        _answer(ground.calls, ConversionCalls(repository, admission, now_ms))
        _listen(ground.consumer, VersionEvents(repository, admission, outputs, now_ms))
        chores = (Revival(repository.conversions, asked_again).sweep,)
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
    )
    worker = _Worker(settings, ground.calls, ground.consumer, jobs)
    return ground.service(
        COLLECTIONS,
        objects=objects,
        attempts=(repository.conversions,),
        workers=(worker.take_jobs,),
        chores=chores,
        closing=(children.stop,),
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
        await self.jobs.job.start()
        chains = tuple(TOOLCHAINS.values())
        for chain, found in zip(chains, await asyncio.gather(*map(versions_of, chains)), strict=True):
            if found is None:
                continue
            log.info("toolchain_offered", toolchain=chain.name, device=chain.device, versions=found)
            self.calls.answer(convert.offers(chain.name), offer)
            self.consumer.on_job(chain.job, self.jobs.convert, parallel=self.settings.convert_parallel)


async def versions_of(chain: Toolchain) -> dict[str, str] | None:
    """Of the modules that a toolchain needs, in its own interpreter; None when one is not there or does not load."""

    async def on_line(line: str) -> None:
        log.debug("probe", toolchain=chain.name, line=line)

    with tempfile.TemporaryDirectory() as folder:
        try:
            return await run_program(
                PROBE,
                {"modules": chain.modules},
                python=chain.python,
                workdir=Path(folder),
                on_line=on_line,
                limits=PROBE_LIMITS,
            )
        except SubprocessFailed as failed:
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
