"""Numbers against small cases worked out by hand, and against scikit-learn's own one-call functions."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from modelyard_evaluate.domain.scored import Scored
from modelyard_evaluate.tasks.classification.metrics import Answers, measure, result, thinned
from modelyard_evaluate.tasks.classification.scores import compare, interval

LABELS = ("猫", "狗", "鸟")


def answers(truth: list[int], predicted: list[int], labels: tuple[str, ...] = LABELS) -> Answers:
    scores = np.full((len(truth), len(labels)), 0.1)
    scores[np.arange(len(truth)), predicted] = 0.8
    return Answers([f"s{index}" for index in range(len(truth))], np.array(truth), scores, labels)


# truth:      3 cats (2 right, 1 taken for a dog), 2 dogs (1 right, 1 taken for a bird), 5 birds (4 right, 1 a cat)
TOY = answers([0, 0, 0, 1, 1, 2, 2, 2, 2, 2], [0, 0, 1, 1, 2, 2, 2, 2, 2, 0])


def test_three_classes_by_hand() -> None:
    measured = measure(TOY)
    assert measured.matrix.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 4]]
    assert (measured.correct, measured.samples) == (7, 10)
    rows = {row["label"]: (row["precision"], row["recall"], row["f1"], row["support"]) for row in measured.per_class}
    assert rows == {
        "猫": (pytest.approx(2 / 3, abs=1e-6), pytest.approx(2 / 3, abs=1e-6), pytest.approx(2 / 3, abs=1e-6), 3),
        "狗": (0.5, 0.5, 0.5, 2),
        "鸟": (0.8, 0.8, 0.8, 5),
    }
    macro = (2 / 3 + 0.5 + 0.8) / 3
    assert measured.metrics["accuracy"] == 0.7
    for name in ("precision", "recall", "f1"):
        assert measured.metrics[name] == pytest.approx(macro, abs=1e-6)


def test_areas_by_hand() -> None:
    """Cats against the rest: scores are 0.8 for 2 of 3 cats and 1 of 7 others, 0.1 for the rest; ties count half."""
    cats = (2 * 6 + 0.5 * (2 * 1 + 1 * 6)) / (3 * 7)
    dogs = (1 * 7 + 0.5 * (1 * 1 + 1 * 7)) / (2 * 8)
    birds = (4 * 4 + 0.5 * (4 * 1 + 1 * 4)) / (5 * 5)
    measured = measure(TOY)
    assert [row["auc"] for row in measured.per_class] == pytest.approx([cats, dogs, birds], abs=1e-6)
    assert measured.metrics["auc"] == pytest.approx((cats + dogs + birds) / 3, abs=1e-6)


def test_agrees_with_scikit_learn_on_random_scores() -> None:
    random = np.random.default_rng(5)
    scores = random.dirichlet(np.ones(6), 400)
    truth = random.integers(0, 6, 400)
    given = Answers([str(index) for index in range(400)], truth, scores, tuple("abcdef"))
    metrics = measure(given).metrics
    assert metrics["auc"] == pytest.approx(roc_auc_score(truth, scores, multi_class="ovr"), abs=1e-6)
    assert metrics["f1"] == pytest.approx(f1_score(truth, given.predicted, average="macro"), abs=1e-6)


def test_a_dataset_with_some_of_the_models_classes() -> None:
    """The absent third class is predicted once: it counts with 0, as scikit-learn's macro average does."""
    measured = measure(answers([0, 0, 1, 1], [0, 0, 1, 2]))
    assert [row["label"] for row in measured.per_class] == ["猫", "狗", "鸟"]
    assert measured.metrics["recall"] == 0.5
    assert [row["auc"] for row in measured.per_class] == [1.0, 0.75, None]
    full = result(answers([0, 0, 1, 1], [0, 0, 0, 0]), measure(answers([0, 0, 1, 1], [0, 0, 0, 0])))
    assert full["never_predicted"] == ["狗"]


def test_one_class_only_has_no_area() -> None:
    measured = measure(answers([1, 1], [1, 1]))
    assert "auc" not in measured.metrics
    assert measured.curves == {}


def test_the_result_names_mistakes_surest_first_and_is_json() -> None:
    given = Answers(
        ["a", "b", "c"], np.array([0, 0, 1]), np.array([[0.2, 0.8], [0.05, 0.95], [0.1, 0.9]]), ("neg", "pos")
    )
    full = json.loads(json.dumps(result(given, measure(given)), allow_nan=False))
    assert full["misclassified"] == [
        {"sample": "b", "truth": "neg", "predicted": "pos", "score": 0.95, "truth_score": 0.05},
        {"sample": "a", "truth": "neg", "predicted": "pos", "score": 0.8, "truth_score": 0.2},
    ]
    assert full["most_confused"] == [{"truth": "neg", "predicted": "pos", "samples": 2}]
    assert full["summary"][0].startswith("1 of 3 samples are right: 33.33 %")


def test_a_thousand_classes_fit_one_message() -> None:
    random = np.random.default_rng(1)
    labels = tuple(f"class number {index} 名" for index in range(1000))
    truth = np.repeat(np.arange(1000), 3)
    given = Answers([f"{labels[t]}/{i}.png" for i, t in enumerate(truth)], truth, random.random((3000, 1000)), labels)
    assert len(json.dumps(result(given, measure(given)), ensure_ascii=False).encode()) < 700_000


def test_thinning_keeps_the_ends_and_the_bound() -> None:
    x = np.linspace(0, 1, 1000)
    thin_x, thin_y = thinned((x, np.sqrt(x)), 60)
    assert len(thin_x) <= 60
    assert (thin_x[0], thin_x[-1], thin_y[-1]) == (0, 1, 1)


def test_wilson_interval_by_hand() -> None:
    low, high = interval(7, 10)
    assert (low, high) == pytest.approx((0.3968, 0.8922), abs=1e-4)
    assert interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert interval(0, 10)[0] == pytest.approx(0.0)


def scored(version: str, correct: int, *, samples: int = 540, digest: str = "d") -> Scored:
    metrics = {"accuracy": correct / samples, "f1": 0.9}
    counts = {"correct": correct}
    return Scored(version, f"run-{version}", "source", "artifact", "dataset", digest, samples, metrics, counts)


def test_costs_are_counted_and_chance_is_called_chance() -> None:
    rows = compare([scored("V0001", 530), scored("V0002", 529), scored("V0003", 520), scored("V0004", 533)])
    assert [row["cost"]["samples"] for row in rows] == [0, 1, 10, -3]
    assert [row["cost"]["within_noise"] for row in rows] == [True, True, False, False]
    assert rows[1]["cost"]["percentage_points"] == pytest.approx(100 / 540, abs=1e-4)
    assert rows[1]["cost"]["text"] == "+1 of 540 samples (+0.19 points), within noise"
    assert {row["reference"] for row in rows} == {"V0001"}
    assert rows[0]["auc"] is None


def test_runs_on_other_data_are_not_subtracted() -> None:
    rows = compare([scored("V0001", 530), scored("V0002", 529, digest="other")])
    assert rows[1]["cost"] is None
