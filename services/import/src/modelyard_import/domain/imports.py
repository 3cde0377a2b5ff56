"""The life of one import: waiting → running → succeeded, failed or cancelled. Used by the event and job handlers."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from modelyard_contracts.calls.imports import ImportState, ImportView
from modelyard_contracts.catalogue import IMPORT_FAILED, IMPORT_FETCH, IMPORT_STARTED, IMPORT_SUCCEEDED
from modelyard_contracts.events import Assembly, ImportFailed, ImportStarted, ImportSucceeded, Original
from modelyard_contracts.failures import Failure, Problem
from modelyard_contracts.jobs import ImportJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Artifact, Declared, Location, ScanReport, Source
from modelyard_import.domain.resuming import FileState

OPEN: Final[tuple[ImportState, ...]] = ("waiting", "running")
_MAX_LOG: Final = 200
NOTHING_DECLARED: Final = Declared()


@dataclass(frozen=True, slots=True)
class LogLine:
    at: int
    text: str

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.at / 1000, UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{self.at % 1000:03d} {self.text}"


@dataclass(frozen=True, slots=True)
class Import:
    """How one version comes in. Sizes are bytes, instants ms since 1970 UTC. `waits_for`: why the last attempt ended
    without a result, until one has got further.

    `folder` is where the newest attempt writes, below `destination`. `pins` (a digest of the source objects) and
    `files` are what the next attempt needs to go on there; without `pins` there is nothing to go on with. `brought` are
    the artifacts beside the source that a promotion has copied.
    """

    import_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    source: Source
    destination: Location
    created_at: int
    assembly: Assembly | None = None
    declared: Declared = NOTHING_DECLARED
    original: Original | None = None
    correlationid: str | None = None
    state: ImportState = "waiting"
    attempt: int = 0
    folder: int = 0
    pins: str | None = None
    files: tuple[FileState, ...] = ()
    deleted: bool = False
    total_bytes: int | None = None
    copied_bytes: int = 0
    artifact: Artifact | None = None
    brought: tuple[Artifact, ...] = ()
    code: str | None = None
    reason: str | None = None
    problems: tuple[Problem, ...] = ()
    scan: ScanReport | None = None
    log: tuple[LogLine, ...] = ()
    finished_at: int | None = None
    waits_for: str | None = None

    @property
    def finished(self) -> bool:
        return self.state not in OPEN


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running attempt reports: bytes, the log lines it wrote since the last report, what its scan found."""

    total_bytes: int | None = None
    copied_bytes: int = 0
    lines: tuple[LogLine, ...] = ()
    scan: ScanReport | None = None
    pins: str | None = None
    files: tuple[FileState, ...] = ()


def asked(job: Import) -> Outcome[Import]:
    """With its job. Sent twice, the second one finds the import held, or ended."""
    return Outcome(job, ((IMPORT_FETCH, ImportJob(import_id=job.import_id)),))


def asked_again(job: Import, *, now: int) -> Outcome[Import]:
    """Nobody has taken care of it for a long time."""
    return asked(_logged(job, (LogLine(now, "nobody took care of it for a long time: asked for again"),)))


def start(job: Import, *, now: int) -> Outcome[Import]:
    """A worker has claimed it, and goes on in the folder of the one before if that left word of how far it was."""
    if job.pins is None:
        job = begun_anew(job)
    again = "" if job.attempt <= 1 else f" again, attempt {job.attempt}: the one before did not end"
    started = _logged(replace(job, state="running"), (LogLine(now, f"started{again}"),))
    fact = ImportStarted(import_id=job.import_id, model_id=job.model_id)
    return Outcome(started, ((IMPORT_STARTED, fact),) if job.attempt == 1 else ())


def begun_anew(job: Import) -> Import:
    """In a folder of this attempt's own, with nothing in it. The former one is never named again, so whoever still
    writes there, or removes what lies there, does no harm."""
    return replace(job, folder=job.attempt, pins=None, files=(), copied_bytes=0)


