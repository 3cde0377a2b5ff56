"""One trial: work is asked for while things go wrong, and judged from outside when they are over."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from modelyard_testkit.small_disk import small_disk
from modelyard_testkit.yard import Yard, running_yard
from modelyard_testkit.yard_inside import dead_letters

from .kinds import KINDS, Fault, drawn
from .stand_in import shifting_clock
from .work import Ground, Work, green

STEADY: Final = 1.0
"""Seconds for which the light must be green before it is believed."""
ACCEPTED_WITHIN: Final = 180.0
FINAL_WITHIN: Final = 240.0
"""Seconds after the last fault. Generous: a machine may be busy with others."""
DISK_MIB: Final = 96


@dataclass
class Verdict:
    seed: int
    faults: list[dict[str, Any]]
    whole: bool
    stuck: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    light: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    letters: int = 0
    red: bool = False
    green_after: float = 0.0
    final_after: float = 0.0

    @property
    def clean(self) -> bool:
        return not (self.stuck or self.wrong or self.light)


@contextmanager
def campaign_yard(data: Path) -> Iterator[tuple[Ground, tuple[str, ...]]]:
    """A yard of processes, and the kinds of fault that can be done to it here."""
    kinds = tuple(name for name, kind in KINDS.items() if not kind.compiler or shifting_clock())
    with ExitStack() as disks:
        try:
            for folder in (data / "nats" / "jetstream", data / "documents"):
                disks.enter_context(small_disk(folder, DISK_MIB))
        except pytest.skip.Exception:
            kinds = tuple(name for name in kinds if not KINDS[name].small_disk)
        with running_yard(data, "--processes") as yard:
            yield Ground(yard).prepare(), kinds


def planned(seed: int, kinds: tuple[str, ...]) -> list[Fault]:
    """One to four faults, at the same time or one after the other."""
    random = Random(seed)
    return sorted((drawn(random, kinds) for _ in range(random.randint(1, 4))), key=lambda fault: fault.after)


def run(ground: Ground, seed: int, faults: Sequence[Fault]) -> Verdict:
    verdict = Verdict(seed, [asdict(fault) for fault in faults], whole=seed % 3 == 0)
    work = Work(ground, f"t{seed}-{time.time_ns() % 10**9}", whole=verdict.whole)
    work.prepare()
    letters = len(dead_letters(ground.yard))
    began = time.monotonic()
    threads = [threading.Thread(target=_happen, args=(ground.yard, fault, began)) for fault in faults]
    light = threading.Thread(target=_watch, args=(ground.yard, threads, verdict))
    for thread in (*threads, light):
        thread.start()
    try:
        work.submit(began + ACCEPTED_WITHIN)
    finally:
        for thread in (*threads, light):
            thread.join()
    _judge(work, verdict)
    verdict.letters = len(dead_letters(ground.yard)) - letters
    work.client.close()
    return verdict


def _happen(yard: Yard, fault: Fault, began: float) -> None:
    time.sleep(max(0.0, began + fault.after - time.monotonic()))
    fault.run(yard)


def _watch(yard: Yard, faults: Sequence[threading.Thread], verdict: Verdict) -> None:
    """Whether the light ever turned red while something was wrong."""
    while any(thread.is_alive() for thread in faults):
        verdict.red = bool(green(yard)) or verdict.red
        time.sleep(0.2)


def _judge(work: Work, verdict: Verdict) -> None:
    over = time.monotonic()
    if not _steady(work.ground.yard, over + FINAL_WITHIN):
        verdict.stuck.append(f"never green again: {green(work.ground.yard)}")
        return
    verdict.green_after = round(time.monotonic() - over, 1)
    try:
        work.create("after", time.monotonic() + 0.1)
    except Exception as error:  # noqa: BLE001 - whatever it was, the light has lied
        verdict.light.append(f"green for {STEADY:g} s, and a write failed: {error!r}")
    while (stuck := _open(work)) and time.monotonic() < over + FINAL_WITHIN:
        time.sleep(0.3)
    verdict.stuck += stuck
    verdict.final_after = round(time.monotonic() - over, 1)
    if not verdict.stuck:
        verdict.wrong = _settled_faults(work)
        verdict.failed = work.reasons()


def _open(work: Work) -> list[str]:
    try:
        return work.open_ends()
    except Exception as error:  # noqa: BLE001 - asked again until it is too late
        return [f"cannot be asked: {error!r}"]


def _settled_faults(work: Work) -> list[str]:
    """What is removed or written down last may come a moment after the end."""
    until = time.monotonic() + 30
    while (wrong := work.faults()) and time.monotonic() < until:
        time.sleep(0.5)
    return wrong


def _steady(yard: Yard, until: float) -> bool:
    since: float | None = None
    while time.monotonic() < until:
        if green(yard):
            since = None
        else:
            since = since or time.monotonic()
            if time.monotonic() - since >= STEADY:
                return True
        time.sleep(0.2)
    return False
