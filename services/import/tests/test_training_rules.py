"""Which runs a rule takes, and what a repeated report means."""

from typing import Any

import pytest

from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.shapes import Plan
from modelyard_import.domain.training import (
    Rule,
    TrainingJob,
    creation_key,
    matched,
    same_report,
    shortfall,
    training_job,
    version_for,
    wants,
)


def completed(**changes: Any) -> TrainingCompleted:
    data = {
        "job_id": "j1",
        "job_name": "digits-nightly",
        "job_version": "V001",
        "status": "completed",
        "output": {"bucket": "training", "prefix": "digits/V001/"},
        "metrics": {"accuracy": 0.97},
        "started_at": "2026-09-21T14:00:00Z",
    }
    return TrainingCompleted.model_validate(data | changes)


def run(**changes: Any) -> TrainingJob:
    return training_job("p", "event-1", completed(**changes), now=5, correlationid="c")


def rule(**changes: Any) -> Rule:
    values: dict[str, Any] = {
        "rule_id": "r1",
        "project": "p",
        "name": "digits",
        "job_name": "digits-*",
        "min_metrics": {},
        "model_name": "digits",
        "labels": ("auto",),
        "plan": Plan(),
        "created_at": 1,
        "created_by": "me",
        "request_digest": "d",
    }
    return Rule(**(values | changes))


@pytest.mark.parametrize(("glob", "taken"), [("digits-*", True), ("digits", False), ("DIGITS-*", False), ("*", True)])
def test_a_rule_is_about_jobs_whose_name_matches_its_glob(glob: str, taken: bool) -> None:
    assert wants(rule(job_name=glob), run()) is taken


def test_every_minimum_must_be_reached() -> None:
    assert shortfall(rule(min_metrics={"accuracy": 0.97}), run()) is None
    assert "0.97; the rule asks for at least 0.98" in str(shortfall(rule(min_metrics={"accuracy": 0.98}), run()))
    assert "no metric 'f1'" in str(shortfall(rule(min_metrics={"accuracy": 0.9, "f1": 0.1}), run()))


def test_not_a_number_reaches_nothing() -> None:
    assert shortfall(rule(min_metrics={"accuracy": -1}), run(metrics={"accuracy": float("nan")}))


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_a_run_that_did_not_complete_has_nothing_to_match(status: str) -> None:
    assert run(status=status).matched


def test_the_rules_are_applied_once() -> None:
    first = matched(run(), ({"rule_id": "r1", "model_id": "m1"},), ())
    assert matched(first, (), ()) == first
    assert first.imports == ({"rule_id": "r1", "model_id": "m1"},)


def test_same_run_same_id_and_other_content_is_another_report() -> None:
    assert run().training_job_id == run(metrics={}).training_job_id
    assert run().training_job_id != run(job_version="V002").training_job_id
    assert same_report(run(), run())
    assert not same_report(run(), run(metrics={"accuracy": 0.5}))


def test_a_rule_makes_one_version_of_a_run_however_often_it_is_applied() -> None:
    assert creation_key(rule(), run()) == creation_key(rule(), run())
    assert creation_key(rule(), run()) != creation_key(rule(rule_id="r2"), run())
    request = version_for(rule(), run())
    assert (request.model_name, request.labels, request.model_version) == ("digits", ("auto",), None)
    assert request.source.kind == "training"


def test_the_reference_keeps_milliseconds() -> None:
    assert run().training.started_at == 1_789_999_200_000
