"""The job of every task: fetch, measure in a subprocess, store. `modelyard_work` says who does it, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Location
from modelyard_evaluate.child_request import PROGRESS, EvaluationReport, EvaluationRequest
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.runs import OutputFile, Run, Scores, output_location, output_prefix
from modelyard_evaluate.errors import EvaluationBroken
from modelyard_evaluate.fetching import Fetcher
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.settings import EvaluateSettings
from modelyard_evaluate.tasks.table import task_of
from modelyard_runtime.scratch import written
from modelyard_runtime.subprocesses import Limits, OnLine, Reach
from modelyard_store.aggregates import Decide
from modelyard_store.objects import Objects
from modelyard_work.ending import Policy
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, LongWork, Progress

Announce = Callable[[str, str, dict[str, Any]], Awaitable[None]]
_RESULT: Final = OutputFile("result.json", "result", "application/json")

log = structlog.get_logger()


class RunPython(Protocol):
    async def __call__(
        self,
        module: str,
        request: dict[str, Any],
        *,
        workdir: Path,
        on_line: OnLine,
        limits: Limits | None = None,
        reach: Reach | None = None,
    ) -> dict[str, Any]: ...


@dataclass(frozen=True)
class EvaluationJobs:
    repository: Repository
    objects: Objects
    fetcher: Fetcher
    run_python: RunPython
    announce: Announce
    settings: EvaluateSettings
    now: Callable[[], int]
    policy: Policy
    confinement: str | None = None

    async def evaluate(self, envelope: Envelope, job: EvaluationJob) -> None:
        await self.job.run(envelope, job.run_id)

    @cached_property
    def job(self) -> LongJob[Run]:
        work_dir = self.settings.evaluate_work_dir
        return LongJob(self.repository.runs, lambda: _Evaluating(self), self.policy, work_dir)


class _Evaluating(LongWork[Run]):
    """One delivery."""

    name = "evaluate"
    child = "the evaluation"

    def __init__(self, tools: EvaluationJobs) -> None:
        self._tools = tools
        self._samples_done = 0

    def begin(self, value: Run) -> Outcome[Run]:
        return life.begun(value)

    async def run(self, attempt: Attempt[Run]) -> Decide[Run]:
        run, tools = attempt.value, self._tools
        if run.model is None or run.data is None:
            raise EvaluationBroken("the run does not say what to measure")
        package, data, own = (attempt.folder / name for name in ("package", "data", "own"))
        for folder in (package, data, own):
            folder.mkdir()
        await self._tell(run)
        await tools.fetcher.model(run.model, package)
        request = EvaluationRequest(
            package=package,
            format=run.model.format,
            kind=run.data.kind,
            data=data,
            samples=await tools.fetcher.data(run.data, data),
            out=own / "out",
            threads=tools.settings.evaluate_threads,
        )
        log.info("evaluation_confined", run_id=run.run_id, confinement=tools.confinement)
        made = await tools.run_python(
            task_of(run).child,
            request.model_dump(mode="json"),
            workdir=own,
            on_line=lambda line: self._hear(run, line),
            limits=tools.settings.child_limits,
            reach=Reach(read=(package, data)),
        )
        report = EvaluationReport.read(made)
        scores = await attempt.patiently(lambda: self._store(run, report, request.out))
        return lambda found: life.succeeded(found, scores, now=tools.now())

    def progress(self) -> Progress[Run]:
        done = self._samples_done
        return Progress(lambda run: life.reported(run, done))

    def let_go(self, value: Run, reason: str) -> Outcome[Run]:
        return life.let_go(value, reason)

    def failed(self, value: Run, failure: Failure) -> Outcome[Run]:
        return life.failed(value, failure, now=self._tools.now())

    def broken(self, why: str) -> Failure:
        return EvaluationBroken(why)

    async def ended(self, value: Run) -> None:
        """What attempts without a result left behind is removed."""
        self._samples_done = value.samples_done
        await self._tell(value)
        bucket = self._tools.settings.artifacts_bucket
        if value.scores is None:
            await self._remove(Location(bucket=bucket, prefix=output_prefix(value)))
            return
        for number in range(1, value.attempt + 1):
            place = output_location(value, number, bucket)
            if place != value.scores.location:
                await self._remove(place)

    async def discard(self, attempt: Attempt[Run]) -> None:
        await self._remove(self._place(attempt.value))

    async def _hear(self, run: Run, line: str) -> None:
        """One line that the subprocess printed."""
        word, *numbers = line.split(" ")
        if word == PROGRESS and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            self._samples_done = int(numbers[0])
            await self._tell(run)
        else:
            log.info("evaluation_says", run_id=run.run_id, line=line)

    async def _tell(self, run: Run) -> None:
        """Whoever watches now."""
        payload = {
            "state": run.state,
            "version": run.version,
            "attempt": run.attempt,
            "samples_done": self._samples_done,
            "samples": run.samples,
            "reason": run.reason,
        }
        await self._tools.announce("evaluation", run.run_id, payload)

    async def _store(self, run: Run, made: EvaluationReport, out: Path) -> Scores:
        place, found = self._place(run), await asyncio.to_thread(written, out)
        for file in (*made.files, _RESULT):
            if file.file not in found:
                raise EvaluationBroken(f"its report names {file.file!r}, which it has not written")
            content = await asyncio.to_thread(found[file.file].read_bytes)
            await self._tools.objects.put(place.bucket, place.prefix + file.file, content, file.media_type)
        return made.scores(place)

    def _place(self, run: Run) -> Location:
        return output_location(run, run.attempt, self._tools.settings.artifacts_bucket)

    async def _remove(self, place: Location) -> None:
        await self._tools.objects.remove_prefix(place.bucket, place.prefix)