def abandon(job: Import) -> Import:
    """Nobody shall go on in this folder: it is about to be emptied."""
    return replace(job, pins=None, files=())


def report(job: Import, progress: Progress) -> Import:
    if progress.pins is not None:
        job = replace(job, pins=progress.pins, files=progress.files)
    total = progress.total_bytes if progress.total_bytes is not None else job.total_bytes
    copied = progress.copied_bytes or job.copied_bytes  # none yet: it has not looked at what is there
    scan, waits_for = progress.scan or job.scan, job.waits_for
    if (total, copied) != (job.total_bytes, job.copied_bytes):
        waits_for = None
    return _logged(replace(job, total_bytes=total, copied_bytes=copied, scan=scan, waits_for=waits_for), progress.lines)


def interrupt(job: Import, reason: str, *, now: int) -> Outcome[Import]:
    """The attempt ends without a result; another will follow."""
    return Outcome(_logged(replace(job, waits_for=reason), (LogLine(now, f"interrupted: {reason}"),)))


def succeed(job: Import, fact: ImportSucceeded, *, now: int) -> Outcome[Import]:
    artifact = fact.artifact
    every = (artifact, *fact.artifacts)
    files, size = sum(len(each.files) for each in every), sum(each.size for each in every)
    done = replace(
        job, state="succeeded", artifact=artifact, brought=fact.artifacts, finished_at=now, copied_bytes=size,
        pins=None, files=(),
    )  # fmt: skip
    text = f"succeeded: {files} files, {size} bytes, {artifact.digest}"
    return Outcome(_logged(done, (LogLine(now, text),)), ((IMPORT_SUCCEEDED, fact),))


def fail(job: Import, failure: Failure, *, now: int) -> Outcome[Import]:
    done = replace(
        job, state="failed", code=failure.code, reason=failure.message, problems=failure.problems, finished_at=now,
        pins=None, files=(),
    )  # fmt: skip
    fact = ImportFailed(
        import_id=job.import_id,
        model_id=job.model_id,
        code=failure.code,
        reason=failure.message,
        problems=tuple(problem.model_dump() for problem in failure.problems),
        scan=job.scan,
    )
    failed = _logged(done, (LogLine(now, f"failed: {failure.code} {failure.message}"),))
    return Outcome(failed, ((IMPORT_FAILED, fact),))


def cancel(job: Import, *, now: int) -> Outcome[Import]:
    """The version is gone. A finished import stays what it was, with the mark that nothing of it may lie about."""
    job = replace(job, deleted=True)
    if job.finished:
        return Outcome(job)
    cancelled = replace(job, state="cancelled", reason="the version was deleted", finished_at=now)
    return Outcome(_logged(cancelled, (LogLine(now, "cancelled: the version was deleted"),)))


def view(job: Import) -> ImportView:
    return ImportView(
        import_id=job.import_id,
        model_id=job.model_id,
        state=job.state,
        attempt=job.attempt,
        total_bytes=job.total_bytes,
        copied_bytes=job.copied_bytes,
        code=job.code,
        reason=job.reason,
        problems=job.problems,
        scan=job.scan,
        log=tuple(str(line) for line in job.log),
        created_at=job.created_at,
        finished_at=job.finished_at,
        waits_for=None if job.finished else job.waits_for,
    )


def attempt_location(job: Import) -> Location:
    """Where the newest attempt writes, below the version's source folder: files are final where they first land
    (docs/adr/0002: no second copy). Two attempts share a folder only while they copy the same objects into it."""
    return Location(bucket=job.destination.bucket, prefix=f"{job.destination.prefix}{job.folder}/")


def _logged(job: Import, lines: tuple[LogLine, ...]) -> Import:
    return replace(job, log=(*job.log, *lines)[-_MAX_LOG:])
