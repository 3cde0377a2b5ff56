"""The line to the object store: connections, threads, and how often a broken transfer is tried again."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx

from modelyard.errors import GatewayUnreachable, ModelyardError, Refused, StorageUnreachable, TaskFailed

T = TypeVar("T")
CHUNK = 1 << 18  # bytes: what one thread holds; larger ones are no faster
PARALLEL = 4
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0)  # seconds between two tries of one piece: half a minute altogether
GO_ON = "run the same command again to go on: what has arrived is not sent again"

Progress = Callable[[int], None]
"""Hears the bytes of each chunk, from several threads; negative when they have to travel again."""


class Begun(Protocol):
    """Hears, before anything moves, how many bytes there are and how many are there already."""

    def __call__(self, total: int, arrived: int) -> None: ...


def not_told(total: int, arrived: int) -> None:
    """For those who do not want to know."""


class Stopped(Exception):
    """Another thread failed, or somebody pressed Ctrl-C."""


class Broken(Exception):
    """One try failed. `moved` bytes were heard of and are lost; `kept` when others stay; `denied` when the URL itself
    was refused."""

    def __init__(self, reason: ModelyardError, moved: int = 0, *, kept: bool = False, denied: bool = False) -> None:
        super().__init__(str(reason))
        self.reason, self.moved, self.kept, self.denied = reason, moved, kept, denied


@dataclass(slots=True)
class Line:
    """Connections that several threads share. After a failure, or Ctrl-C, `ended` is set and nothing more is begun."""

    http: httpx.Client
    ended: Event = field(default_factory=Event)

    def check(self) -> None:
        """Raises Stopped."""
        if self.ended.is_set():
            raise Stopped


def patiently(ended: Event, attempt: Callable[[], T], progress: Progress, renew: Callable[[], None]) -> T:
    """Tries until it works; after each `Broken` it pauses and asks for new URLs. Raises the last reason, or Stopped."""
    denied, pauses = 0, iter(PAUSES)
    while True:
        try:
            return attempt()
        except Broken as broken:
            progress(-broken.moved)
            denied += broken.denied
            pauses = iter(PAUSES) if broken.kept else pauses  # it is slow, but it goes on
            pause = 0.0 if broken.denied else next(pauses, None)  # a URL that is too old only needs a new one
            if pause is None or denied > 1:
                raise broken.reason from broken
        if ended.wait(pause * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
            raise Stopped
        with suppress(GatewayUnreachable, Refused):  # then the old URLs are tried once more
            renew()


@contextmanager
def opened() -> Iterator[Line]:
    """Like the gateway's client it goes straight there, whatever proxy the environment names."""
    timeout = httpx.Timeout(30, connect=5, write=30, read=120)
    with httpx.Client(timeout=timeout, transport=httpx.HTTPTransport(retries=1)) as http:
        yield Line(http)


def in_parallel(line: Line, work: Callable[[Any], T], pieces: Iterable[Any]) -> list[T]:
    """Results in order. The first failure ends the others at their next chunk, before the connections are closed."""
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        futures = [pool.submit(work, piece) for piece in pieces]
        wait(futures, return_when=FIRST_EXCEPTION)
        return _results(futures)
    finally:
        line.ended.set()
        pool.shutdown(cancel_futures=True)


def _results(futures: Sequence[Future[T]]) -> list[T]:
    """Raises what went wrong, rather than what ended because of it."""
    failures = [future.exception() for future in futures if future.done() and not future.cancelled()]
    for failure in failures:
        if failure is not None and not isinstance(failure, Stopped):
            raise failure
    return [future.result() for future in futures]


def refused(name: str, response: httpx.Response, what: str, moved: int = 0) -> Broken:
    """Storage said no: for good, for now, or because the URL is too old."""
    reason = TaskFailed(f"{name}: storage did not {what} it (HTTP {response.status_code})")
    passing = response.status_code in {408, 429} or response.status_code >= 500
    return Broken(reason, moved, denied=not passing)


def cut(name: str, error: Exception, what: str, url: str, moved: int = 0, *, kept: bool = False) -> Broken:
    """Names the host and never the whole URL: who has a presigned URL has the file."""
    words, host = str(error) or type(error).__name__, urlsplit(url).netloc
    return Broken(StorageUnreachable(f"{name}: storage at {host} did not {what} it: {words}"), moved, kept=kept)
