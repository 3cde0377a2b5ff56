"""What a classifier scored on labelled samples, by scikit-learn. Runs in the evaluation subprocess only.

Averages are scikit-learn's own `macro`: over the classes that occur among the true or the predicted labels. A ratio
with nothing in its denominator counts 0, as there, and the class is listed under `never_predicted` or has `support` 0.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import auc, confusion_matrix, precision_recall_fscore_support, roc_curve

from modelyard_evaluate.tasks.classification import NAME
from modelyard_evaluate.tasks.classification.scores import interval

Array = np.ndarray[Any, Any]
MOST_MATRIX = 100  # classes; a larger matrix is in the CSV file only
MOST_CLASSES = 1000  # rows of per-class numbers in the result; all are in the CSV file
MOST_CURVES = 100
MOST_POINTS = 60
MOST_MISTAKES = 50
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Answers:
    """`truth`: class index per sample; `scores`: (samples, classes); `labels`: class names in index order."""

    names: Sequence[str]
    truth: Array
    scores: Array
    labels: Sequence[str]

    @property
    def predicted(self) -> Array:
        """The best class; the first of several equally good ones."""
        best: Array = self.scores.argmax(axis=1)
        return best


@dataclass(frozen=True, slots=True)
class Measured:
    """`present`: indices of the classes that occur; `matrix[i, j]`: samples of present[i] taken for present[j].
    `curves`: (false positive rate, true positive rate) by class index, where both kinds of samples exist."""

    labels: Sequence[str]
    present: Array
    matrix: Array
    per_class: list[dict[str, Any]]
    curves: dict[int, tuple[Array, Array]]
    metrics: dict[str, float]
    samples: int
    correct: int


def measure(answers: Answers) -> Measured:
    truth, predicted = answers.truth, answers.predicted
    present = np.unique(np.concatenate([truth, predicted]))
    with warnings.catch_warnings():  # a dataset of one class is unusual, not wrong
        warnings.filterwarnings("ignore", message="A single label was found")
        matrix = confusion_matrix(truth, predicted, labels=present)
    curves = _curves(answers)
    areas = {index: float(auc(*curve)) for index, curve in curves.items()}
    columns = precision_recall_fscore_support(truth, predicted, labels=present, average=None, zero_division=0.0)
    per_class = [
        {
            "label": answers.labels[index],
            "precision": _round(precision),
            "recall": _round(recall),
            "f1": _round(f1),
            "support": int(support),
            "correct": int(matrix[row, row]),
            "predicted": int(matrix[:, row].sum()),
            "auc": _round(areas[index]) if index in areas else None,
        }
        for row, (index, precision, recall, f1, support) in enumerate(zip(present.tolist(), *columns, strict=True))
    ]
    correct = int((truth == predicted).sum())
    precision, recall, f1, _ = (column.mean() for column in columns)
    metrics = {"accuracy": correct / len(truth), "precision": precision, "recall": recall, "f1": f1}
    if areas:
        metrics["auc"] = float(np.mean(list(areas.values())))
    exact = {name: float(value) for name, value in metrics.items()}
    return Measured(answers.labels, present, matrix, per_class, curves, exact, len(truth), correct)


def result(answers: Answers, measured: Measured) -> dict[str, Any]:
    """The JSON that docs/evaluation.md describes: bounded, so that it fits one message."""
    low, high = interval(measured.correct, measured.samples)
    pairs = _confused(measured)
    weakest = sorted(measured.per_class, key=lambda row: (row["f1"], row["label"]))
    small = len(measured.present) <= MOST_MATRIX
    return {
        "task": NAME,
        "samples": measured.samples,
        "correct": measured.correct,
        "metrics": measured.metrics,
        "accuracy_interval": {"level": 0.95, "low": _round(low), "high": _round(high)},
        "summary": _summary(measured, low, high, pairs, weakest),
        "class_count": len(answers.labels),
        "classes": measured.per_class[:MOST_CLASSES],
        "never_predicted": [row["label"] for row in measured.per_class if not row["predicted"]][:MOST_CLASSES],
        "confusion_matrix": {
            "labels": [measured.labels[index] for index in measured.present] if small else [],
            "counts": measured.matrix.tolist() if small else [],
            "meaning": "row: true class, column: predicted class, value: samples",
            "omitted": not small,
        },
        "most_confused": pairs[:MOST_MISTAKES],
        "roc": [_points(measured, index) for index in sorted(measured.curves)[:MOST_CURVES]],
        "auc_average": f"macro, one class against the rest, over {len(measured.curves)} classes",
        "misclassified": _mistakes(answers),
    }


def _curves(answers: Answers) -> dict[int, tuple[Array, Array]]:
    curves = {}
    for index in np.unique(answers.truth).tolist():
        positive = answers.truth == index
        if not positive.all():
            false_rate, true_rate, _ = roc_curve(positive, answers.scores[:, index])
            curves[index] = (false_rate, true_rate)
    return curves


def thinned(curve: tuple[Array, Array], most: int) -> tuple[Array, Array]:
    """At most `most` points of a curve, evenly spread along its length, both ends kept."""
    x, y = curve
    if len(x) <= most:
        return curve
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], most)).clip(0, len(x) - 1))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]


def _points(measured: Measured, index: int) -> dict[str, Any]:
    x, y = thinned(measured.curves[index], MOST_POINTS)
    curve = {"false_positive_rate": [_round(each) for each in x], "true_positive_rate": [_round(each) for each in y]}
    return {"label": measured.labels[index], "auc": _round(float(auc(*measured.curves[index]))), **curve}


def _confused(measured: Measured) -> list[dict[str, Any]]:
    wrong = measured.matrix.copy()
    np.fill_diagonal(wrong, 0)
    names = [measured.labels[index] for index in measured.present]
    cells = sorted(((-int(wrong[i, j]), i, j) for i, j in zip(*np.nonzero(wrong), strict=True)))[:MOST_MISTAKES]
    return [{"truth": names[i], "predicted": names[j], "samples": -count} for count, i, j in cells]


def _mistakes(answers: Answers) -> list[dict[str, Any]]:
    """The surest mistakes first."""
    predicted = answers.predicted
    wrong = np.nonzero(predicted != answers.truth)[0]
    sure = answers.scores[wrong, predicted[wrong]]
    return [
        {
            "sample": answers.names[index],
            "truth": answers.labels[answers.truth[index]],
            "predicted": answers.labels[predicted[index]],
            "score": _round(answers.scores[index, predicted[index]]),
            "truth_score": _round(answers.scores[index, answers.truth[index]]),
        }
        for index in wrong[np.argsort(-sure, kind="stable")][:MOST_MISTAKES].tolist()
    ]


def _summary(
    measured: Measured, low: float, high: float, pairs: list[dict[str, Any]], weakest: list[dict[str, Any]]
) -> list[str]:
    share = 100 * measured.correct / measured.samples
    said = [
        f"{measured.correct} of {measured.samples} samples are right: {share:.2f} % "
        f"(95 % interval {100 * low:.2f}–{100 * high:.2f} %)"
    ]
    if weakest[0]["f1"] < 1:
        row = weakest[0]
        said.append(f"weakest class: {row['label']} (F1 {row['f1']:.3f}, {row['correct']} of {row['support']} found)")
    if pairs:
        pair = pairs[0]
        said.append(f"most frequent mistake: {pair['truth']} taken for {pair['predicted']} ({pair['samples']} samples)")
    if measured.samples < 100:
        said.append(f"{measured.samples} samples are few: add data before trusting differences of some percent")
    return said


def _round(value: float) -> float:
    return round(float(value), _DIGITS)
