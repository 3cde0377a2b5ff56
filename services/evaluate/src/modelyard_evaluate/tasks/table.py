"""Every task there is. Service and worker ask here; a new task is one more folder beside and one more row."""

from modelyard_contracts.catalogue import Job
from modelyard_contracts.jobs import EvaluationJob
from modelyard_evaluate.domain.runs import Run
from modelyard_evaluate.tasks.classification import row as classification
from modelyard_evaluate.tasks.task import Kind, Task

TASKS: dict[str, Task] = {row.TASK.name: row.TASK for row in (classification,)}


def kind_of(name: str) -> Kind:
    """Raises KeyError for a kind of dataset that no task takes."""
    return _by_kind()[name][0]


def task_for(kind: str) -> Task:
    """The one task that takes datasets of this kind: it follows from the data what a plan measures. Raises KeyError."""
    return _by_kind()[kind][1]


def task_of(run: Run) -> Task:
    """Raises KeyError for a run that failed before it was known what to measure."""
    return TASKS[run.task or ""]


def job_of(run: Run) -> Job[EvaluationJob] | None:
    """None for a run that failed before it was known what to measure."""
    return TASKS[run.task].job if run.task else None


def _by_kind() -> dict[str, tuple[Kind, Task]]:
    return {kind.name: (kind, task) for task in TASKS.values() for kind in task.kinds}
