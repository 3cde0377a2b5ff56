"""One conversion, from a source on disk to a result with its proof. Called by the conversion job with local paths only.

Four kinds of children that meet in files: sample (what to feed), refit (the toolchain), observe (a runtime, once for
the source and once for the result) and judge. The source is observed while the toolchain works.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from modelyard_contracts.shapes import Parity, Shape
from modelyard_convert.benchmark import compared, told
from modelyard_convert.child_request import STEP, ConversionReport, ConversionRequest
from modelyard_convert.children.requests import (
    JudgeRequest,
    ObserveReport,
    ObserveRequest,
    RefitReport,
    RefitRequest,
    SampleReport,
    SampleRequest,
    Turns,
)
from modelyard_convert.refitting import refitted
from modelyard_convert.result_config import result_config
from modelyard_convert.toolchains import TARGETS, toolchain_of
from modelyard_convert.toolchains.target import Target, Toolchain
from modelyard_runtime.subprocesses import Limits, OnLine, SubprocessFailed, run_program

ReportT = TypeVar("ReportT", bound=Shape)
CHILDREN = "modelyard_convert.children"
REFIT = Path(__file__).with_name("children") / "refit.py"


class RunChild(Protocol):
    """One request to `children`, as `PreloadedPython` for that module."""

    async def __call__(self, request: dict[str, Any], *, on_line: OnLine) -> dict[str, Any]: ...


class RunProgram(Protocol):
    async def __call__(
        self,
        program: Path,
        request: dict[str, Any],
        *,
        python: Path | None = None,
        workdir: Path,
        on_line: OnLine,
        limits: Limits | None = None,
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Converter:
    """`run` starts our own children, `run_program` those of toolchains, within `limits`; the wall time is for all."""

    run: RunChild
    limits: Limits
    run_program: RunProgram = run_program

    async def __call__(self, request: ConversionRequest, *, workdir: Path, on_line: OnLine) -> ConversionReport:
        """Raises Failure and SubprocessFailed. A failed parity is not raised: its numbers belong to the report."""
        conversion = _Conversion(self, request, workdir, on_line, TARGETS[request.target], toolchain_of(request.target))
        seconds = self.limits.wall_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                return await conversion.run()
        except TimeoutError:
            if deadline.expired():
                raise SubprocessFailed("timeout", f"did not finish within {seconds:g} s") from None
            raise


@dataclass(frozen=True, slots=True, repr=False)
class _Conversion:
    converter: Converter
    request: ConversionRequest
    workdir: Path
    on_line: OnLine
    target: Target
    chain: Toolchain

    async def run(self) -> ConversionReport:
        request = self.request
        await self._step("loading the source")
        sampled = await self._sample()
        changes, source, result = await self._refit_and_observe(sampled)
        benchmark = compared(source, result, sampled.batch)
        for line in told(benchmark):
            await self.on_line(line)
        await self._step("proving that it computes the same")
        parity = await self._judge(sampled, min(source.runs, result.runs))
        inspection = result.inspection
        config = result_config(request.config, self.target.result_format, sampled.signature, inspection.signature)
        path = request.result / "model" / "config.json"
        await asyncio.to_thread(path.write_text, config.model_dump_json(indent=2, exclude_defaults=True))
        return ConversionReport(inspection=inspection, changed=changes.changed, parity=parity, benchmark=benchmark)

    async def _step(self, what: str) -> None:
        await self.on_line(f"{STEP}{what}")

    async def _sample(self) -> SampleReport:
        request, target = self.request, self.target
        wanted = SampleRequest(
            format=request.source_format,
            root=request.source,
            threads=request.threads,
            config=request.config,
            folder=request.calibration,
            calibrate=target.option_values(request.options)["samples"] if target.needs_calibration else 0,
            calibration=self._file("calibration.npz"),
            proof=self._file("proof.npz"),
        )
        return await self._ask(wanted, SampleReport)

    async def _refit_and_observe(self, sampled: SampleReport) -> tuple[RefitReport, ObserveReport, ObserveReport]:
        """The source is observed beside the refitting, then waits until the result can be timed in turns with it."""
        for name in ("source-turn", "result-turn"):
            os.mkfifo(self._file(name))
        try:
            async with asyncio.TaskGroup() as group:
                source = group.create_task(self._observe(sampled, "source"))
                await self._step(f"converting to {self.target.target}")
                changes = await self._refit(sampled)
                await self._step("checking the result")
                result = await self._observe(sampled, "result")
        except ExceptionGroup as failed:  # of one child; the others were ended for it
            raise failed.exceptions[0] from None
        return changes, source.result(), result

    async def _refit(self, sampled: SampleReport) -> RefitReport:
        request = self.request
        scratch = self._file("toolchain")
        scratch.mkdir()
        inputs = tuple(spec.name for spec in sampled.signature.inputs)
        wanted = RefitRequest(
            program=self.chain.program,
            convert=self.target.convert,
            check=self.target.check,
            source=request.source,
            result=request.result,
            scratch=scratch,
            options=self.target.option_values(request.options),
            samples=RefitRequest.Samples(path=self._file("calibration.npz"), inputs=inputs, count=sampled.calibrate),
        )
        raw = await self.converter.run_program(
            REFIT,
            wanted.model_dump(mode="json"),
            python=self.chain.python,
            workdir=self.workdir,
            on_line=self.on_line,
            limits=self.converter.limits,
        )
        return refitted(raw, self.chain.name)

    async def _observe(self, sampled: SampleReport, which: Literal["source", "result"]) -> ObserveReport:
        request, is_source = self.request, which == "source"
        other = "result" if is_source else "source"
        wanted = ObserveRequest(
            format=request.source_format if is_source else self.target.result_format,
            root=request.source if is_source else request.result,
            threads=request.threads,
            samples=self._file("proof.npz"),
            count=sampled.prove,
            outputs=self._file(f"{which}.npz"),
            counterpart=None if is_source else sampled.signature,
            turns=Turns(own=self._file(f"{which}-turn"), other=self._file(f"{other}-turn"), leads=is_source),
        )
        return await self._ask(wanted, ObserveReport)

    async def _judge(self, sampled: SampleReport, runs: int) -> Parity:
        wanted = JudgeRequest(
            reference=self._file("source.npz"),
            result=self._file("result.npz"),
            names=tuple(spec.name for spec in sampled.signature.outputs),
            runs=runs,
            batch=sampled.batch,
            kind=sampled.kind,
            score=sampled.score,
            tolerance=self.request.tolerance,
        )
        return await self._ask(wanted, Parity)

    async def _ask(self, wanted: Shape, report: type[ReportT]) -> ReportT:
        return report.model_validate(await self.converter.run(wanted.model_dump(mode="json"), on_line=self.on_line))

    def _file(self, name: str) -> Path:
        return self.request.scratch / name
