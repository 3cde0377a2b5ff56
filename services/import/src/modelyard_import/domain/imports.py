"""The life of one import: waiting → running → succeeded, failed or cancelled. Used by the event and job handlers."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from modelyard_contracts.calls.imports import ImportState, ImportView
from modelyard_contracts.events import Assembly
from modelyard_contracts.failures import Failure, Problem
from modelyard_contracts.shapes import Artifact, Location, ScanReport, Source
from modelyard_import.domain.resuming import FileState

FINAL: frozenset[ImportState] = frozenset({"succeeded", "failed", "cancelled"})
SILENT_MS: Final = 900_000
"""Far longer than any delivery of its job waits for the next one."""
MOST_ATTEMPTS: Final = 12
_MAX_LOG = 200


@dataclass(frozen=True, slots=True)
class LogLine:
    at: int
    text: str

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.at / 1000, UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{self.at % 1000:03d} {self.text}"


@dataclass(frozen=True, slots=True)
class Claim:
    """Who may work on the import, as `modelyard_store.claims` keeps it in the document."""

    attempt: int
    lease_until: int
    token: str
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """How one version comes in. Sizes are bytes, instants ms since 1970 UTC.

    `folder` is where the newest attempt writes, below `destination`. `pins` (a digest of the source objects) and
    `files` are what the next attempt needs to go on there; without `pins` there is nothing to go on with. From `due_at`
    on it has been silent for too long; None once it has ended.
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
    correlationid: str | None = None
    state: ImportState = "waiting"
    claim: Claim | None = None
    folder: int = 0
    pins: str | None = None
    files: tuple[FileState, ...] = ()
    deleted: bool = False
    due_at: int | None = None
    total_bytes: int | None = None
    copied_bytes: int = 0
    artifact: Artifact | None = None
    code: str | None = None
    reason: str | None = None
    problems: tuple[Problem, ...] = ()
    scan: ScanReport | None = None
    log: tuple[LogLine, ...] = ()
    finished_at: int | None = None

    @property
    def finished(self) -> bool:
        return self.state in FINAL

    @property
    def attempt(self) -> int:
        """Of the newest worker; 0 before the first."""
        return self.claim.attempt if self.claim else 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running attempt reports: bytes, the log lines it wrote since the last report, what its scan found."""

    total_bytes: int | None = None
    copied_bytes: int = 0
    lines: tuple[LogLine, ...] = ()
    scan: ScanReport | None = None
    pins: str | None = None
    files: tuple[FileState, ...] = ()


class Cancelled(Exception):  # noqa: N818 - a fact about the document, not a mistake
    """The version was deleted while its import was at work."""


def start(job: Import, *, now: int) -> Import:
    """A worker has claimed it, and goes on in the folder of the one before if that left word of how far it was."""
    if job.pins is None:
        job = begun_anew(job)
    again = "" if job.attempt <= 1 else f" again, attempt {job.attempt}: the one before did not end"
    return _logged(replace(job, state="running", due_at=now + SILENT_MS), (LogLine(now, f"started{again}"),))


def begun_anew(job: Import) -> Import:
    """In a folder of this attempt's own, with nothing in it. The former one is never named again, so whoever still
    writes there, or removes what lies there, does no harm."""
    return replace(job, folder=job.attempt, pins=None, files=(), copied_bytes=0)


def abandon(job: Import) -> Import:
    """Nobody shall go on in this folder: it is about to be emptied. Raises Cancelled."""
    _must_run(job)
    return replace(job, pins=None, files=())


def report(job: Import, progress: Progress, *, now: int) -> Import:
    """Raises Cancelled."""
    return replace(_with_progress(job, progress), due_at=now + SILENT_MS)


def interrupt(job: Import, progress: Progress, reason: str, *, now: int) -> Import:
    """The attempt ends without a result; another will follow. Raises Cancelled."""
    return _logged(_with_progress(job, progress), (LogLine(now, f"interrupted: {reason}"),))


def succeed(job: Import, progress: Progress, artifact: Artifact, *, now: int) -> Import:
    """Raises Cancelled."""
    done = _with_progress(job, progress)
    done = replace(
        done, state="succeeded", artifact=artifact, finished_at=now, copied_bytes=artifact.size,
        pins=None, files=(), due_at=None,
    )  # fmt: skip
    text = f"succeeded: {len(artifact.files)} files, {artifact.size} bytes, {artifact.digest}"
    return _logged(done, (LogLine(now, text),))


def fail(job: Import, progress: Progress, failure: Failure, *, now: int) -> Import:
    """Raises Cancelled."""
    done = _with_progress(job, progress)
    done = replace(
        done, state="failed", code=failure.code, reason=failure.message, problems=failure.problems, finished_at=now,
        pins=None, files=(), due_at=None,
    )  # fmt: skip
    return _logged(done, (LogLine(now, f"failed: {failure.code} {failure.message}"),))


def silent(job: Import, *, now: int) -> bool:
    """Whether nobody has taken care of it for so long that nobody will: its job has used up its deliveries."""
    return job.due_at is not None and job.due_at <= now


def held(job: Import, *, now: int) -> bool:
    return job.claim is not None and job.claim.lease_until > now


def look_later(job: Import, *, now: int) -> Import:
    """Somebody holds it for long."""
    return replace(job, due_at=now + SILENT_MS)


def revive(job: Import, *, now: int) -> Import:
    """It is about to be asked for once more."""
    line = LogLine(now, "nobody took care of it for a long time: asked for again")
    return _logged(replace(job, due_at=now + SILENT_MS), (line,))


def give_up(job: Import, failure: Failure, *, now: int) -> Import:
    """No attempt has ever come to an end."""
    return fail(replace(job, state="running"), Progress(copied_bytes=job.copied_bytes), failure, now=now)


def cancel(job: Import, *, now: int) -> Import:
    """The version is gone. A finished import stays what it was, with the mark that nothing of it may lie about."""
    job = replace(job, deleted=True)
    if job.finished:
        return job
    cancelled = replace(job, state="cancelled", reason="the version was deleted", finished_at=now, due_at=None)
    return _logged(cancelled, (LogLine(now, "cancelled: the version was deleted"),))


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
    )


def attempt_location(job: Import) -> Location:
    """Where the newest attempt writes, below the version's source folder: files are final where they first land
    (docs/adr/0002: no second copy). Two attempts share a folder only while they copy the same objects into it."""
    return Location(bucket=job.destination.bucket, prefix=f"{job.destination.prefix}{job.folder}/")


def _with_progress(job: Import, progress: Progress) -> Import:
    _must_run(job)
    if progress.pins is not None:
        job = replace(job, pins=progress.pins, files=progress.files)
    total = progress.total_bytes if progress.total_bytes is not None else job.total_bytes
    copied = progress.copied_bytes or job.copied_bytes  # none yet: it has not looked at what is there
    scan = progress.scan or job.scan
    return _logged(replace(job, total_bytes=total, copied_bytes=copied, scan=scan), progress.lines)


def _must_run(job: Import) -> None:
    if job.state != "running":
        raise Cancelled(f"import {job.import_id} is {job.state}")


def _logged(job: Import, lines: tuple[LogLine, ...]) -> Import:
    return replace(job, log=(*job.log, *lines)[-_MAX_LOG:])
