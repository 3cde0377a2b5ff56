"""Training runs: reported by event or by call, kept once, and turned into versions by the project's rules.

Both ways of reporting only store the run, together with a `match` job in its outbox. The job does the rest, so that a
report over HTTP is answered at once and survives a version service that is away just as an event does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelyard_bus.calls import CallClient
from modelyard_bus.consume import Reject, Retry
from modelyard_contracts.calls import version
from modelyard_contracts.calls.context import CallContext, own_context
from modelyard_contracts.calls.imports import (
    CompleteTraining,
    GetTrainingJob,
    ListTrainingJobs,
    TrainingJobPage,
    TrainingJobView,
)
from modelyard_contracts.catalogue import IMPORT_MATCH
from modelyard_contracts.envelope import Envelope
from modelyard_contracts.events import TrainingCompleted
from modelyard_contracts.failures import Failure, NotStorable, is_away
from modelyard_contracts.jobs import MatchJob
from modelyard_contracts.outcome import Cause, Outcome
from modelyard_import.domain.training import (
    Rule,
    TrainingJob,
    creation_key,
    matched,
    refusal_of,
    same_report,
    shortfall,
    training_job,
    training_job_view,
    version_for,
    wants,
)
from modelyard_import.errors import NotFound, OtherReport
from modelyard_import.repository import Repository
from modelyard_import.runs import Runs, Wanted
from modelyard_store.documents import Duplicate

BELOW_MINIMUM = "below-minimum"


@dataclass(frozen=True, slots=True)
class TrainingHandlers:
    repository: Repository
    ask: CallClient
    now: Callable[[], int]

    async def heard(self, envelope: Envelope, completed: TrainingCompleted) -> None:
        """Event training.completed."""
        try:
            await self._record(envelope.project, envelope.id, completed, envelope.correlationid or envelope.id)
        except (OtherReport, NotStorable) as error:
            raise Reject(error.message) from error

    async def complete(self, context: CallContext, request: CompleteTraining) -> TrainingJobView:
        """The same, said by call. What the rules made of it is in the document a moment later."""
        run = await self._record(context.project, request.event_id, request.completed, context.correlationid)
        return training_job_view(run)

    async def get(self, context: CallContext, request: GetTrainingJob) -> TrainingJobView:
        run = await self.repository.training_jobs.get(context.project, request.training_job_id)
        if run is None:
            raise NotFound("training job", request.training_job_id)
        return training_job_view(run)

    async def list(self, context: CallContext, request: ListTrainingJobs) -> TrainingJobPage:
        """Newest first."""
        wanted = Wanted(request.job_name, request.job_version, request.status)
        total, runs = await Runs(self.repository).page(
            context.project, wanted, offset=request.offset, limit=request.limit
        )
        views = tuple(training_job_view(run) for run in runs)
        return TrainingJobPage(total_count=total, count=len(views), training_jobs=views)

    async def match(self, envelope: Envelope, job: MatchJob) -> None:
        """Job import.match. Applied again after an interruption it meets the versions it made before."""
        run = await self.repository.training_jobs.get(envelope.project, job.training_job_id)
        if run is None:
            raise Reject(f"training job {job.training_job_id} does not exist")
        if run.matched:
            return
        imports: list[dict[str, str]] = []
        refusals: list[dict[str, Any]] = []
        for rule in await self.repository.rules_of(run.project):
            if not wants(rule, run):
                continue
            if missing := shortfall(rule, run):
                refusals.append(refusal_of(rule, BELOW_MINIMUM, missing))
                continue
            try:
                imports.append({"rule_id": rule.rule_id, "model_id": await self._create(rule, run)})
            except Failure as failure:
                if is_away(failure):
                    raise Retry(failure.message) from failure
                refusals.append(refusal_of(rule, failure.code, failure.message))
        outcome = (tuple(imports), tuple(refusals))
        await self.repository.training_jobs.change(
            run.project, run.training_job_id, lambda current: Outcome(matched(current, *outcome))
        )

    async def _create(self, rule: Rule, run: TrainingJob) -> str:
        own = own_context("import", run.project, run.correlationid or run.event_id)
        context = own.model_copy(update={"idempotency_key": creation_key(rule, run)})
        return (await self.ask(version.CREATE, context, version_for(rule, run))).model_id

    async def _record(
        self, project: str, event_id: str, completed: TrainingCompleted, correlationid: str
    ) -> TrainingJob:
        """Raises OtherReport and NotStorable."""
        run = training_job(project, event_id, completed, now=self.now(), correlationid=correlationid)
        job = (IMPORT_MATCH, MatchJob(training_job_id=run.training_job_id))
        outcome = Outcome(run, () if run.matched else (job,))
        try:
            await Runs(self.repository).name(project, run.job_name)
            await self.repository.training_jobs.add(
                project, run.training_job_id, outcome, Cause(correlationid, event_id)
            )
        except Duplicate:
            return await self._kept(run)
        return run

    async def _kept(self, run: TrainingJob) -> TrainingJob:
        kept = await self.repository.training_jobs.get(run.project, run.training_job_id)
        if kept is None or not same_report(kept, run):
            raise OtherReport(run.training.job_id, run.training.job_version)
        return kept
