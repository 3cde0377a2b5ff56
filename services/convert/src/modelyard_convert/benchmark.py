"""Source and result beside each other, out of what their two observers timed. Called by `conversion`. Pure."""

from collections.abc import Iterator
from typing import Final

from modelyard_contracts.shapes import Benchmark
from modelyard_convert.children.requests import ObserveReport

GROWTH: Final = 1.1
ROOM: Final = 8 * 1024
"""Bytes."""


def compared(source: ObserveReport, result: ObserveReport, batch: int) -> Benchmark:
    return Benchmark(
        source=source.timing,
        result=result.timing,
        threads=result.threads,
        batch=batch,
        warmup=result.warmup,
        runs=min(source.timed, result.timed),
        precision_hint=result.precision,
        load=result.load,
        noisy=source.noisy or result.noisy,
    )


def told(benchmark: Benchmark) -> Iterator[str]:
    """Lines of the log."""
    for name, row in (("source", benchmark.source), ("result", benchmark.result)):
        yield (
            f"{name}: {row.runtime}, median {row.median_ms:.3f} ms, p95 {row.p95_ms:.3f} ms, CPU {row.cpu_ms:.3f} ms, "
            f"{row.size} bytes"
        )
    if benchmark.noisy:
        yield f"the machine was busy (load {benchmark.load:.1f}): trust the CPU times, not the medians"


def grown(benchmark: Benchmark) -> tuple[str, ...]:
    """What is said of a result that is larger than its source. A small model's new names count for nothing."""
    source, result = benchmark.source.size, benchmark.result.size
    if result <= GROWTH * source + ROOM:
        return ()
    return (f"the result is larger than the source: {result} bytes instead of {source}",)
