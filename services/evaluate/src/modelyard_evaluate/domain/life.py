"""What may happen to a run: waiting → running → succeeded, failed or stopped, and what it says then. Used by calls,
events and the job; runs that have ended are kept from changing by whoever saves them."""

from dataclasses import replace
from typing import Any

from modelyard_contracts import events
from modelyard_contracts.catalogue import (
    EVALUATION_CREATED,
    EVALUATION_FAILED,
    EVALUATION_STARTED,
    EVALUATION_STOPPED,
    EVALUATION_SUCCEEDED,
    Job,
)
from modelyard_contracts.failures import Failure
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.outcome import Message, Outcome
from modelyard_evaluate.domain.runs import Run, Scores
from modelyard_evaluate.errors import VersionGone


def created(run: Run, job: Job[EvaluationJob] | None) -> Outcome[Run]:
    """With its task's job; one that was refused at birth says both at once and has none."""
    fact = events.EvaluationCreated(
        **_names(run), artifact_id=run.artifact_id, dataset_id=run.dataset_id, origin=run.origin
    )
    then = (job, EvaluationJob(run_id=run.run_id)) if run.open and job else _ended(run)
    return Outcome(run, ((EVALUATION_CREATED, fact), then))


def asked_again(run: Run, job: Job[EvaluationJob]) -> Outcome[Run]:
    """Nobody has taken care of it for a long time."""
    return Outcome(run, ((job, EvaluationJob(run_id=run.run_id)),))


def begun(run: Run) -> Outcome[Run]:
    """A worker has taken it."""
    running = replace(run, state="running", samples_done=0, reason=None)
    return Outcome(running, ((EVALUATION_STARTED, events.EvaluationStarted(**_names(run), attempt=run.attempt)),))


def reported(run: Run, samples_done: int) -> Run:
    return replace(run, samples_done=samples_done)


def let_go(run: Run, reason: str) -> Outcome[Run]:
    """Another attempt will follow."""
    return Outcome(replace(run, state="waiting", reason=f"to be tried again: {reason}"))


def succeeded(run: Run, scores: Scores, *, now: int) -> Outcome[Run]:
    done = replace(run, state="succeeded", scores=scores, finished_at=now, reason=None)
    return _told(replace(done, samples=scores.samples, samples_done=scores.samples))


def failed(run: Run, failure: Failure, *, now: int) -> Outcome[Run]:
    return _told(replace(run, state="failed", code=failure.code, reason=failure.message, finished_at=now))


def stopped(run: Run, reason: str, *, now: int) -> Outcome[Run]:
    """For good. The attempt that works on it finds out and gives up."""
    return _told(replace(run, state="stopped", reason=reason, finished_at=now))


def bereaved(run: Run, *, now: int) -> Outcome[Run]:
    """The version is gone. A competition waits for a verdict, so its run fails; any other is stopped. Only a mark
    stays of those that have ended."""
    gone = VersionGone()
    if not run.open:
        return deleted(run)
    end = failed(run, gone, now=now) if run.entry_id is not None else stopped(run, gone.message, now=now)
    return replace(end, value=deleted(end.value).value)


def deleted(run: Run) -> Outcome[Run]:
    """A mark stays, or a repeated event would make the run again."""
    return Outcome(replace(run, deleted=True, model=None, data=None, scores=None))


def _told(run: Run) -> Outcome[Run]:
    return Outcome(run, (_ended(run),))


def _ended(run: Run) -> Message:
    """Succeeded, failed or stopped; with the competition entry it scored, if it did."""
    if run.state == "succeeded" and run.scores:
        fact = events.EvaluationSucceeded(
            **_names(run),
            artifact_id=run.artifact_id,
            target=run.target,
            dataset_id=run.dataset_id,
            dataset_name=run.data.name if run.data and not run.data.hidden else None,
            samples=run.scores.samples,
            metrics=run.scores.metrics,
            entry_id=run.entry_id,
        )
        return EVALUATION_SUCCEEDED, fact
    if run.state == "stopped":
        return EVALUATION_STOPPED, events.EvaluationStopped(**_names(run))
    code, reason = run.code or "", run.reason or ""
    return EVALUATION_FAILED, events.EvaluationFailed(**_names(run), code=code, reason=reason, entry_id=run.entry_id)


def _names(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "evaluation_id": run.evaluation_id,
        "version": run.version,
        "model_id": run.model_id,
    }
