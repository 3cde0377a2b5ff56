"""Which training runs a listing and a dry run show, on both document stores, against the obvious way to find them."""

import itertools
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.imports import DryRunRule
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Role
from modelyard_import import runs as runs_module
from modelyard_import.domain.training import TrainingJob, training_job
from modelyard_import.handlers import rules as rules_module
from modelyard_import.handlers.rules import RuleCalls
from modelyard_import.repository import COLLECTIONS, JOB_NAMES, TRAINING_JOBS, Repository
from modelyard_import.runs import Runs, Wanted
from modelyard_store.documents import AnyOf, Between, Documents, Equals, Query, Sort
from modelyard_store.opening import open_documents

NAMES = ("digits-nightly", "digits-weekly", "Digits-nightly", "digits", "猫-train", "[odd] name", "digits-*")


def run(number: int, project: str = "p", **changes: Any) -> TrainingJob:
    data: dict[str, Any] = {
        "job_id": f"job-{number}",
        "job_name": NAMES[number % len(NAMES)],
        "job_version": f"V00{number % 3 + 1}",
        "status": ("completed", "completed", "failed", "stopped")[number % 4],
        "output": {"bucket": "training", "prefix": "a/"},
        "metrics": {"accuracy": number / 100},
    }
    completed = TrainingCompleted.model_validate(data | changes)
    return training_job(project, f"event-{number}", completed, now=number // 2, correlationid=None)


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.servers)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/documents.db"
    server: str = request.getfixturevalue("mongo_uri")
    return f"{server.rstrip('/')}/import_{secrets.token_hex(6)}"


@pytest.fixture
async def documents(url: str) -> AsyncIterator[Documents]:
    documents = open_documents(url)
    await documents.open(COLLECTIONS)
    yield documents
    await documents.close()


@pytest.fixture
async def repository(documents: Documents) -> Repository:
    """60 runs of one project and one of another."""
    repository = Repository(documents, lambda: None, lambda: 0)
    for each in (*(run(number) for number in range(60)), run(1, "other", job_name="digits-other")):
        await Runs(repository).name(each.project, each.job_name)
        await Runs(repository).name(each.project, each.job_name)
        await repository.training_jobs.add(each.project, each.training_job_id, Outcome(each))
    return repository


PATTERNS = (None, *NAMES, "digits-*", "*", "*nightly", "[dD]igits-?ightly", "cats-*", "d*s", "digits-o*")
VERSIONS, STATUSES = (None, "V002"), (None, "failed")


@pytest.mark.parametrize("at_once", [500, 2])
async def test_every_listing_is_right(repository: Repository, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(runs_module, "NAMES_AT_ONCE", at_once)
    monkeypatch.setattr(runs_module, "PAGE", 3)
    everything = sorted(
        (run(number) for number in range(60)), key=lambda each: (each.received_at, each.training_job_id), reverse=True
    )
    for name, version, status in itertools.product(PATTERNS, VERSIONS, STATUSES):
        right = [
            each
            for each in everything
            if (
                name is None
                or each.job_name == name
                or (("*" in name or "?" in name) and fnmatchcase(each.job_name, name))
            )
            and version in (None, each.training.job_version)
            and status in (None, each.status)
        ]
        wanted = Wanted(name, version, status)  # type: ignore[arg-type]  # one of the statuses
        assert await Runs(repository).page("p", wanted, offset=0, limit=100) == (len(right), right), wanted
        assert await Runs(repository).page("p", wanted, offset=2, limit=3) == (len(right), right[2:5]), wanted


async def test_every_listing_has_its_index(documents: Documents, url: str) -> None:
    if url.startswith("mongodb") and "MODELYARD_TEST_MONGO_URI" not in os.environ:
        pytest.skip("the stand-in does not say which index it uses")
    mine, newest = Equals("project", "p"), (Sort("received_at", descending=True),)
    for wanted in (
        (),
        (Equals("job_name", "a"),),
        (Equals("training.job_version", "V001"),),
        (Equals("status", "failed"),),
        (Equals("job_name", "a"), Equals("training.job_version", "V001"), Equals("status", "failed")),
    ):
        plan = await documents.explain(TRAINING_JOBS, Query((mine, *wanted), newest))
        assert plan is not None
        assert "sort" not in plan
    assert await documents.explain(TRAINING_JOBS, Query((mine, AnyOf("job_name", ("a", "b"))), newest)) is not None
    names = await documents.explain(JOB_NAMES, Query((mine, Between("job_name", "a", "b")), (Sort("job_name"),)))
    assert names is not None
    assert "sort" not in names


def asked(**changes: Any) -> DryRunRule:
    values = {"name": "n", "job_name": "digits-*", "model_name": "digits", "min_metrics": {"accuracy": 0.3}}
    return DryRunRule.model_validate(values | changes)


def by(project: str = "p") -> CallContext:
    return CallContext(project=project, actor="me", role=Role.WRITER, correlationid="c")


async def test_a_dry_run_says_what_would_be_taken_and_why_not(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module, "PAGE", 7)
    rules = RuleCalls(repository, lambda: 5)
    found = await rules.dry_run(by(), asked())
    about = [run(number) for number in range(60) if run(number).job_name.startswith("digits-")]
    good = [each for each in about if each.status == "completed" and each.training.metrics["accuracy"] >= 0.3]
    assert (found.looked_at, found.taken, len(found.verdicts), found.left_out) == (60, len(good), len(about), 0)
    assert {each.training_job_id for each in found.verdicts if each.taken} == {each.training_job_id for each in good}
    assert [each.received_at for each in found.verdicts] == sorted((each.received_at for each in about), reverse=True)
    reasons = {each.reason for each in found.verdicts if not each.taken}
    assert {"the run failed", "the run was stopped"} < reasons
    assert any("the rule asks for at least 0.3" in str(reason) for reason in reasons)
    assert await rules.repository.rules_of("p") == []
    newest = await rules.dry_run(by(), asked(runs=5))
    assert newest.looked_at == 5
    other = await rules.dry_run(by("other"), asked(min_metrics={}))
    assert [each.job_name for each in other.verdicts] == ["digits-other"]


async def test_a_dry_run_fits_one_answer(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_module, "MAX_ANSWER_BYTES", 1_000)
    found = await RuleCalls(repository, lambda: 5).dry_run(by(), asked(job_name="*"))
    assert 0 < len(found.verdicts) < 10
    assert len(found.verdicts) + found.left_out == found.looked_at == 60


async def test_a_report_twice_at_once_names_its_job_once(repository: Repository) -> None:
    later = replace(run(70), job_name="brand-new")
    for _ in range(2):
        await Runs(repository).name(later.project, later.job_name)
    assert (await Runs(repository).page("p", Wanted("brand*"), offset=0, limit=1)) == (0, [])
