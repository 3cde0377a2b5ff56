"""Calls that show what was measured: one run's result with its plots, and runs beside each other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelyard_contracts.calls import evaluate
from modelyard_contracts.calls.context import CallContext
from modelyard_evaluate.domain.datasets import sees_hidden
from modelyard_evaluate.domain.runs import Run, Scores, run_view
from modelyard_evaluate.domain.scored import scored
from modelyard_evaluate.errors import NotFound, WrongState
from modelyard_evaluate.handlers.evaluations import find_run
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.tasks.table import task_of
from modelyard_store.objects import NoSuchObject, Objects

MOST_RESULT: Final = 900_000  # bytes; the whole answer must fit one message


@dataclass(frozen=True, slots=True)
class ResultCalls:
    """`link_seconds`: how long links to plots work."""

    repository: Repository
    objects: Objects
    link_seconds: int

    async def result(self, context: CallContext, request: evaluate.GetRun) -> evaluate.ResultView:
        run = await find_run(self.repository, context.project, request)
        scores = _succeeded(run)
        if _may_see_details(context, run):
            return evaluate.ResultView(
                run=run_view(run), result=await self._read(run, scores), plots=await self._plots(scores)
            )
        return evaluate.ResultView(run=run_view(run), result=task_of(run).headline(scores), plots=())

    async def compare(self, context: CallContext, request: evaluate.CompareRuns) -> evaluate.Comparison:
        """Without a choice, all that succeeded."""
        runs = [r for r in await self.repository.runs_of(context.project, [request.evaluation_id]) if not r.deleted]
        if not runs:
            raise NotFound("evaluation", request.evaluation_id, "evaluation_id")
        known = {run.version: run for run in runs}
        for version in request.versions:
            if version not in known:
                raise NotFound("evaluation version", version, "versions")
        chosen = request.versions or tuple(version for version, run in known.items() if run.scores)
        ordered = sorted(set(chosen), key=lambda version: known[version].number)
        return evaluate.Comparison(rows=_compared([known[version] for version in ordered]))

    async def _read(self, run: Run, scores: Scores) -> dict[str, Any]:
        place = scores.location
        try:
            text = await self.objects.read(place.bucket, f"{place.prefix}result.json", MOST_RESULT)
        except NoSuchObject as error:
            raise NotFound("result of", f"{run.evaluation_id} {run.version}", "version") from error
        result: dict[str, Any] = json.loads(text)
        return result

    async def _plots(self, scores: Scores) -> tuple[evaluate.Plot, ...]:
        place = scores.location
        return tuple(
            [
                evaluate.Plot(
                    name=each.name,
                    media_type=each.media_type,
                    url=await self.objects.presign_get(place.bucket, place.prefix + each.file, self.link_seconds),
                )
                for each in scores.files
            ]
        )


def _compared(runs: Sequence[Run]) -> tuple[dict[str, Any], ...]:
    """Raises WrongState, also where two have no figures in common."""
    measured = [scored(run, _succeeded(run)) for run in runs]
    for run in runs:
        if run.task != runs[0].task:
            message = f"{runs[0].version} is {runs[0].task} and {run.version} {run.task}: choose versions of one task"
            raise WrongState(message)
    return task_of(runs[0]).compare(measured) if runs else ()


def _succeeded(run: Run) -> Scores:
    if run.scores is None:
        raise WrongState(f"{run.version} is {run.state}; only one that succeeded has a result")
    return run.scores


def _may_see_details(context: CallContext, run: Run) -> bool:
    """What entrants never see: names of samples and single mistakes of a hidden dataset."""
    if run.data is None or not run.data.hidden:
        return True
    return sees_hidden(context.role) and run.data.project == context.project
