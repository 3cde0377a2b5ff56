"""One conversion, from a source on disk to a result with its proof. Called by the conversion job with local paths only.

Four kinds of children that meet in files: sample (what to feed), refit (the toolchain), observe (a runtime, once for
the source and once for the result) and judge. The source is observed while the toolchain works. Each writes into a
folder of its own and opens what it needs of the others': a model that takes over its runtime cannot change what it is
compared with.
"""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from modelyard_contracts.shapes import Parity, Shape
from modelyard_convert.benchmark import compared, grown, told
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
from modelyard_convert.errors import BadResult
from modelyard_convert.refitting import refitted
from modelyard_convert.result_config import result_config
from modelyard_convert.toolchains import TARGETS, toolchain_of
from modelyard_convert.toolchains.target import Target, Toolchain
from modelyard_runtime.subprocesses import Limits, OnLine, Reach, SubprocessFailed, run_program

ReportT = TypeVar("ReportT", bound=Shape)
CHILDREN = "modelyard_convert.children"
PACKAGE = Path(__file__).parent
REFIT = PACKAGE / "children" / "refit.py"
CRASHES = frozenset(-each for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL))


class RunChild(Protocol):
    """One request to `children`, as `PreloadedPython` for that module."""

    async def __call__(
        self, request: dict[str, Any], *, on_line: OnLine, reach: Reach | None = None
    ) -> dict[str, Any]: ...


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
        reach: Reach | None = None,
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Converter:
    """`run` starts our own children, `run_program` those of toolchains, within `limits`; the wall time is for all."""

    run: RunChild
    limits: Limits
    run_program: RunProgram = run_program

    async def __call__(self, request: ConversionRequest, *, on_line: OnLine) -> ConversionReport:
        """Raises Failure and SubprocessFailed. A failed parity is not raised: its numbers belong to the report."""
        steps = _Steps(on_line)
        conversion = _Conversion(self, request, steps.line, TARGETS[request.target], toolchain_of(request.target))
        seconds = self.limits.wall_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                report = await conversion.run()
        except TimeoutError:
            if deadline.expired():
                raise SubprocessFailed("timeout", f"did not finish within {seconds:g} s") from None
            raise
        await on_line(steps.told())
        return report


