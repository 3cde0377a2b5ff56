"""Numbers about numbers: how sure an accuracy is, what one run cost beside another, what of hidden data may be told.

`compare` and `headline` stand in the task's row; `interval` is in the result too.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

from modelyard_evaluate.domain.runs import Scores
from modelyard_evaluate.domain.scored import Scored
from modelyard_evaluate.tasks.classification import NAME

NOISE = 2
"""Samples. A difference this small between two runs is chance (docs/evaluation.md)."""

_Z95 = 1.959964


def interval(correct: int, samples: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; unlike the textbook one it stays within 0 and 1 and works at the ends."""
    share, z2 = correct / samples, _Z95**2
    middle = share + z2 / (2 * samples)
    reach = _Z95 * sqrt(share * (1 - share) / samples + z2 / (4 * samples**2))
    return max(0.0, (middle - reach) / (1 + z2 / samples)), min(1.0, (middle + reach) / (1 + z2 / samples))


def compare(runs: Sequence[Scored]) -> tuple[dict[str, Any], ...]:
    """One row per run, in the given order; the first is the reference of all. Costs are positive when it was better.

    Runs on other data than the reference cannot be subtracted from it: their cost is None.
    """
    return tuple(_row(run, runs[0]) for run in runs)


def _row(run: Scored, reference: Scored) -> dict[str, Any]:
    correct = run.counts["correct"]
    low, high = interval(correct, run.samples)
    return {
        "version": run.version,
        "run_id": run.run_id,
        "target": run.target,
        "artifact_id": run.artifact_id,
        "dataset_id": run.dataset_id,
        "samples": run.samples,
        "correct": correct,
        "accuracy_low": round(low, 6),
        "accuracy_high": round(high, 6),
        **{name: run.metrics.get(name) for name in ("accuracy", "precision", "recall", "f1", "auc")},
        "reference": reference.version,
        "cost": _cost(run, reference),
    }


def _cost(run: Scored, reference: Scored) -> dict[str, Any] | None:
    if (run.dataset_digest, run.samples) != (reference.dataset_digest, reference.samples):
        return None
    lost = reference.counts["correct"] - run.counts["correct"]
    points = 100 * lost / run.samples
    noise = abs(lost) <= NOISE
    words = f"{lost:+d} of {run.samples} samples ({points:+.2f} points)" if lost else "none"
    return {
        "percentage_points": round(points, 4),
        "samples": lost,
        "within_noise": noise,
        "text": f"{words}, within noise" if noise and lost else words,
    }


def headline(scores: Scores) -> dict[str, Any]:
    """The same shape as the result, without anything that tells of single samples or classes."""
    return {
        "task": NAME,
        "samples": scores.samples,
        "correct": scores.counts["correct"],
        "metrics": scores.metrics,
        "summary": ["the dataset is hidden: only the headline numbers are shown"],
        "classes": [],
        "confusion_matrix": {"labels": [], "counts": [], "omitted": True},
        "most_confused": [],
        "roc": [],
        "misclassified": [],
    }
