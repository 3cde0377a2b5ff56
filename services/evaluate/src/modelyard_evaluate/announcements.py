"""What a run tells the world when it changes. Used wherever runs are saved; the messages go out with the document."""

from typing import Any

from pydantic import BaseModel

from modelyard_contracts import catalogue, events
from modelyard_contracts.jobs import EvaluationJob
from modelyard_evaluate.domain.runs import Run
from modelyard_evaluate.tasks.table import task_of
from modelyard_store.aggregates import Say

Message = catalogue.Event[Any] | catalogue.Job[Any]


def created(run: Run) -> list[Say]:
    """The fact, and unless it failed at birth its task's job."""
    fact = events.EvaluationCreated(
        **_names(run), artifact_id=run.artifact_id, dataset_id=run.dataset_id, origin=run.origin
    )
    says = [_say(run, catalogue.EVALUATION_CREATED, fact)]
    if run.open:
        says.append(_say(run, task_of(run).job, EvaluationJob(run_id=run.run_id)))
    return says


def started(run: Run) -> Say:
    return _say(run, catalogue.EVALUATION_STARTED, events.EvaluationStarted(**_names(run), attempt=run.attempt))


def ended(run: Run) -> Say:
    """Succeeded, failed or stopped; with the competition entry it scored, if it did."""
    if run.state == "succeeded" and run.scores:
        fact = events.EvaluationSucceeded(
            **_names(run),
            artifact_id=run.artifact_id,
            target=run.target,
            dataset_id=run.dataset_id,
            samples=run.scores.samples,
            metrics=run.scores.metrics,
            entry_id=run.entry_id,
        )
        return _say(run, catalogue.EVALUATION_SUCCEEDED, fact)
    if run.state == "stopped":
        return _say(run, catalogue.EVALUATION_STOPPED, events.EvaluationStopped(**_names(run)))
    failed = events.EvaluationFailed(**_names(run), code=run.code or "", reason=run.reason or "", entry_id=run.entry_id)
    return _say(run, catalogue.EVALUATION_FAILED, failed)


def _names(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "evaluation_id": run.evaluation_id,
        "version": run.version,
        "model_id": run.model_id,
    }


def _say(run: Run, message: Message, data: BaseModel) -> Say:
    return Say(message, data, run.run_id, run.correlationid)
