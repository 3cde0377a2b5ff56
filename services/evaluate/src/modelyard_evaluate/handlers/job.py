"""The job of every task: claim, fetch, measure in a subprocess, store, finish; only while it is ours."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from modelyard_bus.consume import Retry
from modelyard_bus.handling import current_delivery
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.shapes import Location
from modelyard_evaluate.attempt import LEASE_MS, Announce, Attempt
from modelyard_evaluate.child_request import EvaluationReport, EvaluationRequest
from modelyard_evaluate.domain.runs import Ended, OutputFile, Run, Scores, output_location, output_prefix
from modelyard_evaluate.errors import EvaluationBroken
from modelyard_evaluate.fetching import Fetcher
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.settings import EvaluateSettings
from modelyard_evaluate.tasks.table import task_of
from modelyard_runtime.scratch import scratch_folder
from modelyard_runtime.subprocesses import Limits, OnLine, SubprocessFailed
from modelyard_store.claims import Held, Lost
from modelyard_store.documents import StoreUnavailable
from modelyard_store.objects import ObjectError, Objects

CRASHES_FORGIVEN: Final = 1  # a native library that crashed twice will crash again
DEATHS_FORGIVEN: Final = 2  # workers that a run may take with it
LETTING_GO_SECONDS: Final = 2.0
_ABSENT: Final = frozenset({FailureKind.UNAVAILABLE, FailureKind.TOO_MANY})
_RESULT: Final = OutputFile("result.json", "result", "application/json")

log = structlog.get_logger()


class RunPython(Protocol):
    async def __call__(
        self, module: str, request: dict[str, Any], *, workdir: Path, on_line: OnLine, limits: Limits | None = None
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class JobHandler:
    repository: Repository
    objects: Objects
    fetcher: Fetcher
    run_python: RunPython
    announce: Announce
    settings: EvaluateSettings
    now: Callable[[], int]

    async def evaluate(self, envelope: Envelope, job: EvaluationJob) -> None:
        """Raises Retry when another worker holds the run, or when somebody it needs is away."""
        try:
            run = await self.repository.claim(job.run_id, now=self.now(), lease_ms=LEASE_MS)
        except Held as held:
            raise Retry(str(held), after=max(0, held.until - self.now()) / 1000 + 0.1) from held
        if run is None:
            await self._tidy(await self.repository.runs.get(envelope.project, job.run_id))
            return
        attempt = Attempt(run, self.repository, self.announce, self.now)
        try:
            await self._end(attempt, await self._outcome(attempt))
        except (Lost, Ended) as why:
            log.info("attempt_is_over", run_id=run.run_id, attempt=run.attempt, reason=str(why))
            await self._discard(output_location(run, run.attempt, self.settings.artifacts_bucket))
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(run, "the worker stops; another one will go on"))
            raise
        except Retry as retry:
            await self._let_go(run, f"to be tried again: {retry}")
            raise

    async def _outcome(self, attempt: Attempt) -> Scores | Failure:
        """Raises Retry, Lost and Ended."""
        if attempt.run.deaths > DEATHS_FORGIVEN:
            return EvaluationBroken(f"{attempt.run.deaths} workers died while they worked on it")
        try:
            with scratch_folder(self.settings.evaluate_work_dir, "evaluate") as folder:
                return await attempt.while_held(self._measure(attempt, folder))
        except SubprocessFailed as failed:
            if failed.kind == "crashed" and attempt.run.attempt <= CRASHES_FORGIVEN:
                raise Retry(f"the evaluation {failed.message}") from failed
            return EvaluationBroken(f"the evaluation {failed.message}")
        except Failure as failure:
            if failure.kind in _ABSENT and not _last_delivery():
                raise Retry(failure.message) from failure
            return failure
        except (Lost, Ended, asyncio.CancelledError):
            raise
        except Exception as error:
            if _last_delivery():
                log.exception("evaluation_broken", run_id=attempt.run.run_id)
                return EvaluationBroken(f"it was tried {attempt.run.attempt} times: {type(error).__name__}: {error}")
            raise Retry(f"{type(error).__name__}: {error}") from error

    async def _measure(self, attempt: Attempt, folder: Path) -> Scores:
        run, settings = attempt.run, self.settings
        if run.model is None or run.data is None:
            raise EvaluationBroken("the run does not say what to measure")
        package, data, out = folder / "package", folder / "data", folder / "out"
        data.mkdir()
        await attempt.tell("running")
        await self.fetcher.model(run.model, package)
        request = EvaluationRequest(
            package=package,
            format=run.model.format,
            kind=run.data.kind,
            data=data,
            samples=await self.fetcher.data(run.data, data),
            out=out,
            threads=settings.evaluate_threads,
        )
        made = await self.run_python(
            task_of(run).child,
            request.model_dump(mode="json"),
            workdir=folder,
            on_line=attempt.hear,
            limits=settings.child_limits,
        )
        return await self._store(run, EvaluationReport.read(made), out)

    async def _store(self, run: Run, made: EvaluationReport, out: Path) -> Scores:
        place = output_location(run, run.attempt, self.settings.artifacts_bucket)
        for file in (*made.files, _RESULT):
            content = await asyncio.to_thread((out / file.file).read_bytes)
            await self.objects.put(place.bucket, place.prefix + file.file, content, file.media_type)
        return made.scores(place)

    async def _end(self, attempt: Attempt, outcome: Scores | Failure) -> None:
        """Raises Lost and Ended. While the store is away nothing is removed: the result may have been saved."""
        try:
            if isinstance(outcome, Scores):
                done = await self.repository.succeed(attempt.run, outcome, now=self.now())
            else:
                done = await self.repository.fail(attempt.run, outcome, now=self.now())
        except StoreUnavailable as error:
            raise Retry(str(error)) from error
        attempt.samples_done = done.samples_done
        await attempt.tell(done.state, done.reason)
        await self._tidy(done)

    async def _tidy(self, ended: Run | None) -> None:
        """What attempts without a result left behind."""
        if ended is None or ended.open:
            return
        bucket = self.settings.artifacts_bucket
        if ended.scores is None:
            await self._discard(Location(bucket=bucket, prefix=output_prefix(ended)))
            return
        for number in range(1, ended.attempt + 1):
            place = output_location(ended, number, bucket)
            if place != ended.scores.location:
                await self._discard(place)

    async def _discard(self, place: Location) -> None:
        """Never raises: nothing points there, and deleting the evaluation removes it too."""
        try:
            await self.objects.remove_prefix(place.bucket, place.prefix)
        except ObjectError as error:
            log.warning("output_not_removed", bucket=place.bucket, prefix=place.prefix, reason=str(error))

    async def _let_go(self, run: Run, reason: str) -> None:
        """Best effort: a lease that stays runs out by itself."""
        with suppress(Lost, Ended, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LETTING_GO_SECONDS):
                await self.repository.let_go(run, reason, now=self.now())


def _last_delivery() -> bool:
    delivery = current_delivery()
    return delivery is not None and delivery.last
