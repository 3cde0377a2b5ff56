"""The life of one conversion: initialising → running → succeeded or failed. Pure; the handlers load and save."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelyard_contracts.calls.convert import ConversionState, ConversionView, LogPiece
from modelyard_contracts.catalogue import (
    CONVERSION_CREATED,
    CONVERSION_FAILED,
    CONVERSION_STARTED,
    CONVERSION_SUCCEEDED,
    Job,
)
from modelyard_contracts.events import ConversionCreated, ConversionFailed, ConversionStarted, ConversionSucceeded
from modelyard_contracts.failures import Failure
from modelyard_contracts.ids import derived_id
from modelyard_contracts.jobs import ConversionJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Artifact, Benchmark, ConversionOrder, FileEntry, Location, Parity

UNFINISHED: tuple[ConversionState, ...] = ("initialising", "running")
LOG_KEPT = 64 * 1024  # characters; the whole log of a success is job_log.txt beside its model


@dataclass(frozen=True, slots=True)
class Conversion:
    """Instants are ms since 1970 UTC. `log_start`: characters of the log that were forgotten. `kept_files`: of a result
    that failed its proof, in the place of its attempt until `kept_until`."""

    conversion_id: str
    project: str
    model_id: str
    model_name: str
    model_version: str
    name: str
    description: str
    order: ConversionOrder
    toolchain: str
    origin: str
    created_at: int
    correlationid: str
    request_digest: str = ""
    state: ConversionState = "initialising"
    attempt: int = 0
    progress: str | None = None
    code: str | None = None
    reason: str | None = None
    artifact: Artifact | None = None
    parity: Parity | None = None
    benchmark: Benchmark | None = None
    log: str = ""
    log_start: int = 0
    finished_at: int | None = None
    kept_files: tuple[FileEntry, ...] = ()
    kept_until: int | None = None

    @property
    def finished(self) -> bool:
        return self.state not in UNFINISHED


def created(conversion: Conversion, job: Job[ConversionJob]) -> Outcome[Conversion]:
    said = ConversionCreated(
        conversion_id=conversion.conversion_id,
        model_id=conversion.model_id,
        target=conversion.order.target,
        origin="plan" if conversion.origin == "plan" else "request",
    )
    work = ConversionJob(conversion_id=conversion.conversion_id)
    return Outcome(conversion, ((CONVERSION_CREATED, said), (job, work)))


def unoffered(conversion: Conversion) -> Conversion:
    """It waits for a worker, and says so."""
    return replace(conversion, progress=f"no worker offers `{conversion.toolchain}` now; it waits for one")


def asked_again(conversion: Conversion, job: Job[ConversionJob]) -> Outcome[Conversion]:
    """Nobody has taken care of it for a long time."""
    waiting = _logged(conversion, ("nobody took care of it for a long time: asked for again",))
    return Outcome(waiting, ((job, ConversionJob(conversion_id=conversion.conversion_id)),))


def refused(conversion: Conversion, failure: Failure, *, now: int) -> Outcome[Conversion]:
    """A planned conversion that cannot be done: kept, so that people see why."""
    return failed(conversion, failure, now=now)


def begun(conversion: Conversion) -> Outcome[Conversion]:
    """A worker has claimed it."""
    running = replace(conversion, state="running", progress="fetching the source")
    running = _logged(running, (heading(conversion),))
    said = ConversionStarted(
        conversion_id=conversion.conversion_id,
        model_id=conversion.model_id,
        target=conversion.order.target,
        attempt=conversion.attempt,
    )
    return Outcome(running, ((CONVERSION_STARTED, said),))


def heading(conversion: Conversion) -> str:
    """First line of an attempt's log."""
    target = conversion.order.target
    return f"attempt {conversion.attempt}: {conversion.model_name} {conversion.model_version} to {target}"


def reported(conversion: Conversion, lines: Sequence[str], progress: str | None) -> Conversion:
    return replace(_logged(conversion, lines), progress=progress or conversion.progress)


def let_go(conversion: Conversion, reason: str) -> Outcome[Conversion]:
    """Another attempt will follow."""
    return Outcome(replace(_logged(conversion, (f"{reason}; it is tried once more",)), progress="waiting for a worker"))


