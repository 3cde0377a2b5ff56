"""What events ask of the evaluate service: carry out plans, score competition entries, forget deleted versions."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from modelyard_bus.consume import Retry
from modelyard_contracts.calls.context import own_context
from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import ArtifactAdded, EntrySubmitted, VersionDeleted, VersionPublished
from modelyard_contracts.failures import Failure, is_away
from modelyard_contracts.ids import derived_id
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_contracts.shapes import Plan
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.runs import Run, output_prefix
from modelyard_evaluate.errors import VersionGone
from modelyard_evaluate.planning import MOST_NAME, Order, Planner
from modelyard_evaluate.register import Register, artifact_of
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.tasks.table import task_of
from modelyard_store.objects import Objects

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class VersionEvents:
    repository: Repository
    register: Register
    planner: Planner
    objects: Objects
    bucket: str
    now: Callable[[], int]

    async def published(self, envelope: Envelope, fact: VersionPublished) -> None:
        """The source artifact is there."""
        await self._carry_out(envelope, fact.model_id, fact.artifact_id, fact.plan)

    async def artifact_added(self, envelope: Envelope, fact: ArtifactAdded) -> None:
        await self._carry_out(envelope, fact.model_id, fact.artifact_id, fact.plan)

    async def entry_submitted(self, envelope: Envelope, fact: EntrySubmitted) -> None:
        """The competition waits for a verdict, so this always makes a run, if only one that has failed."""
        run_id = derived_id("evaluate", "entry", fact.entry_id)
        order = Order(
            run_id=run_id,
            evaluation_id=derived_id(run_id, "evaluation"),
            project=envelope.project,
            model_id=fact.model_id,
            dataset_id=fact.dataset_id,
            origin="competition",
            created_by="service:publish",
            correlationid=envelope.correlationid,
            entry_id=fact.entry_id,
            name=fact.competition_title and f"entry in {fact.competition_title}"[:MOST_NAME],
        )
        if await self.repository.runs.get(envelope.project, run_id) is None:
            await self._make(order, fact.artifact_id, await self._version(envelope, fact.model_id))
        else:  # the entry may wait for a verdict that was lost on the way
            await self.repository.runs.remind(run_id)

    async def deleted(self, envelope: Envelope, fact: VersionDeleted) -> None:
        """End what has not ended, remove what was written, leave only the marks."""
        for run in await self.repository.runs_of_model(envelope.project, fact.model_id):
            await self.repository.runs.change(envelope.project, run.run_id, self._forget, Cause.of(envelope))
            await self.objects.remove_prefix(self.bucket, output_prefix(run))

    def _forget(self, run: Run) -> Outcome[Run]:
        return life.bereaved(run, now=self.now())

    async def _carry_out(self, envelope: Envelope, model_id: str, artifact_id: str, plan: Plan) -> None:
        """One evaluation per (model, dataset), one version of it per artifact, however often the event comes."""
        orders = [
            _planned(envelope, model_id, artifact_id, dataset_id)
            for dataset_id in dict.fromkeys(order.dataset_id for order in plan.evaluate)
        ]
        wanted = [order for order in orders if await self._is_new(order)]
        version = await self._version(envelope, model_id) if wanted else None
        if version is not None:
            for order in wanted:
                await self._make(order, artifact_id, version)

    async def _is_new(self, order: Order) -> bool:
        """An evaluation that somebody deleted gets no more versions from the plan."""
        known = await self.repository.runs_of(order.project, [order.evaluation_id])
        return all(run.run_id != order.run_id and not run.deleted for run in known)

    async def _make(self, order: Order, artifact_id: str, version: VersionView | None) -> None:
        target = "unknown"
        try:
            if version is None:
                raise VersionGone
            artifact = artifact_of(version, artifact_id)
            target = artifact.target
            run = self.planner.run(order, version, artifact, await self.planner.dataset(order))
        except Failure as failure:
            run = self.planner.failed(order, artifact_id, target, failure)
        if run.open and not await self.register.offered(task := task_of(run).name):
            log.warning("no_worker", task=task, run_id=run.run_id)
            run = replace(run, reason=f"no worker offers `{task}` now; the run waits for one")
        await self.repository.add_run(run)

    async def _version(self, envelope: Envelope, model_id: str) -> VersionView | None:
        """None when it was deleted meanwhile. Raises Retry while the version service is away."""
        context = own_context("evaluate", envelope.project, envelope.correlationid or envelope.id)
        try:
            return await self.register.published(context, model_id)
        except Failure as failure:
            if is_away(failure):
                raise Retry(failure.message) from failure
            log.info("version_not_evaluated", model_id=model_id, reason=failure.message)
            return None


def _planned(envelope: Envelope, model_id: str, artifact_id: str, dataset_id: str) -> Order:
    evaluation_id = derived_id(envelope.project, "evaluation", model_id, dataset_id)
    return Order(
        run_id=derived_id(evaluation_id, artifact_id),
        evaluation_id=evaluation_id,
        project=envelope.project,
        model_id=model_id,
        dataset_id=dataset_id,
        origin="plan",
        created_by="plan",
        correlationid=envelope.correlationid,
    )
