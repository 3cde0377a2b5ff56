"""How fast are source and result, on this machine, now? Runs only in the conversion subprocess.

Runs alternate, so that whatever else the machine does hits both. Wall time on a shared machine rises three to ten
times under load, CPU time about a tenth: both are kept, and a run where they part is marked noisy.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from modelyard_contracts.shapes import Benchmark, Timing
from modelyard_convert.calibration import Feed
from modelyard_convert.proof import refit
from modelyard_formats.running import Runner

WARMUP = 5
MIN_RUNS = 10
MAX_RUNS = 200
BUDGET_S = 3.0  # for the timed runs of both together; slow models get MIN_RUNS all the same
NOISY_RATIO = 1.3  # wall time over CPU time: the run waited for something


@dataclass(slots=True)
class _Clock:
    """Nanoseconds of every run."""

    wall: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)

    def time(self, runner: Runner, feed: Feed) -> None:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        runner.run(feed)
        self.wall.append(time.perf_counter_ns() - wall)
        self.cpu.append(time.process_time_ns() - cpu)

    def timing(self, runtime: str, size: int) -> Timing:
        median, p95 = np.percentile(self.wall, (50, 95)) / 1e6
        return Timing(
            runtime=runtime,
            median_ms=float(median),
            p95_ms=float(p95),
            cpu_ms=float(np.mean(self.cpu)) / 1e6,
            size=size,
        )

    def noisy(self) -> bool:
        return bool(np.median(self.wall) > NOISY_RATIO * np.mean(self.cpu))


def compare(
    source: Runner, result: Runner, samples: Sequence[Feed], *, threads: int, sizes: tuple[int, int]
) -> Benchmark:
    """`sizes`: bytes of the source's and the result's model files."""
    own = list(samples[:MAX_RUNS])
    other = [refit(feed, source, result) for feed in own]
    for index in range(WARMUP):
        source.run(own[index % len(own)])
        result.run(other[index % len(own)])
    first, second = _Clock(), _Clock()
    until = time.monotonic() + BUDGET_S
    runs = 0
    while runs < MIN_RUNS or (runs < MAX_RUNS and time.monotonic() < until):
        first.time(source, own[runs % len(own)])
        second.time(result, other[runs % len(own)])
        runs += 1
    load = os.getloadavg()[0]
    return Benchmark(
        source=first.timing(source.name, sizes[0]),
        result=second.timing(result.name, sizes[1]),
        threads=threads,
        batch=len(next(iter(own[0].values()))),
        warmup=WARMUP,
        runs=runs,
        precision_hint=result.precision,
        load=load,
        noisy=first.noisy() or second.noisy(),
    )
