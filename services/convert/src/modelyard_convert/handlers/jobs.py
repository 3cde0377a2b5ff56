"""The conversion job: claim, fetch, convert in a subprocess, upload, finish — only while the attempt is ours."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from modelyard_bus.consume import Retry
from modelyard_bus.handling import current_delivery
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.jobs import ConversionJob
from modelyard_contracts.shapes import Artifact
from modelyard_convert import domain, orders
from modelyard_convert.admission import Admission, Admitted
from modelyard_convert.attempt import LEASE_MS, Announce, Attempt
from modelyard_convert.child_request import STEP, CalibrationFolder, ConversionReport, ConversionRequest
from modelyard_convert.domain import Conversion, Outcome, Stopped
from modelyard_convert.errors import ParityFailed, ToolchainFailed, VersionGone
from modelyard_convert.inputs import Inputs
from modelyard_convert.outputs import Outputs
from modelyard_convert.patience import is_absence, patiently
from modelyard_convert.repository import Cause, Decide, Repository
from modelyard_convert.settings import ConvertSettings
from modelyard_runtime.scratch import scratch_folder
from modelyard_runtime.subprocesses import Limits, OnLine, SubprocessFailed
from modelyard_store.claims import Held, Lost
from modelyard_store.documents import StoreUnavailable
from modelyard_store.manifest import manifest_digest

T = TypeVar("T")
CHILD = "modelyard_convert.conversion_child"
CRASHES_FORGIVEN = 1  # a native library that crashed twice will crash again
LETTING_GO_SECONDS = 2.0

log = structlog.get_logger()


class RunPython(Protocol):
    async def __call__(
        self, module: str, request: dict[str, Any], *, workdir: Path, on_line: OnLine, limits: Limits | None = None
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class ConversionJobs:
    repository: Repository
    admission: Admission
    inputs: Inputs
    outputs: Outputs
    run: RunPython
    announce: Announce
    settings: ConvertSettings
    now: Callable[[], int]

    async def convert(self, envelope: Envelope, job: ConversionJob) -> None:
        """Raises Retry when another worker holds it, or when somebody is away for longer than our patience."""
        cause = Cause.of(envelope)
        claimed = await self._claim(job.conversion_id, cause)
        if claimed is None or claimed.finished:
            await self._tidy(envelope.project, job.conversion_id)
            return
        with scratch_folder(self.settings.convert_work_dir, "convert") as folder:
            attempt = Attempt(
                claimed,
                repository=self.repository,
                announce=self.announce,
                now=self.now,
                cause=cause,
                log_file=folder / "job_log.txt",
            )
            try:
                await self._attempt(attempt, folder, cause)
            except asyncio.CancelledError:
                await asyncio.shield(self._let_go(attempt))
                raise

    async def _attempt(self, attempt: Attempt, folder: Path, cause: Cause) -> None:
        claimed = attempt.conversion
        try:
            ending = await self._ending(attempt, folder)
            done = await self._patiently(lambda: self.repository.finish(claimed, ending, cause=cause))
        except (Lost, Stopped) as why:
            log.info("attempt_is_over", conversion_id=claimed.conversion_id, reason=str(why))
            await self.outputs.discard(claimed, claimed.attempt)
            return
        except Retry:
            await self.outputs.discard(claimed, claimed.attempt)
            await self._let_go(attempt)
            raise
        payload = {"state": done.state, "attempt": done.attempt, "reason": done.reason}
        await self.announce("conversion", done.conversion_id, payload)
        await self.outputs.tidy(done)

    async def _ending(self, attempt: Attempt, folder: Path) -> Decide:
        """How the conversion ends, as a decision that is yet to be saved. Raises Lost, Stopped, Retry."""
        try:
            return await attempt.while_held(self._work(attempt, folder))
        except SubprocessFailed as failed:
            if _killed(failed) and attempt.conversion.attempt <= CRASHES_FORGIVEN and not _last_delivery():
                await attempt.say(f"the converter stopped: {failed.message}; it is tried once more")
                raise Retry(failed.message) from failed
            return self._failing(attempt, ToolchainFailed(f"the converter stopped: {failed.message}"))
        except Failure as failure:
            if is_absence(failure) and not _last_delivery():
                raise Retry(failure.message) from failure
            return self._failing(attempt, failure)
        except (Lost, Stopped, Retry):
            raise
        except Exception as error:
            log.exception("attempt_failed", conversion_id=attempt.conversion.conversion_id)
            if not _last_delivery():
                raise Retry(str(error)) from error
            return self._failing(attempt, _last_failure(error))

    async def _work(self, attempt: Attempt, folder: Path) -> Decide:
        claimed = attempt.conversion
        await attempt.say(f"{STEP}fetching the source")
        admitted = await self._patiently(lambda: self._examine(claimed))
        request = await self._patiently(lambda: self._fetch(claimed, admitted, folder))
        raw = await self.run(
            CHILD,
            request.model_dump(mode="json"),
            workdir=folder,
            on_line=attempt.say,
            limits=self.settings.limits,
        )
        report = ConversionReport.model_validate(raw)
        if report.parity.verdict == "failed":
            return self._failing(attempt, ParityFailed(report.parity.reason), report)
        await attempt.say(f"{STEP}storing the result")
        await attempt.say(f"succeeded: {admitted.target.target}, parity {report.parity.verdict}")
        artifact = await self._patiently(lambda: self._store(attempt, admitted, report, request.result))

        def decide(found: Conversion) -> Outcome:
            return domain.succeeded(found, artifact, attempt.unsaved, now=self.now())

        return decide

    async def _examine(self, claimed: Conversion) -> Admitted:
        """Again, for what may have changed since the order was taken. Raises VersionGone."""
        try:
            return await self.admission.examine(claimed.project, claimed.correlationid, claimed.model_id, claimed.order)
        except Failure as failure:
            if failure.kind is FailureKind.NOT_FOUND and claimed.order.calibration_dataset_id is None:
                raise VersionGone from failure
            raise

    async def _fetch(self, claimed: Conversion, admitted: Admitted, folder: Path) -> ConversionRequest:
        source, samples, scratch = folder / "source", folder / "samples", folder / "scratch"
        scratch.mkdir(exist_ok=True)
        await self.inputs.fetch_source(admitted.source, source, with_samples=admitted.dataset is None)
        calibration = None
        if admitted.dataset:
            await self.inputs.fetch_dataset(admitted.dataset, samples)
            kind = "images" if admitted.dataset.kind == "image-folder" else "arrays"
            calibration = CalibrationFolder(kind=kind, path=samples)
        elif orders.packed_samples(admitted.source):
            calibration = CalibrationFolder(kind="arrays", path=source / orders.CALIBRATION_FOLDER)
        if admitted.version.config is None:
            raise VersionGone  # `examine` has refused a version without config
        return ConversionRequest(
            target=admitted.target.target,
            options=admitted.target.option_values(claimed.order.options),
            tolerance=orders.tolerance_of(claimed.order, admitted.target),
            source_format=admitted.source.format,
            config=admitted.version.config,
            source=source,
            result=folder / "result",
            scratch=scratch,
            calibration=calibration,
            threads=self.settings.convert_threads,
        )

    async def _store(self, attempt: Attempt, admitted: Admitted, report: ConversionReport, result: Path) -> Artifact:
        claimed = attempt.conversion
        place = domain.output_location(claimed, claimed.attempt, self.outputs.bucket)
        files = await self.outputs.upload(result, attempt.log_file, place)
        return Artifact(
            artifact_id=domain.artifact_id_of(claimed.conversion_id, claimed.attempt),
            kind="conversion",
            format=admitted.target.result_format,
            target=admitted.target.target,
            location=place,
            files=files,
            digest=manifest_digest(files),
            size=sum(file.size for file in files),
            inspection=report.inspection,
            conversion_id=claimed.conversion_id,
            parity=report.parity,
            benchmark=report.benchmark,
            created_at=self.now(),
        )

    def _failing(self, attempt: Attempt, failure: Failure, report: ConversionReport | None = None) -> Decide:
        parity, benchmark = (report.parity, report.benchmark) if report else (None, None)

        def decide(found: Conversion) -> Outcome:
            lines = attempt.unsaved
            return domain.failed(found, failure, now=self.now(), lines=lines, parity=parity, benchmark=benchmark)

        return decide

    async def _claim(self, conversion_id: str, cause: Cause) -> Conversion | None:
        try:
            return await self._patiently(
                lambda: self.repository.claim(conversion_id, now=self.now(), lease_ms=LEASE_MS, cause=cause)
            )
        except Held as held:
            raise Retry(str(held), after=max(0.1, (held.until - self.now()) / 1000)) from held

    async def _tidy(self, project: str, conversion_id: str) -> None:
        """A worker may have died between the end and the tidying up."""
        found = await self.repository.get(project, conversion_id)
        if found is not None and found.finished:
            await self.outputs.tidy(found)

    async def _let_go(self, attempt: Attempt) -> None:
        """Best effort: a lease that stays runs out by itself."""
        with suppress(Lost, Stopped, StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LETTING_GO_SECONDS):
                await attempt.let_go()

    async def _patiently(self, action: Callable[[], Awaitable[T]]) -> T:
        return await patiently(action, seconds=self.settings.convert_patience)


def _killed(failed: SubprocessFailed) -> bool:
    """By a signal. A Python exception would come again."""
    return failed.kind == "crashed" and failed.code is not None and failed.code < 0


def _last_delivery() -> bool:
    delivery = current_delivery()
    return delivery is not None and delivery.last


def _last_failure(error: Exception) -> Failure:
    """For people: what they can do something about, and nothing of the machine."""
    if is_absence(error):
        return ToolchainFailed(f"the store was away for too long: {error}")
    if isinstance(error, OSError):
        return ToolchainFailed(f"the worker could not use its disk: {error.strerror}")
    return Failure(FailureKind.INTERNAL, "ModelArts.9000", "internal error; the worker's log has the details")
