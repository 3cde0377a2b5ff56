"""Training runs and the rules that turn them into versions. Used by the training event, its call and the match job."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from modelyard_contracts.calls.imports import RuleVerdict, RuleView, TrainingJobView
from modelyard_contracts.calls.version import CreateVersion
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Location, Plan, TrainingRef, TrainingSource
from modelyard_import.domain.training_names import matches

RunStatus = Literal["completed", "failed", "stopped"]
_ENDED = {"failed": "failed", "stopped": "was stopped"}


@dataclass(frozen=True, slots=True)
class Rule:
    """`job_name` is a glob; every metric named in `min_metrics` must be reached."""

    rule_id: str
    project: str
    name: str
    job_name: str
    min_metrics: dict[str, float]
    model_name: str
    labels: tuple[str, ...]
    plan: Plan
    created_at: int
    created_by: str
    request_digest: str


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One run of one training job. `matched` once the rules have been applied; they are applied once only."""

    training_job_id: str
    project: str
    event_id: str
    status: RunStatus
    training: TrainingRef
    output: Location
    received_at: int
    job_name: str
    matched: bool = False
    correlationid: str | None = None
    imports: tuple[dict[str, str], ...] = ()
    refusals: tuple[dict[str, Any], ...] = ()


def training_job_id(project: str, completed: TrainingCompleted) -> str:
    return derived_id(project, "training-job", completed.job_id, completed.job_version)


def training_job(
    project: str, event_id: str, completed: TrainingCompleted, *, now: int, correlationid: str | None
) -> TrainingJob:
    """A run that failed or was stopped is kept for the record and has nothing to match."""
    return TrainingJob(
        training_job_id=training_job_id(project, completed),
        project=project,
        event_id=event_id,
        status=completed.status,
        training=_reference(completed),
        output=completed.output,
        received_at=now,
        job_name=completed.job_name,
        matched=completed.status != "completed",
        correlationid=correlationid,
    )


def same_report(kept: TrainingJob, other: TrainingJob) -> bool:
    return (kept.status, kept.training, kept.output) == (other.status, other.training, other.output)


def wants(rule: Rule, run: TrainingJob) -> bool:
    """Whether the rule is about this training job at all."""
    return matches(rule.job_name, run.job_name)


def shortfall(rule: Rule, run: TrainingJob) -> str | None:
    """Why a run that the rule is about is not good enough for it; None when it is. An unreported metric, or one that
    is not a number, reaches nothing."""
    for metric, least in sorted(rule.min_metrics.items()):
        value = run.training.metrics.get(metric)
        if value is None:
            return f"the run reported no metric {metric!r}; the rule asks for at least {least}"
        if not value >= least:
            return f"metric {metric!r} is {value}; the rule asks for at least {least}"
    return None


def verdict(rule: Rule, run: TrainingJob) -> RuleVerdict | None:
    """What the rule would make of the run; None when it is not about it at all."""
    if not wants(rule, run):
        return None
    reason = shortfall(rule, run) if run.status == "completed" else f"the run {_ENDED[run.status]}"
    return RuleVerdict(
        training_job_id=run.training_job_id,
        job_name=run.job_name,
        job_version=run.training.job_version,
        metrics=run.training.metrics,
        received_at=run.received_at,
        taken=reason is None,
        reason=reason,
    )


def version_for(rule: Rule, run: TrainingJob) -> CreateVersion:
    return CreateVersion(
        model_name=rule.model_name,
        source=TrainingSource(training_job_id=run.training_job_id),
        labels=rule.labels,
        plan=rule.plan,
    )


def creation_key(rule: Rule, run: TrainingJob) -> str:
    """However often the rules are applied to a run, each makes one version."""
    return derived_id(run.event_id, rule.rule_id)


def matched(run: TrainingJob, imports: tuple[dict[str, str], ...], refusals: tuple[dict[str, Any], ...]) -> TrainingJob:
    """The outcome of the rules; whoever comes second changes nothing."""
    return run if run.matched else replace(run, matched=True, imports=imports, refusals=refusals)


def refusal_of(rule: Rule, code: str, reason: str) -> dict[str, Any]:
    return {"rule_id": rule.rule_id, "rule": rule.name, "code": code, "reason": reason}


def training_job_view(run: TrainingJob) -> TrainingJobView:
    return TrainingJobView(
        training_job_id=run.training_job_id,
        status=run.status,
        training=run.training,
        output=run.output,
        imports=run.imports,
        refusals=run.refusals,
        received_at=run.received_at,
    )


def rule_view(rule: Rule) -> RuleView:
    return RuleView(
        rule_id=rule.rule_id,
        name=rule.name,
        job_name=rule.job_name,
        min_metrics=rule.min_metrics,
        model_name=rule.model_name,
        labels=rule.labels,
        plan=rule.plan,
        created_at=rule.created_at,
        created_by=rule.created_by,
    )


def _reference(completed: TrainingCompleted) -> TrainingRef:
    return TrainingRef(
        job_id=completed.job_id,
        job_name=completed.job_name,
        job_version=completed.job_version,
        framework=completed.framework,
        metrics=completed.metrics,
        parameters=completed.parameters,
        dataset=completed.dataset,
        code=completed.code,
        started_at=_milliseconds(completed.started_at),
        finished_at=_milliseconds(completed.finished_at),
        warnings=completed.warnings,
    )


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
