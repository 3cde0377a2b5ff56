"""Runs reported by event and by call, and what rules make of them. No servers: the version service is played."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from modelyard_bus.calls import CallClient
from modelyard_bus.consume import Reject, Retry
from modelyard_contracts.calls import version
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import (
    CompleteTraining,
    CreateRule,
    GetRule,
    GetTrainingJob,
    ListTrainingJobs,
    RuleView,
)
from modelyard_contracts.catalogue import IMPORT_MATCH, TRAINING_COMPLETED
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.failures import Code, Failure, FailureKind
from modelyard_contracts.ids import derived_id
from modelyard_contracts.jobs import MatchJob
from modelyard_contracts.shapes import Role
from modelyard_import.handlers.rules import RuleCalls
from modelyard_import.handlers.training import TrainingHandlers
from modelyard_import.repository import TRAINING_JOBS, Repository
from modelyard_store.outbox import Outbox
from modelyard_store.sqlite import SqliteDocuments

REPORT: dict[str, Any] = {
    "job_id": "j1",
    "job_name": "digits-nightly",
    "job_version": "V001",
    "status": "completed",
    "output": {"bucket": "training", "prefix": "digits/V001/"},
    "metrics": {"accuracy": 0.97},
}


@dataclass
class Versions:
    """The version service: the same key makes the same version."""

    failure: Failure | None = None
    asked: list[tuple[CallContext, version.CreateVersion]] = field(default_factory=list)

    async def __call__(self, call: Any, context: CallContext, request: version.CreateVersion) -> Any:
        assert call is version.CREATE
        self.asked.append((context, request))
        if self.failure is not None:
            raise self.failure
        model_id = derived_id(str(context.idempotency_key))
        return version.VersionCreated(model_id=model_id, model_name=request.model_name, model_version="0.0.1")


@dataclass
class Desk:
    documents: SqliteDocuments
    versions: Versions
    training: TrainingHandlers
    rules: RuleCalls

    async def jobs(self) -> list[Envelope]:
        pending = await Outbox(self.documents, TRAINING_JOBS).pending(100)
        return [Envelope.model_validate(message.envelope) for each in pending for message in each.messages]

    async def match(self) -> Any:
        """Deliver the last match job and show the run."""
        job = (await self.jobs())[-1]
        await self.training.match(job, MatchJob.model_validate(job.data))
        return await self.training.get(by(), GetTrainingJob(training_job_id=job.data["training_job_id"]))

    async def rule(self, name: str = "digits", **more: Any) -> RuleView:
        values = {"name": name, "job_name": "digits-*", "model_name": "digits", **more}
        return await self.rules.create(by(), CreateRule.model_validate(values))


def by(project: str = "p", key: str | None = None) -> CallContext:
    return CallContext(project=project, actor="me", role=Role.WRITER, correlationid="c", idempotency_key=key)


def event(**changes: Any) -> tuple[Envelope, TrainingCompleted]:
    data = REPORT | changes
    subject = TRAINING_COMPLETED.subject
    envelope = Envelope(id="event-1", source="trainer", type=subject, subject="j1", project="p", data=data)
    return envelope, TrainingCompleted.model_validate(data)


@pytest.fixture
def desk(documents: SqliteDocuments) -> Desk:
    versions = Versions()
    repository = Repository(documents, lambda: None, lambda: 0)
    training = TrainingHandlers(repository, cast(CallClient, versions), lambda: 5)
    return Desk(documents, versions, training, RuleCalls(repository, lambda: 5))


async def test_an_event_becomes_a_version_by_rule(desk: Desk) -> None:
    rule = await desk.rule(min_metrics={"accuracy": 0.9}, labels=["auto"], plan={"convert": [{"target": "onnx-int8"}]})
    await desk.training.heard(*event())
    [job] = await desk.jobs()
    assert (job.type, job.correlationid, job.causationid) == (IMPORT_MATCH.subject, "event-1", "event-1")
    shown = await desk.match()
    [(context, request)] = desk.versions.asked
    assert shown.imports == ({"rule_id": rule.rule_id, "model_id": derived_id(str(context.idempotency_key))},)
    assert (context.project, context.actor, context.correlationid) == ("p", "service:import", "event-1")
    assert (request.model_name, request.labels, request.plan.convert[0].target) == ("digits", ("auto",), "onnx-int8")


async def test_the_same_report_twice_changes_nothing_and_another_is_refused(desk: Desk) -> None:
    await desk.training.heard(*event())
    await desk.training.heard(*event())
    assert len(await desk.jobs()) == 1
    with pytest.raises(Reject, match="already reported with other content"):
        await desk.training.heard(*event(metrics={"accuracy": 0.1}))


async def test_event_and_call_about_one_run_are_one_report(desk: Desk) -> None:
    await desk.training.heard(*event())
    completed = TrainingCompleted.model_validate(REPORT)
    view = await desk.training.complete(by(), CompleteTraining(event_id="other", completed=completed))
    assert (view.status, len(await desk.jobs())) == ("completed", 1)
    changed = completed.model_copy(update={"status": "failed"})
    with pytest.raises(Failure) as refused:
        await desk.training.complete(by(), CompleteTraining(event_id="other", completed=changed))
    assert refused.value.kind is FailureKind.CONFLICT


async def test_rules_that_do_not_take_a_run_say_why_or_stay_silent(desk: Desk) -> None:
    await desk.rule("strict", min_metrics={"accuracy": 0.99})
    await desk.rule("elsewhere", job_name="cats-*")
    await desk.training.heard(*event())
    shown = await desk.match()
    assert shown.imports == ()
    [refusal] = shown.refusals
    assert (refusal["rule"], refusal["code"]) == ("strict", "below-minimum")
    assert "0.97" in refusal["reason"]


async def test_a_definite_refusal_is_kept_and_the_other_rules_go_on(desk: Desk) -> None:
    await desk.rule("a")
    await desk.training.heard(*event())
    desk.versions.failure = Failure(FailureKind.CONFLICT, Code("ModelArts.3002"), "exists")
    shown = await desk.match()
    assert [(refusal["code"], refusal["reason"]) for refusal in shown.refusals] == [("ModelArts.3002", "exists")]


async def test_an_absent_version_service_loses_nothing(desk: Desk) -> None:
    await desk.rule()
    await desk.training.heard(*event())
    desk.versions.failure = Failure(FailureKind.UNAVAILABLE, Code("ModelArts.9001"), "no worker answers version.create")
    with pytest.raises(Retry, match="no worker"):
        await desk.match()
    desk.versions.failure = None
    assert len((await desk.match()).imports) == 1


async def test_the_rules_of_a_run_are_applied_once(desk: Desk) -> None:
    await desk.rule()
    await desk.training.heard(*event())
    first = await desk.match()
    await desk.rule("later")
    assert await desk.match() == first
    assert len(desk.versions.asked) == 1


@pytest.mark.parametrize("status", ["failed", "stopped"])
async def test_a_run_without_result_is_kept_and_never_matched(desk: Desk, status: str) -> None:
    await desk.rule()
    await desk.training.heard(*event(status=status))
    assert await desk.jobs() == []
    page = await desk.training.list(by(), ListTrainingJobs())
    assert [run.status for run in page.training_jobs] == [status]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "not a finite number"),
        (float("-inf"), "not a finite number"),
        ("NaN", '"NaN" is not a number'),
        ("1e400", '"1e400" is not a number'),
        ("0.5", '"0.5" is not a number'),
        (True, "true is not a number"),
        (None, "null is not a number"),
        (10**400, "larger than any"),
    ],
)
async def test_a_metric_that_is_no_number_is_left_out_and_told(desk: Desk, value: Any, words: str) -> None:
    await desk.rule()
    await desk.training.heard(*event(metrics={"loss": value, "accuracy": 0.97}))
    run = (await desk.training.list(by(), ListTrainingJobs())).training_jobs[0].training
    assert run.metrics == {"accuracy": 0.97}
    [warning] = run.warnings
    assert warning.startswith("metrics.loss: ")
    assert words in warning
    assert len((await desk.match()).imports) == 1


async def test_a_parameter_that_no_store_keeps_is_kept_as_a_text(desk: Desk) -> None:
    parameters = {"clip": float("inf"), "seeds": [1, 2**70], "rate": 0.1}
    await desk.training.heard(*event(parameters=parameters))
    run = (await desk.training.list(by(), ListTrainingJobs())).training_jobs[0].training
    assert run.parameters == {"clip": "inf", "seeds": [1, str(2**70)], "rate": 0.1}
    assert [warning.partition(":")[0] for warning in run.warnings] == ["parameters.clip", "parameters.seeds.1"]


async def test_too_many_parameters_do_not_lose_the_run(desk: Desk) -> None:
    await desk.rule()
    await desk.training.heard(*event(parameters={"seen": "x" * 900_000, "clip": float("inf")}, metrics={"a": 1.0}))
    run = (await desk.training.list(by(), ListTrainingJobs())).training_jobs[0].training
    assert run.parameters == {}
    [warning] = run.warnings
    assert "900,030 bytes of JSON, at most 262,144" in warning
    assert warning.endswith("left out")


async def test_runs_are_listed_newest_first_and_only_the_projects_own(desk: Desk) -> None:
    for number in (1, 2):
        await desk.training.heard(*event(job_version=f"V00{number}", job_name=f"job-{number}"))
    page = await desk.training.list(by(), ListTrainingJobs(limit=1))
    assert (page.total_count, page.count) == (2, 1)
    named = await desk.training.list(by(), ListTrainingJobs(job_name="job-2"))
    assert [run.training.job_name for run in named.training_jobs] == ["job-2"]
    assert (await desk.training.list(by("other"), ListTrainingJobs())).total_count == 0
    asked = GetTrainingJob(training_job_id=named.training_jobs[0].training_job_id)
    with pytest.raises(Failure) as refused:
        await desk.training.get(by("other"), asked)
    assert refused.value.kind is FailureKind.NOT_FOUND


async def test_rule_names_are_unique_in_a_project(desk: Desk) -> None:
    await desk.rule()
    with pytest.raises(Failure, match="exists already") as refused:
        await desk.rule(model_name="other")
    assert refused.value.problems[0].field == "name"
    other = CreateRule(name="digits", job_name="*", model_name="digits")
    assert (await desk.rules.create(by("other"), other)).name == "digits"


async def test_an_idempotency_key_meets_what_it_made(desk: Desk) -> None:
    request = CreateRule(name="a", job_name="*", model_name="digits")
    first = await desk.rules.create(by(key="k"), request)
    assert await desk.rules.create(by(key="k"), request) == first
    with pytest.raises(Failure, match="another request"):
        await desk.rules.create(by(key="k"), request.model_copy(update={"name": "b"}))


async def test_a_deleted_rule_is_gone_and_strangers_cannot_delete(desk: Desk) -> None:
    rule = await desk.rule()
    with pytest.raises(Failure, match="does not exist"):
        await desk.rules.delete(by("other"), GetRule(rule_id=rule.rule_id))
    await desk.rules.delete(by(), GetRule(rule_id=rule.rule_id))
    assert (await desk.rules.list(by(), Nothing())).rules == ()
    with pytest.raises(Failure, match="does not exist"):
        await desk.rules.delete(by(), GetRule(rule_id=rule.rule_id))


async def test_every_query_has_its_index(documents: SqliteDocuments, tmp_path: Path) -> None:
    from modelyard_import.repository import RULES
    from modelyard_store.documents import Equals, Query, Sort

    newest = (Sort("received_at", descending=True),)
    queries = [
        (RULES, Query(where=(Equals("project", "p"),), sort=(Sort("name"),))),
        (TRAINING_JOBS, Query(where=(Equals("project", "p"),), sort=newest)),
        (TRAINING_JOBS, Query(where=(Equals("project", "p"), Equals("job_name", "j")), sort=newest)),
    ]
    for collection, query in queries:
        plan = await documents.explain(collection, query)
        assert plan is not None
        assert "sort" not in plan
