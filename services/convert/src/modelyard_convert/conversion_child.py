"""The subprocess of one conversion: convert, check, prove, time. Started by `handlers.jobs` with local paths only.

A crash of a native library ends here and not in the service. Nothing of the network is known in this process.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Benchmark, Inspection, Parity, Signature
from modelyard_convert import benchmark, calibration, proof
from modelyard_convert.child_request import STEP, ConversionReport, ConversionRequest
from modelyard_convert.errors import BadResult, NothingChanged, UnsupportedOperators
from modelyard_convert.result_config import result_config
from modelyard_convert.toolchains import TARGETS
from modelyard_convert.toolchains.target import Target, Work
from modelyard_formats.format import PrecisionHint
from modelyard_formats.running import Runner
from modelyard_formats.scores import score_output
from modelyard_formats.table import inspect, read, runner

PROVE_SAMPLES = 128
_REFUSED_BY_RUNTIME = (
    re.compile(r"Could not find an implementation for (?P<name>[\w.]+)\("),
    re.compile(r"(?P<domain>[\w.]*):(?P<name>\w+)\(-?\d+\) is not a registered function/op"),
    re.compile(r"No Op registered for (?P<name>\w+)"),
)
Log = Callable[[str], None]


def convert(request: ConversionRequest, log: Log) -> ConversionReport:
    """Raises Failure. A failed parity is not raised: its numbers belong to the report."""
    target = TARGETS[request.target]
    log(f"{STEP}loading the source")
    original = _source_runner(request, threads=request.threads)
    samples = _samples(request, target, original.signature, log)
    log(f"{STEP}converting to {target.target}")
    changes = target.convert(_work(request, target, samples, log))
    log(changes.what)
    if changes.count == 0:
        raise NothingChanged(changes.what)
    log(f"{STEP}checking the result")
    inspection = _checked(request, target, original.signature)
    log(f"{STEP}proving that it computes the same")
    parity = _prove(request, target, original, samples)
    _log_parity(parity, log)
    log(f"{STEP}timing source and result")
    timing = _time(request, target, samples)
    _log_timing(timing, log)
    return ConversionReport(inspection=inspection, changed=changes.count, parity=parity, benchmark=timing)


def _source_runner(request: ConversionRequest, *, threads: int, hint: PrecisionHint = "f32") -> Runner:
    try:
        return runner(request.source_format, request.source, threads=threads, precision_hint=hint)
    except Failure as failure:
        for pattern in _REFUSED_BY_RUNTIME:
            if found := pattern.search(failure.message):
                parts = found.groupdict()
                name = f"{parts['domain']}::{parts['name']}" if parts.get("domain") else parts["name"]
                raise UnsupportedOperators(request.source_format, (name,)) from failure
        raise


def _samples(request: ConversionRequest, target: Target, signature: Signature, log: Log) -> calibration.Samples:
    folder = request.calibration
    if folder is None:
        log("no calibration data: parity runs on seeded noise, which can fail but never pass. For a real proof put")
        log("preprocessed samples into calibration_data/*.npy of the package, or name a calibration_dataset_id")
        return calibration.seeded_samples(signature, request.config)
    if folder.kind == "images":
        items = calibration.image_items(folder.path, signature, request.config)
    else:
        items = calibration.array_items(folder.path, signature)
    wanted = target.option_values(request.options)["samples"] if target.needs_calibration else 0
    samples = calibration.real_samples(items, signature, calibrate=wanted, prove=PROVE_SAMPLES)
    log(f"{items.count} calibration samples, {len(samples.calibrate)} runs to calibrate, {len(samples.prove)} to prove")
    return samples


def _work(request: ConversionRequest, target: Target, samples: calibration.Samples, log: Log) -> Work:
    return Work(
        source=request.source,
        result=request.result,
        scratch=request.scratch,
        options=target.option_values(request.options),
        samples=samples.calibrate,
        log=log,
    )


def _checked(request: ConversionRequest, target: Target, wanted: Signature) -> Inspection:
    """The gate: whole, fully valid, of the same inputs and outputs; written with its config beside it."""
    try:
        if target.result_format == "onnx":
            _full_check(request.result / "model" / "model.onnx")
        inspection = inspect(target.result_format, request.result)
    except Failure as failure:
        raise BadResult(failure.message) from failure
    found = inspection.signature
    if len(found.inputs) != len(wanted.inputs) or len(found.outputs) != len(wanted.outputs):
        counts = f"{len(found.inputs)} inputs and {len(found.outputs)} outputs"
        raise BadResult(f"it has {counts}, the source {len(wanted.inputs)} and {len(wanted.outputs)}")
    config = result_config(request.config, target.result_format, wanted, found)
    (request.result / "model" / "config.json").write_text(config.model_dump_json(indent=2, exclude_defaults=True))
    return inspection


def _full_check(path: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BadResult(str(error).strip().splitlines()[0]) from error


def _prove(request: ConversionRequest, target: Target, original: Runner, samples: calibration.Samples) -> Parity:
    try:
        result = runner(target.result_format, request.result, threads=request.threads, precision_hint="f32")
    except Failure as failure:
        raise BadResult(failure.message) from failure
    score = score_output(request.config, original.signature)
    return proof.prove(original, result, samples, request.tolerance, score)


def _time(request: ConversionRequest, target: Target, samples: calibration.Samples) -> Benchmark:
    """One thread: a pool of one model would spin while the other is timed. As the runtime computes by default."""
    source = _source_runner(request, threads=1, hint="default")
    result = runner(target.result_format, request.result, threads=1, precision_hint="default")
    sizes = _model_bytes(request.source_format, request.source), _model_bytes(target.result_format, request.result)
    return benchmark.compare(source, result, samples.prove, threads=1, sizes=sizes)


def _model_bytes(format_name: str, root: Path) -> int:
    return sum((root / "model" / name).stat().st_size for name in read(format_name, root).files)


def _log_parity(parity: Parity, log: Log) -> None:
    log(f"parity {parity.verdict}: {parity.reason}")
    for output in parity.outputs:
        log(
            f"output {output.name}: largest error {output.max_abs_error:.4g} ({output.max_rel_error:.2%} of the "
            f"largest value), mean {output.mean_abs_error:.4g}, "
            f"cosine {output.cosine:.6f}, control {output.control_cosine:.6f}"
        )


def _log_timing(timing: Benchmark, log: Log) -> None:
    for name, row in (("source", timing.source), ("result", timing.result)):
        log(
            f"{name}: {row.runtime}, median {row.median_ms:.3f} ms, p95 {row.p95_ms:.3f} ms, CPU {row.cpu_ms:.3f} ms, "
            f"{row.size} bytes"
        )
    if timing.noisy:
        log(f"the machine was busy (load {timing.load:.1f}): trust the CPU times, not the medians")


def _main(request: dict[str, Any], log: Log) -> dict[str, Any]:
    wanted = ConversionRequest.model_validate(request)
    try:
        return convert(wanted, log).model_dump(mode="json")
    finally:
        shutil.rmtree(wanted.scratch, ignore_errors=True)


if __name__ == "__main__":
    from modelyard_runtime.subprocess_child import serve

    serve(_main)
