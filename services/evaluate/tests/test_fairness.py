"""Projects take turns at a worker."""

from dataclasses import replace

from modelyard_contracts.catalogue import EVALUATE_IMAGE_CLASSIFICATION as JOB
from modelyard_contracts.jobs import EvaluationJob
from modelyard_contracts.outcome import Cause
from modelyard_evaluate.domain import life

from .evaluate_yard import PROJECT, Yard


async def test_one_evaluation_beside_another_projects_crowd(yard: Yard) -> None:
    """None of them says what to measure, so that each ends as soon as a worker looks at it."""
    yard.version()
    view = await yard.create(await yard.dataset({"0/a.png": b"0", "1/b.png": b"1"}))
    like = await yard.repository.runs.get(PROJECT, view.versions[-1].run_id)
    assert like is not None
    for project, run_id, number in ((PROJECT, "a", 2), (PROJECT, "b", 3), ("other", "single", 1)):
        run = replace(like, project=project, run_id=run_id, number=number, model=None)
        await yard.repository.runs.add(project, run_id, life.created(run, JOB), Cause("c-1"))
    worker = yard.worker()
    for run_id in ("a", "b"):
        await worker.evaluate(yard.envelope(run_id, type=JOB.subject), EvaluationJob(run_id=run_id))
        yard.now += 1
    ended = {run_id: await yard.repository.runs.get(None, run_id) for run_id in ("a", "b", "single")}
    assert {run_id: run and run.state for run_id, run in ended.items()} == dict.fromkeys(ended, "failed")
