"""The observe child: one runtime, one model, samples. Writes what it computes, and times it. Source and result have a
child each, so that neither runtime need stand beside the other.
"""

import os
import time
from collections.abc import Iterator, Mapping

import numpy as np

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Signature, Timing
from modelyard_convert.child_request import STEP
from modelyard_convert.children import arrays, timing
from modelyard_convert.children.arrays import Array
from modelyard_convert.children.protocol import Samples
from modelyard_convert.children.requests import ObserveReport, ObserveRequest
from modelyard_convert.children.turns import Talk
from modelyard_convert.errors import BadResult
from modelyard_formats.format import PrecisionHint, Reading
from modelyard_formats.running import Runner
from modelyard_formats.table import read, runner
from modelyard_runtime.subprocess_child import Log

OUTPUT_BYTES = 256 * 2**20  # of outputs kept; later samples are not run
TIMED_THREADS = 1
REPEATS = 1e-3  # of the largest value: what two runs on the same input may differ by
LEAST_RUNS, RECORD_SECONDS = 64, 6.0
"""A model that takes long is proven on fewer samples than there are, but not on less than these."""
_COMPARED = "fiubUSO"
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def observe(request: ObserveRequest, log: Log) -> ObserveReport:
    """Raises BadResult for a result that is not whole, and BadSource, BadTensor and Failure as runtimes do."""
    reading = _reading(request)
    loaded = _loaded(request, request.threads, "f32")
    runs, repeats = record(loaded, request)
    known = {spec.name for spec in loaded.signature.outputs}
    if runs < request.count:
        log(f"{runs} of {request.count} samples were run: one takes long, or gives much")
    talk = Talk(request.turns) if request.turns else None
    timed = _loaded(request, TIMED_THREADS, "default")  # as the runtime computes by default
    clock = timing.Clock.warm(timed, list(feeds(timed, request))[1 if request.together else 0 :])
    if talk and request.turns and not request.turns.leads:
        timing.follow(clock, talk)
    else:
        log(f"{STEP}timing source and result")
        timing.lead(clock, talk)
    median, p95 = clock.percentiles()
    size = sum((request.root / "model" / name).stat().st_size for name in reading.files)
    return ObserveReport(
        inspection=reading.inspection,
        runs=runs,
        repeats=repeats,
        uncompared=tuple(spec.name for spec in reading.inspection.signature.outputs if spec.name not in known),
        timing=Timing(runtime=timed.name, median_ms=median, p95_ms=p95, cpu_ms=clock.cpu_ms(), size=size),
        threads=TIMED_THREADS,
        warmup=timing.WARMUP,
        timed=len(clock.wall),
        precision=timed.precision,
        load=os.getloadavg()[0],
        noisy=clock.noisy(),
    )


def record(loaded: Runner, request: ObserveRequest) -> tuple[int, bool]:
    """Write the outputs, those with numbers; how many samples were run, and whether the source's first one gives the
    same again."""
    repeats = True

    def rows() -> Iterator[list[Array | None]]:
        nonlocal repeats
        kept, began = 0, time.monotonic()
        for number, feed in enumerate(feeds(loaded, request)):
            if number >= LEAST_RUNS and time.monotonic() > began + RECORD_SECONDS:
                return
            outputs = _run(loaded, feed, request, number)
            if not number and not request.counterpart:
                repeats = _alike(outputs, _run(loaded, feed, request, number))
            row = [outputs[spec.name] for spec in loaded.signature.outputs]
            yield [each if each.dtype.kind in _COMPARED else None for each in row]
            kept += sum(each.nbytes for each in row)
            if kept > OUTPUT_BYTES:
                return

    return arrays.write(request.outputs, rows()), repeats


def _run(loaded: Runner, feed: dict[str, Array], request: ObserveRequest, number: int) -> dict[str, Array]:
    try:
        return loaded.run(feed)
    except Failure as failure:
        if not request.counterpart:
            raise
        what = f"{request.together} items in one run" if request.together and not number else f"sample {number}"
        raise BadResult(f"it does not take {what}, which the source does: {failure.message}") from failure


def _alike(first: Mapping[str, Array], again: Mapping[str, Array]) -> bool:
    """Threads may add up in another order; whoever draws numbers is further off."""
    return all(
        one.shape == again[name].shape
        and (
            np.array_equal(one, again[name])
            if one.dtype.kind != "f"
            else np.allclose(one, again[name], rtol=REPEATS, atol=REPEATS * _largest(one), equal_nan=True)
        )
        for name, one in first.items()
    )


def _largest(values: Array) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def feeds(loaded: Runner, request: ObserveRequest) -> Iterator[dict[str, Array]]:
    """The samples under this model's names and types."""
    inputs = loaded.signature.inputs
    for feed in Samples(request.samples, [spec.name for spec in inputs], request.count):
        yield {spec.name: feed[spec.name].astype(spec.dtype, copy=False) for spec in inputs}


def _reading(request: ObserveRequest) -> Reading:
    try:
        reading = read(request.format, request.root)
    except Failure as failure:
        raise _said_of(request, failure) from failure
    return reading


def _loaded(request: ObserveRequest, threads: int, hint: PrecisionHint) -> Runner:
    try:
        loaded = runner(request.format, request.root, threads=threads, precision_hint=hint)
    except Failure as failure:
        raise _said_of(request, failure) from failure
    _check(request, loaded.signature)
    return loaded


def _check(request: ObserveRequest, found: Signature) -> None:
    """A result has as many inputs and outputs as its source, of the same kinds, and takes whatever size that takes."""
    wanted = request.counterpart
    if wanted is None:
        return
    if (len(found.inputs), len(found.outputs)) != (len(wanted.inputs), len(wanted.outputs)):
        counts = f"{len(found.inputs)} inputs and {len(found.outputs)} outputs"
        raise BadResult(f"it has {counts}, the source {len(wanted.inputs)} and {len(wanted.outputs)}")
    for theirs, ours in zip((*wanted.inputs, *wanted.outputs), (*found.inputs, *found.outputs), strict=True):
        if theirs.dtype != ours.dtype and not {theirs.dtype, ours.dtype} <= _FLOATS:
            raise BadResult(f"`{ours.name}` holds {ours.dtype}, in the source {theirs.dtype}")
    for theirs, ours in zip(wanted.inputs, found.inputs, strict=True):
        fixed = [
            axis
            for axis, (size, own) in enumerate(zip(theirs.shape, ours.shape, strict=False))
            if isinstance(own, int) and not isinstance(size, int)
        ]
        if fixed:
            raise BadResult(
                f"axis {fixed[0]} of `{ours.name}` is fixed at {ours.shape[fixed[0]]}, in the source it is open"
            )


def _said_of(request: ObserveRequest, failure: Failure) -> Failure:
    return BadResult(failure.message) if request.counterpart else failure
