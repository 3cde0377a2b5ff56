"""How fast is a model, on this machine, now? Called by `observe`; source and result take turns.

Wall time on a shared machine rises three to ten times under load, CPU time about a tenth: both are kept, and a run
where they part is marked noisy. One process does not time two models: a pool of one would spin while the other runs.
"""

import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from modelyard_convert.children.arrays import Array
from modelyard_convert.children.turns import Talk
from modelyard_formats.running import Runner

WARMUP = 5
MIN_RUNS = 10
MAX_RUNS = 200
BUDGET_S = 0.8  # for the timed runs of both together; slow models get MIN_RUNS all the same
TURN_S = 0.005  # of short runs there are several in a turn: the first after another process finds cold caches
TURN_RUNS = 5
NOISY_RATIO = 1.3  # wall time over CPU time: the run waited for something
Feed = dict[str, Array]


@dataclass(slots=True)
class Clock:
    """Nanoseconds of every timed run."""

    runner: Runner
    feeds: Iterator[Feed]
    per_turn: int = 1
    wall: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)

    @classmethod
    def warm(cls, runner: Runner, feeds: Sequence[Feed]) -> "Clock":
        clock = cls(runner, cycle(feeds))
        for _ in range(WARMUP):
            begin = time.perf_counter()
            clock._run()
            took = time.perf_counter() - begin
        clock.per_turn = max(1, min(TURN_RUNS, int(TURN_S / took)))
        return clock

    def turn(self, runs: int) -> None:
        if runs > 1:
            self._run()  # warms the caches again
        for _ in range(runs):
            cpu, wall = _cpu_ns(), time.perf_counter_ns()
            self._run()
            self.wall.append(time.perf_counter_ns() - wall)
            self.cpu.append(_cpu_ns() - cpu)

    def percentiles(self) -> tuple[float, float]:
        """Median and 95th, in ms."""
        median, p95 = np.percentile(self.wall, (50, 95)) / 1e6
        return float(median), float(p95)

    def cpu_ms(self) -> float:
        return float(np.mean(self.cpu)) / 1e6

    def noisy(self) -> bool:
        return bool(np.median(self.wall) > NOISY_RATIO * np.mean(self.cpu))

    def _run(self) -> None:
        self.runner.run(next(self.feeds))


def _cpu_ns() -> int:
    """Of all threads. Not `process_time_ns`: while processor time is limited, that clock moves in ticks of 4 ms."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round((used.ru_utime + used.ru_stime) * 1e9)


def lead(clock: Clock, talk: Talk | None) -> None:
    """Time it, and have the other one timed as often; alone when there is no other one."""
    if talk:
        talk.hear()  # the other one is warm too
    until = time.monotonic() + BUDGET_S
    while (made := len(clock.wall)) < MIN_RUNS or (made < MAX_RUNS and time.monotonic() < until):
        runs = min(clock.per_turn, MAX_RUNS - made)
        clock.turn(runs)
        if talk:
            talk.tell(runs)
            talk.hear()
    if talk:
        talk.tell(0)


def follow(clock: Clock, talk: Talk) -> None:
    """Be timed when told."""
    talk.tell(0)
    while runs := talk.hear():
        clock.turn(runs)
        talk.tell(0)
