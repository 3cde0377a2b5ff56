"""The faults of a campaign: each begins, lasts, and ends. Processes are found by the record of their supervisor."""

import shutil
import sqlite3
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from random import Random
from typing import Final

import psutil

from modelyard_testkit.small_disk import fill
from modelyard_testkit.yard import Yard
from modelyard_testkit.yard_inside import process_of

from ..killing import alive, stopped, worker_of
from .stand_in import shifting_clock, stand_in

SERVICES: Final = ("version", "import", "convert", "evaluate", "publish", "gateway")
WRITERS: Final = ("version", "import", "convert", "evaluate", "publish")
HOUR: Final = 3600
STEPS: Final = 3
RUBBISH: Final = b"\xff"
"""No page of SQLite begins with it."""
GONE: Final = (KeyError, ValueError, OSError, psutil.NoSuchProcess)
"""The process is not there just now: somebody else has killed it."""


@dataclass(frozen=True)
class Fault:
    """Begins `after` seconds and lasts for `seconds`; what ends by itself (a kill) lasts for none."""

    kind: str
    target: str
    after: float
    seconds: float = 0.0

    def run(self, yard: Yard) -> None:
        with suppress(*GONE), KINDS[self.kind].act(yard, self.target) as act:
            for number in range(STEPS):
                if act is not None:
                    act(number)
                time.sleep(self.seconds / STEPS)


Act = Callable[[int], None]
"""What happens at the beginning of each of STEPS equal parts of the time that the fault lasts."""


@dataclass(frozen=True)
class Kind:
    act: Callable[[Yard, str], AbstractContextManager[Act | None]]
    targets: tuple[str, ...]
    lasts: tuple[float, float] = (0.0, 0.0)
    small_disk: bool = False
    compiler: bool = False


def drawn(random: Random, kinds: tuple[str, ...]) -> Fault:
    kind = random.choice(kinds)
    what = KINDS[kind]
    seconds = round(random.uniform(*what.lasts), 1)
    return Fault(kind, random.choice(what.targets), round(random.uniform(0, 12), 1), seconds)


def jetstream(yard: Yard) -> Path:
    return yard.data / "nats" / "jetstream"


def documents(yard: Yard) -> Path:
    return yard.data / "documents"


@contextmanager
def killed(yard: Yard, target: str) -> Iterator[None]:
    process_of(yard, target).kill()
    yield


@contextmanager
def frozen(yard: Yard, target: str) -> Iterator[None]:
    with stopped(process_of(yard, target)):
        yield


@contextmanager
def worker_killed(yard: Yard, target: str) -> Iterator[None]:
    """As soon as there is one; not longer than a few seconds."""
    until = time.monotonic() + 8
    while time.monotonic() < until:
        if worker := worker_of(yard, target):
            worker.kill()
            break
        time.sleep(0.02)
    yield


@contextmanager
def probe_killed(yard: Yard, target: str) -> Iterator[None]:
    """The service is killed, and its successor's first child too, as the system does when memory is short."""
    was = process_of(yard, target)
    was.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with suppress(*GONE):
            process = process_of(yard, target)
            children = process.children(recursive=True) if process.pid != was.pid and alive(process) else []
            if probes := [each for each in children if "probe" in " ".join(each.cmdline())]:
                for each in probes:
                    each.kill()
                break
        time.sleep(0.005)
    yield


@contextmanager
def disk_full(yard: Yard, target: str) -> Iterator[None]:
    filler = fill(jetstream(yard) if target == "nats" else documents(yard))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def folder_lost(yard: Yard, _: str) -> Iterator[None]:
    shutil.rmtree(jetstream(yard) / "jetstream", ignore_errors=True)
    yield


@contextmanager
def locked(yard: Yard, target: str) -> Iterator[None]:
    """By another process, as a backup tool does."""
    path = documents(yard) / f"{target}.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@contextmanager
def page_corrupt(yard: Yard, target: str) -> Iterator[None]:
    """Some pages of the file are rubbish. Whoever put them right starts the service again: it takes damage for lasting,
    and answers no more than that."""
    path = documents(yard) / f"{target}.sqlite"
    with stopped(process_of(yard, target)), path.open("r+b", buffering=0) as file:
        size = int.from_bytes(file.read(18)[16:], "big")
        pages = range(1, path.stat().st_size // size)  # the first one is the file's header
        right = {page * size: _exchanged(file, page * size, RUBBISH * size) for page in pages if page % 3 == 1}
    try:
        yield
    finally:
        with stopped(process_of(yard, target)) as process, path.open("r+b", buffering=0) as file:
            for place, content in right.items():
                file.seek(place)
                if file.read(size) == RUBBISH * size:  # else it was written anew, out of the log
                    _exchanged(file, place, content)
            process.kill()


def _exchanged(file: FileIO, place: int, content: bytes) -> bytes:
    file.seek(place)
    was = file.read(len(content))
    file.seek(place)
    file.write(content)
    return was


@contextmanager
def without_workers(yard: Yard, target: str) -> Iterator[None]:
    """After an outage the role that answers is back, the one that works is not yet."""
    with stand_in(yard, target, {f"MODELYARD_{target.upper()}_ROLES": "api"}):
        yield


@contextmanager
def clock_jumping(yard: Yard, target: str) -> Iterator[Act]:
    """Right, then an hour ahead, then an hour behind: what was written stays."""
    with tempfile.NamedTemporaryFile(prefix="campaign-clock-") as file:
        shift = Path(file.name)
        shift.write_bytes(bytes(8))

        def jump(step: int) -> None:
            with shift.open("r+b") as mapped:
                mapped.write(struct.pack("q", (0, HOUR, -HOUR)[step]))

        environment = {"LD_PRELOAD": str(shifting_clock()), "CLOCK_SHIFT": str(shift)}
        with stand_in(yard, target, environment):
            yield jump


KINDS: Final = {
    "kill": Kind(killed, (*SERVICES, "nats", "s3")),
    "freeze": Kind(frozen, (*SERVICES, "nats", "s3"), (1.0, 12.0)),
    "kill-worker": Kind(worker_killed, ("convert", "evaluate")),
    "kill-probe": Kind(probe_killed, ("convert",)),
    "lock-documents": Kind(locked, WRITERS, (2.0, 15.0)),
    "corrupt-page": Kind(page_corrupt, WRITERS, (2.0, 15.0)),
    "no-workers": Kind(without_workers, ("convert", "evaluate", "import"), (5.0, 30.0)),
    "clock-jumps": Kind(clock_jumping, WRITERS, (9.0, 30.0), compiler=True),
    "lose-streams": Kind(folder_lost, ("nats",), (3.0, 3.0)),  # the keeper looks every 2 s; until then all goes on
    "fill-jetstream": Kind(disk_full, ("nats",), (2.0, 8.0), small_disk=True),
    "fill-documents": Kind(disk_full, ("documents",), (2.0, 8.0), small_disk=True),
}
