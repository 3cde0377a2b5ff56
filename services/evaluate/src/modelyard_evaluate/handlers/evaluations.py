"""Calls that make, show, stop and delete evaluations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from modelyard_contracts.calls import evaluate
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.evaluate import CREATE, CREATE_VERSION
from modelyard_contracts.calls.repeats import created_id, request_digest
from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.runs import Run, evaluation_view, output_prefix
from modelyard_evaluate.errors import InUse, NotFound, NoWorker, WrongState
from modelyard_evaluate.planning import Order, Planner
from modelyard_evaluate.register import Register, artifact_of
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.tasks.table import task_of
from modelyard_store.objects import Objects
from modelyard_work import bounds


@dataclass(frozen=True, slots=True)
class EvaluationCalls:
    repository: Repository
    register: Register
    planner: Planner
    objects: Objects
    bucket: str
    now: Callable[[], int]

    async def create(self, context: CallContext, request: evaluate.CreateEvaluation) -> evaluate.EvaluationView:
        run_id = created_id(context, CREATE)
        order = Order(
            run_id=run_id,
            evaluation_id=derived_id(run_id, "evaluation"),
            project=context.project,
            model_id=request.model_id,
            dataset_id=request.dataset_id,
            origin="request",
            created_by=context.actor,
            correlationid=context.correlationid,
            request_digest=request_digest(request),
            name=request.name,
        )
        return await self._make(context, order, request.artifact_id)

    async def create_version(
        self, context: CallContext, request: evaluate.CreateEvaluationVersion
    ) -> evaluate.EvaluationView:
        newest = (await self._runs(context.project, request.evaluation_id))[-1]
        order = Order(
            run_id=created_id(context, CREATE_VERSION),
            evaluation_id=newest.evaluation_id,
            project=context.project,
            model_id=newest.model_id,
            dataset_id=request.dataset_id or newest.dataset_id,
            origin="request",
            created_by=context.actor,
            correlationid=context.correlationid,
            request_digest=request_digest(request),
            name=newest.name,
        )
        return await self._make(context, order, request.artifact_id or newest.artifact_id)

    async def get(self, context: CallContext, request: evaluate.GetEvaluation) -> evaluate.EvaluationView:
        return evaluation_view(await self._runs(context.project, request.evaluation_id))

    async def list(self, context: CallContext, request: evaluate.ListEvaluations) -> evaluate.EvaluationPage:
        total, groups = await self.repository.list_evaluations(
            context.project, request.model_id, request.offset, request.limit
        )
        views = tuple(map(evaluation_view, groups))
        return evaluate.EvaluationPage(total_count=total, count=len(views), evaluations=views)

    async def stop(self, context: CallContext, request: evaluate.GetRun) -> evaluate.EvaluationView:
        """Waiting or running, for good. Stopping a stopped one is no error."""
        run = await find_run(self.repository, context.project, request)

        def decide(found: Run) -> Outcome[Run] | None:
            if found.state == "stopped":
                return None
            if not found.open:
                raise WrongState(f"{found.version} has {found.state}; only waiting and running ones can be stopped")
            if found.entry_id is not None:
                raise WrongState(f"{found.version} scores a competition entry and cannot be stopped")
            return life.stopped(found, f"stopped by {context.actor}", now=self.now())

        await self.repository.runs.change(context.project, run.run_id, decide, Cause.asked(context))
        await self.objects.remove_prefix(self.bucket, output_prefix(run))  # of attempts that were killed
        return evaluation_view(await self._runs(context.project, request.evaluation_id))

    async def delete(self, context: CallContext, request: evaluate.DeleteEvaluation) -> Nothing:
        """All runs with their results. Objects go first: a delete that was cut off can be repeated."""
        runs = await self._runs(context.project, request.evaluation_id)
        unfinished = [run.version for run in runs if run.open]
        if unfinished:
            raise InUse(f"{', '.join(unfinished)} has not ended; stop it first")
        for run in runs:
            await self.objects.remove_prefix(self.bucket, output_prefix(run))
            await self.repository.runs.change(context.project, run.run_id, life.deleted)
        return Nothing()

    async def _make(self, context: CallContext, order: Order, artifact_id: str | None) -> evaluate.EvaluationView:
        """Raises what the planner and the version service refuse with, NoWorker and TooMuchWork."""
        made = await self.repository.runs.get(order.project, order.run_id)
        if made is None:
            dataset = await self.planner.dataset(order)
            version = await self.register.published(context, order.model_id)
            run = self.planner.run(order, version, artifact_of(version, artifact_id), dataset)
            task = task_of(run).name
            if not await self.register.offered(task):
                raise NoWorker(task)
            if await self.repository.count_unfinished(order.project, order.model_id) >= bounds.MOST_UNFINISHED:
                raise bounds.TooMuchWork("evaluations")
            await self.repository.add_run(run)
        else:
            await self.repository.add_run(replace(made, request_digest=order.request_digest))
        return evaluation_view(await self._runs(order.project, order.evaluation_id))

    async def _runs(self, project: str, evaluation_id: str) -> Sequence[Run]:
        """Raises NotFound."""
        found = await self.repository.runs_of(project, [evaluation_id])
        if not found or any(run.deleted for run in found):
            raise NotFound("evaluation", evaluation_id, "evaluation_id")
        return found


async def find_run(repository: Repository, project: str, wanted: evaluate.GetRun) -> Run:
    """Raises NotFound."""
    for run in await repository.runs_of(project, [wanted.evaluation_id]):
        if run.version == wanted.version and not run.deleted:
            return run
    raise NotFound("evaluation version", f"{wanted.evaluation_id} {wanted.version}", "version")
