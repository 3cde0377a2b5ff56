"""What the results of several runs are compared by. Made from runs by the result calls, for a task's `compare`."""

from dataclasses import dataclass

from modelyard_evaluate.domain.runs import Run, Scores


@dataclass(frozen=True, slots=True)
class Scored:
    """A succeeded run."""

    version: str
    run_id: str
    target: str
    artifact_id: str
    dataset_id: str
    dataset_digest: str
    samples: int
    metrics: dict[str, float]
    counts: dict[str, int]


def scored(run: Run, scores: Scores) -> Scored:
    return Scored(
        version=run.version,
        run_id=run.run_id,
        target=run.target,
        artifact_id=run.artifact_id,
        dataset_id=run.dataset_id,
        dataset_digest=run.data.digest if run.data else "",
        samples=scores.samples,
        metrics=scores.metrics,
        counts=scores.counts,
    )