class _Steps:
    """Listens to the log: where the time goes."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self._began: list[tuple[str, float]] = []

    async def line(self, line: str) -> None:
        if line.startswith(STEP):
            self._began.append((line.removeprefix(STEP), time.monotonic()))
        await self._on_line(line)

    def told(self) -> str:
        """`took 1.2 s: loading the source 8 %, converting to … 51 %, …`"""
        ends = [*(began for _, began in self._began[1:]), time.monotonic()]
        lasted = [(name, end - began) for (name, began), end in zip(self._began, ends, strict=True)]
        total = sum(seconds for _, seconds in lasted)
        shares = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in lasted)
        return f"took {total:.1f} s: {shares}"


@dataclass(frozen=True, slots=True, repr=False)
class _Conversion:
    converter: Converter
    request: ConversionRequest
    on_line: OnLine
    target: Target
    chain: Toolchain

    async def run(self) -> ConversionReport:
        request = self.request
        for folder in (request.result, *map(self._folder, ("samples", "source", "result", "toolchain", "turns"))):
            folder.mkdir()
        await self._step("loading the source")
        sampled = await self._sample()
        changes, source, result = await self._refit_and_observe(sampled)
        benchmark = compared(source, result, sampled.batch)
        for line in told(benchmark):
            await self.on_line(line)
        await self._step("proving that it computes the same")
        parity = await self._judge(sampled, source, min(source.runs, result.runs))
        notes = (*parity.notes, *map(_not_compared, source.uncompared), *changes.notes, *grown(benchmark))
        if parity.verdict == "failed" and self.target.option_values(request.options).get("per_channel") is False:
            notes = (*notes, "with the option per_channel weights are more exact")
        parity = parity.model_copy(update={"notes": notes})
        inspection = result.inspection
        tensors = tuple(spec for spec in inspection.signature.outputs if spec.name not in result.uncompared)
        signature = inspection.signature.model_copy(update={"outputs": tensors})
        config = result_config(request.config, self.target.result_format, sampled.signature, signature)
        await asyncio.to_thread(write_config, request.result, config.model_dump_json(indent=2, exclude_defaults=True))
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
            calibrate=target.option_values(request.options)["samples"] if target.needs_calibration else target.watched,
            calibration=self._calibration,
            proof=self._proof,
        )
        samples = (request.calibration.path,) if request.calibration else ()
        reach = Reach(read=(request.source, *samples), write=(self._folder("samples"),))
        return await self._ask(wanted, SampleReport, reach)

    async def _refit_and_observe(self, sampled: SampleReport) -> tuple[RefitReport, ObserveReport, ObserveReport]:
        """The source is observed beside the refitting, then waits until the result can be timed in turns with it."""
        for name in ("source-turn", "result-turn"):
            os.mkfifo(self._folder("turns") / name)
        try:
            async with asyncio.TaskGroup() as group:
                source = group.create_task(self._observe(sampled, "source"))
                await self._step(f"converting to {self.target.target}")
                changes = await self._refit(sampled)
                await self._step("checking the result")
                try:
                    result = await self._observe(sampled, "result")
                except SubprocessFailed as failed:
                    if failed.kind == "crashed" and failed.code in CRASHES:
                        raise BadResult(f"the runtime that loads and runs it is {failed.message}") from failed
                    raise
        except ExceptionGroup as failed:  # of one child; the others were ended for it
            raise failed.exceptions[0] from None
        return changes, source.result(), result

    async def _refit(self, sampled: SampleReport) -> RefitReport:
        request = self.request
        scratch = self._folder("toolchain")
        inputs = tuple(spec.name for spec in sampled.signature.inputs)
        wanted = RefitRequest(
            program=self.chain.program,
            convert=self.target.convert,
            check=self.target.check,
            source=request.source,
            result=request.result,
            scratch=scratch,
            options=self.target.option_values(request.options),
            samples=RefitRequest.Samples(path=self._calibration, inputs=inputs, count=sampled.calibrate),
        )
        raw = await self.converter.run_program(
            REFIT,
            wanted.model_dump(mode="json"),
            python=self.chain.python,
            workdir=scratch,
            on_line=self.on_line,
            limits=self.converter.limits,
            reach=Reach(
                read=(PACKAGE, self.chain.program.parent, request.source, self._calibration), write=(request.result,)
            ),
        )
        return refitted(raw, self.chain.name)

    async def _observe(self, sampled: SampleReport, which: Literal["source", "result"]) -> ObserveReport:
        request, is_source = self.request, which == "source"
        other = "result" if is_source else "source"
        turns = self._folder("turns")
        wanted = ObserveRequest(
            format=request.source_format if is_source else self.target.result_format,
            root=request.source if is_source else request.result,
            threads=request.threads,
            samples=self._proof,
            count=sampled.prove,
            outputs=self._outputs(which),
            counterpart=None if is_source else sampled.signature,
            together=sampled.together,
            turns=Turns(own=turns / f"{which}-turn", other=turns / f"{other}-turn", leads=is_source),
        )
        reach = Reach(
            read=(wanted.root, self._proof, turns / f"{which}-turn"),
            write=(self._folder(which), turns / f"{other}-turn"),
        )
        return await self._ask(wanted, ObserveReport, reach)

    async def _judge(self, sampled: SampleReport, source: ObserveReport, runs: int) -> Parity:
        wanted = JudgeRequest(
            reference=self._outputs("source"),
            result=self._outputs("result"),
            specs=sampled.signature.outputs,
            runs=runs,
            batch=sampled.batch,
            output_batch_axes=sampled.output_batch_axes,
            kind=sampled.kind,
            declared=self.request.config.outputs,
            heads=source.inspection.heads,
            labels=len(self.request.config.labels),
            inputs_vary=sampled.inputs_vary,
            repeats=source.repeats,
            tolerance=self.request.tolerance,
            notes=sampled.notes,
        )
        return await self._ask(wanted, Parity, Reach(read=(wanted.reference, wanted.result)))

    async def _ask(self, wanted: Shape, report: type[ReportT], reach: Reach) -> ReportT:
        request = wanted.model_dump(mode="json")
        return report.model_validate(await self.converter.run(request, on_line=self.on_line, reach=reach))

    @property
    def _calibration(self) -> Path:
        return self._folder("samples") / "calibration.npz"

    @property
    def _proof(self) -> Path:
        return self._folder("samples") / "proof.npz"

    def _outputs(self, which: Literal["source", "result"]) -> Path:
        return self._folder(which) / f"{which}.npz"

    def _folder(self, name: str) -> Path:
        return self.request.scratch / name


def _not_compared(output: str) -> str:
    return f"output {output}: it is no tensor and is not compared"


def write_config(result: Path, text: str) -> None:
    """Raises BadResult where a child has left something that would lead the writing elsewhere."""
    path = result / "model" / "config.json"
    if path.resolve() != result.resolve() / "model" / "config.json":
        raise BadResult("its folder `model` holds links")
    path.write_text(text)
