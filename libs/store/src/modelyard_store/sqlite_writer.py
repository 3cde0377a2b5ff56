"""The one thread of a process that writes to its SQLite file, for `sqlite`.

Writers of one process would only queue for the file's lock and each pay an fsync; here whatever waits is committed in
one transaction, and every caller hears of it after the commit. Other processes may write to the same file: the lock
is polled in short random steps, because SQLite's own waiting (up to 100 ms a step) starves whoever came first.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from modelyard_store.documents import StoreUnavailable

T = TypeVar("T")
_BUSY_SECONDS = 10.0
_STILL_BUSY_SECONDS = 0.3
"""Once a lock was waited for in vain, until it is had again: nobody else needs to wait to be told."""
_MOST_AT_ONCE = 256  # bounds how long other processes wait for the lock


class _Job(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"


_Outcome = tuple[Any, Exception | None]


class Writer:
    """Commits a queue at a time. `submit` is for event loops; the thread ends with `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=f"writes {path.name}", daemon=True)
        self._closed = False
        self._patience = _BUSY_SECONDS
        self.damage: str | None = None
        """What was found wrong with the file itself; it does not heal."""

    def start(self) -> None:
        """Blocks. Raises sqlite3.Error when the file cannot be opened."""
        self._connection = connect(self._path)
        self._connection.execute("PRAGMA busy_timeout=0")
        _patiently(lambda: self._connection.execute("PRAGMA journal_mode=WAL"), _BUSY_SECONDS)
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("PRAGMA journal_size_limit=67108864")
        self._thread.start()

    async def submit(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Run one function in a transaction and return once it is on the disk.

        It must fail, if at all, at its first statement that writes. Raises what it raises, and StoreUnavailable.
        """
        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(run, loop, done))
        return await done

    def close(self) -> None:
        """Blocks until what was submitted is committed."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._connection.close()

    def _work(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs = [first]
            while len(jobs) < _MOST_AT_ONCE and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    self._jobs.put(None)
                    break
                jobs.append(following)
            _tell(jobs, self._commit(jobs))

    def _commit(self, jobs: Sequence[_Job]) -> list[_Outcome]:
        try:
            self._begin()
            outcomes = [_attempt(job, self._connection) for job in jobs]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.damage = self.damage or damage_in(error)
            with suppress(sqlite3.Error):  # some errors have rolled back already
                self._connection.execute("ROLLBACK")
            hint = "; another process may hold its lock" if _is_busy(error) else ""
            return [(None, StoreUnavailable(f"{self._path}: {error}{hint}"))] * len(jobs)
        return outcomes

    def _begin(self) -> None:
        try:
            _patiently(lambda: self._connection.execute("BEGIN IMMEDIATE"), self._patience)
        except sqlite3.Error as error:
            if _is_busy(error):
                self._patience = _STILL_BUSY_SECONDS
            raise
        self._patience = _BUSY_SECONDS


def damage_in(error: sqlite3.Error) -> str | None:
    """What the error says is wrong with the file itself, None when it tells of something else."""
    return str(error) if _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else None


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.create_function("lower_text", 1, _lower, deterministic=True)
    return connection


def _lower(value: object) -> str | None:
    return value.lower() if isinstance(value, str) else None


def _attempt(job: _Job, connection: sqlite3.Connection) -> _Outcome:
    try:
        return job.run(connection), None
    except sqlite3.Error:
        raise  # the disk, not the job: nobody in this transaction can be told "done"
    except Exception as error:  # noqa: BLE001 - carried to the caller, who waits for it
        return None, error


def _patiently(step: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0003, 0.003))  # noqa: S311 - spread, not secrecy
        else:
            return


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # an error of the module itself has none


def _tell(jobs: Sequence[_Job], outcomes: Sequence[_Outcome]) -> None:
    for loop in {job.loop for job in jobs}:
        mine = [(job.done, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _settle(outcomes: Sequence[tuple["asyncio.Future[Any]", _Outcome]]) -> None:
    for done, (result, error) in outcomes:
        if done.cancelled():
            continue
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)
