"""The conversion job: fetch, convert in a subprocess, upload. Who works on it and how it ends is `modelyard_work`'s."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelyard_contracts.envelope import Envelope
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.jobs import ConversionJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_convert import domain, orders
from modelyard_convert.admission import Admission, Admitted
from modelyard_convert.child_request import STEP, CalibrationFolder, ConversionReport, ConversionRequest
from modelyard_convert.conversion import Converter
from modelyard_convert.domain import Conversion
from modelyard_convert.errors import ParityFailed, ToolchainFailed, VersionGone
from modelyard_convert.inputs import Inputs
from modelyard_convert.job_log import Announce, JobLog
from modelyard_convert.outputs import Outputs
from modelyard_convert.repository import Repository
from modelyard_convert.settings import ConvertSettings
from modelyard_store.aggregates import Decide
from modelyard_store.manifest import manifest_digest
from modelyard_work.ending import Policy
from modelyard_work.long_job import LongJob
from modelyard_work.long_work import Attempt, LongWork, Progress


@dataclass(frozen=True)
class ConversionJobs:
    repository: Repository
    admission: Admission
    inputs: Inputs
    outputs: Outputs
    converter: Converter
    announce: Announce
    settings: ConvertSettings
    now: Callable[[], int]
    confinement: str | None = None

    async def convert(self, envelope: Envelope, job: ConversionJob) -> None:
        await self.job.run(envelope, job.conversion_id)

    @cached_property
    def job(self) -> LongJob[Conversion]:
        policy = Policy(patience=self.settings.convert_patience)
        return LongJob(
            self.repository.conversions, lambda: _Converting(self), policy, work_dir=self.settings.convert_work_dir
        )


class _Converting(LongWork[Conversion]):
    """One delivery."""

    name = "convert"
    doing = "converting it"
    child = "the converter stopped:"

    def __init__(self, tools: ConversionJobs) -> None:
        self._tools = tools
        self._log: JobLog | None = None

    def begin(self, value: Conversion) -> Outcome[Conversion]:
        return domain.begun(value)

    async def run(self, attempt: Attempt[Conversion]) -> Decide[Conversion]:
        log = self._log = JobLog(attempt.value, self._tools.announce, attempt.folder / "job_log.txt")
        await log.say(f"{STEP}fetching the source")
        await log.say(f"confinement: {self._tools.confinement or 'none'}")
        admitted = await attempt.patiently(lambda: self._examine(attempt.value))
        request = await attempt.patiently(lambda: self._fetch(attempt, admitted))
        report = await self._tools.converter(request, on_line=log.say)
        if report.parity.verdict == "failed":
            return await self._parity_failed(attempt, report, request.result, log.file)
        await log.say(f"{STEP}storing the result")
        await log.say(f"succeeded: {admitted.target.target}, parity {report.parity.verdict}")
        artifact = await attempt.patiently(lambda: self._store(attempt, admitted, report, request.result, log.file))
        return lambda found: domain.succeeded(found, artifact, now=self._tools.now())

    def progress(self) -> Progress[Conversion] | None:
        return self._log.progress() if self._log else None

    def let_go(self, value: Conversion, reason: str) -> Outcome[Conversion]:
        return domain.let_go(value, reason)

    def failed(self, value: Conversion, failure: Failure) -> Outcome[Conversion]:
        return domain.failed(value, failure, now=self._tools.now())

    def broken(self, why: str) -> Failure:
        return ToolchainFailed(why)

    async def ended(self, value: Conversion) -> None:
        payload = {"state": value.state, "attempt": value.attempt, "reason": value.reason}
        await self._tools.announce("conversion", value.conversion_id, payload)
        await self._tools.outputs.tidy(value)

    async def discard(self, attempt: Attempt[Conversion]) -> None:
        await self._tools.outputs.discard(attempt.value)

    async def _parity_failed(
        self, attempt: Attempt[Conversion], report: ConversionReport, result: Path, log_file: Path
    ) -> Decide[Conversion]:
        """What failed is kept for a while, so that people can look at it."""
        claimed, outputs = attempt.value, self._tools.outputs
        place = domain.output_location(claimed, claimed.attempt, outputs.bucket)
        until, files = self._tools.now() + int(self._tools.settings.convert_keep_failed * 1000), tuple[FileEntry, ...]()
        if self._tools.settings.convert_keep_failed:
            files = await attempt.patiently(lambda: outputs.upload(result, log_file, place))
        failure = ParityFailed(report.parity.reason)
        return lambda found: domain.failed(
            found,
            failure,
            now=self._tools.now(),
            parity=report.parity,
            benchmark=report.benchmark,
            kept_files=files,
            kept_until=until if files else None,
        )

    async def _examine(self, claimed: Conversion) -> Admitted:
        """Again, for what may have changed since the order was taken. Raises VersionGone."""
        examine = self._tools.admission.examine
        try:
            return await examine(claimed.project, claimed.correlationid, claimed.model_id, claimed.order)
        except Failure as failure:
            if failure.kind is FailureKind.NOT_FOUND and claimed.order.calibration_dataset_id is None:
                raise VersionGone from failure
            raise

    async def _fetch(self, attempt: Attempt[Conversion], admitted: Admitted) -> ConversionRequest:
        folder, inputs = attempt.folder, self._tools.inputs
        source, samples, scratch = folder / "source", folder / "samples", folder / "scratch"
        scratch.mkdir(exist_ok=True)
        await inputs.fetch_source(admitted.source, source, with_samples=admitted.dataset is None)
        calibration = None
        if admitted.dataset:
            await inputs.fetch_dataset(admitted.dataset, samples)
            kind = "images" if admitted.dataset.kind == "image-folder" else "arrays"
            calibration = CalibrationFolder(kind=kind, path=samples)
        elif orders.packed_samples(admitted.source):
            calibration = CalibrationFolder(kind="arrays", path=source / orders.CALIBRATION_FOLDER)
        if admitted.version.config is None:
            raise VersionGone  # `examine` has refused a version without config
        return ConversionRequest(
            target=admitted.target.target,
            options=admitted.target.option_values(attempt.value.order.options),
            tolerance=orders.tolerance_of(attempt.value.order, admitted.target, admitted.source.inspection),
            source_format=admitted.source.format,
            config=admitted.version.config,
            source=source,
            result=folder / "result",
            scratch=scratch,
            calibration=calibration,
            threads=self._tools.settings.convert_threads,
        )

    async def _store(
        self, attempt: Attempt[Conversion], admitted: Admitted, report: ConversionReport, result: Path, log_file: Path
    ) -> Artifact:
        claimed = attempt.value
        place = domain.output_location(claimed, claimed.attempt, self._tools.outputs.bucket)
        files = await self._tools.outputs.upload(result, log_file, place)
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
            created_at=self._tools.now(),
        )
