"""Makes runs: checks what shall be measured with what, and takes down everything the run needs.

Used by the evaluation calls, where a refusal is an answer, and by the events, where it becomes a failed run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelyard_contracts.calls.version import VersionView
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Artifact
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.datasets import Dataset
from modelyard_evaluate.domain.runs import Origin, Run, data_of, model_of
from modelyard_evaluate.errors import DatasetHidden, NotFound
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.tasks.table import task_for

MOST_NAME = 64


@dataclass(frozen=True, slots=True)
class Order:
    """What a new run is to be, before it is known whether it can be. `project` owns the model."""

    run_id: str
    evaluation_id: str
    project: str
    model_id: str
    dataset_id: str
    origin: Origin
    created_by: str
    correlationid: str | None
    request_digest: str = ""
    entry_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Planner:
    repository: Repository
    now: Callable[[], int]

    async def dataset(self, order: Order) -> Dataset:
        """A competition's dataset is the organiser's, whichever project enters. Raises NotFound and DatasetHidden."""
        owner = None if order.origin == "competition" else order.project
        dataset = await self.repository.datasets.get(owner, order.dataset_id)
        if dataset is None:
            raise NotFound("dataset", order.dataset_id, "dataset_id")
        if dataset.hidden and order.origin != "competition":
            raise DatasetHidden(dataset.name)
        return dataset

    def run(self, order: Order, version: VersionView, artifact: Artifact, dataset: Dataset) -> Run:
        """Raises what the task knows already that the run would."""
        task = task_for(dataset.kind)
        task.check(dataset, version.config)
        run = self._run(order, artifact.artifact_id, artifact.target)
        return replace(
            run,
            task=task.name,
            name=order.name or f"{version.model_name} {version.model_version} on {dataset.name}"[:MOST_NAME],
            model=model_of(artifact),
            data=data_of(dataset),
            samples=dataset.samples,
        )

    def failed(self, order: Order, artifact_id: str, target: str, failure: Failure) -> Run:
        """Where nobody waits for an answer, the refusal is kept as a run for people to find."""
        return life.failed(self._run(order, artifact_id, target), failure, now=self.now()).value

    def _run(self, order: Order, artifact_id: str, target: str) -> Run:
        return Run(
            run_id=order.run_id,
            project=order.project,
            evaluation_id=order.evaluation_id,
            number=0,
            name=order.name or order.origin,
            origin=order.origin,
            model_id=order.model_id,
            artifact_id=artifact_id,
            target=target,
            dataset_id=order.dataset_id,
            model=None,
            data=None,
            samples=0,
            created_at=self.now(),
            created_by=order.created_by,
            request_digest=order.request_digest,
            task=None,
            correlationid=order.correlationid,
            entry_id=order.entry_id,
        )