def succeeded(conversion: Conversion, artifact: Artifact, *, now: int) -> Outcome[Conversion]:
    done = replace(conversion, state="succeeded", progress=None, artifact=artifact, finished_at=now)
    said = ConversionSucceeded(
        conversion_id=done.conversion_id, model_id=done.model_id, target=done.order.target, artifact=artifact
    )
    return Outcome(done, ((CONVERSION_SUCCEEDED, said),))


def failed(
    conversion: Conversion,
    failure: Failure,
    *,
    now: int,
    parity: Parity | None = None,
    benchmark: Benchmark | None = None,
    kept_files: tuple[FileEntry, ...] = (),
    kept_until: int | None = None,
) -> Outcome[Conversion]:
    done = replace(
        _logged(conversion, (f"failed: {failure.code} {failure.message}",)),
        state="failed",
        progress=None,
        code=failure.code,
        reason=failure.message,
        parity=parity,
        benchmark=benchmark,
        kept_files=kept_files,
        kept_until=kept_until,
        finished_at=now,
    )
    said = ConversionFailed(
        conversion_id=done.conversion_id,
        model_id=done.model_id,
        target=done.order.target,
        code=failure.code,
        reason=failure.message,
    )
    return Outcome(done, ((CONVERSION_FAILED, said),))


def forgotten(conversion: Conversion) -> Outcome[Conversion]:
    """Its failed result is gone."""
    return Outcome(replace(conversion, kept_files=(), kept_until=None))


def why_kept(conversion: Conversion) -> str | None:
    """Why it cannot be deleted, None when it can."""
    return None if conversion.finished else f"it is {conversion.state}; only finished conversions can be deleted"


def artifact_id_of(conversion_id: str, attempt: int) -> str:
    """Another one for every attempt, so that the output of a late one never mixes with its successor's."""
    return derived_id(conversion_id, "attempt", str(attempt))


def output_location(conversion: Conversion, attempt: int, bucket: str) -> Location:
    artifact_id = artifact_id_of(conversion.conversion_id, attempt)
    prefix = f"{conversion.project}/models/{conversion.model_id}/variants/{artifact_id}/"
    return Location(bucket=bucket, prefix=prefix)


def log_piece(conversion: Conversion, offset: int) -> LogPiece:
    """What was logged after `offset` characters. What was forgotten is said once."""
    forgotten = conversion.log_start > offset
    text = conversion.log[max(0, offset - conversion.log_start) :]
    if forgotten:
        text = f"[{conversion.log_start - offset} characters are not kept here]\n{text}"
    end = conversion.log_start + len(conversion.log)
    return LogPiece(text=text, next_offset=max(offset, end), complete=conversion.finished)


def view(conversion: Conversion) -> ConversionView:
    return ConversionView(
        conversion_id=conversion.conversion_id,
        model_id=conversion.model_id,
        model_name=conversion.model_name,
        model_version=conversion.model_version,
        name=conversion.name,
        description=conversion.description,
        order=conversion.order,
        toolchain=conversion.toolchain,
        origin="plan" if conversion.origin == "plan" else "request",
        state=conversion.state,
        attempt=conversion.attempt,
        progress=conversion.progress,
        code=conversion.code,
        reason=conversion.reason,
        artifact=_shown_artifact(conversion),
        kept_until=conversion.kept_until,
        created_at=conversion.created_at,
        finished_at=conversion.finished_at,
    )


def _shown_artifact(conversion: Conversion) -> dict[str, Any] | None:
    if conversion.artifact:
        return conversion.artifact.model_dump(mode="json")
    numbers = {"parity": conversion.parity, "benchmark": conversion.benchmark}
    return {name: value.model_dump(mode="json") for name, value in numbers.items() if value} or None


def _logged(conversion: Conversion, lines: Sequence[str]) -> Conversion:
    text = conversion.log + "".join(f"{line}\n" for line in lines)
    over = max(0, len(text) - LOG_KEPT)
    return replace(conversion, log=text[over:], log_start=conversion.log_start + over)
