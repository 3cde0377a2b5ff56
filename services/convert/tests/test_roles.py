"""What outputs are, and labels beside scores: where a proof was once led astray."""

from typing import Any

import numpy as np
import pytest

from modelyard_convert.children import proof
from modelyard_convert.children.proof import Verdict

from .test_proof import DRAWN, REFERENCE, TOLERANCE, pair, softmaxed


def test_labels_follow_their_scores() -> None:
    scores = [softmaxed(row) for row in REFERENCE]
    labels = [np.array(row.argmax() + 5) for row in scores]
    moved = [np.where(label == 5, 6, label) for label in labels]

    def verdict(result: Any) -> Verdict:
        given = {"label": labels, "scores": scores}
        evidence = proof.compare(given, {"label": result, "scores": scores}, kind="calibration", tolerance=TOLERANCE)
        return proof.judge(evidence)[0]

    assert (verdict(labels), verdict(moved)) == ("passed", "failed")
    foreign = [np.array(99)] * len(labels)
    assert verdict(foreign) == "failed"
    assert verdict([labels[0], *labels[2:], labels[1]]) == "failed"
    some = [index for index, label in enumerate(labels) if index % 2]
    assert verdict([np.array(-1) if index in some else label for index, label in enumerate(labels)]) == "failed"


def test_a_label_that_no_reference_had_may_come_for_a_class_that_no_reference_was_of() -> None:
    rows = np.array([[4.0, 0, 0, 3.99], [0, 4.0, 0, 1.0]])
    own = [(np.exp(row) / np.exp(row).sum()).astype(np.float32) for row in rows[[0, 1] * 20]]
    got = [each.copy() for each in own]
    got[0] = got[0][[3, 1, 2, 0]]  # a toss-up of classes 0 and 3
    labels = [np.array("abcd"[row.argmax()]) for row in own]

    def verdict(name: str) -> tuple[Verdict, str]:
        answered = [np.array(name), *labels[1:]]
        sides = {"label": labels, "scores": own}, {"label": answered, "scores": got}
        return proof.judge(proof.compare(*sides, kind="calibration", tolerance=TOLERANCE))[:2]

    assert verdict("d")[0] == "passed", verdict("d")
    assert verdict("b")[0] == "failed"


def test_what_is_counted_beside_scores_is_no_label_of_theirs() -> None:
    """An ordinal model: how many thresholds were passed. Every id goes with the same top score."""
    levels = DRAWN.random((64, 1)) * np.array([[1.0, 0.8, 0.6]])
    scores = [row.astype(np.float32) for row in levels]
    ids = [np.array(int((row > 0.5).sum())) for row in levels]
    evidence = proof.compare(
        {"rank": ids, "scores": scores}, {"rank": ids[1:] + ids[:1], "scores": scores}, kind="calibration",
        tolerance=TOLERANCE, model=proof.Model(heads={"scores": "Sigmoid"}),
    )  # fmt: skip
    assert proof.judge(evidence)[0] == "failed"


@pytest.mark.parametrize("bias", [4.0, 1000.0])
def test_logits_that_all_moved_together_are_others(bias: float) -> None:
    """softmax does not see it; decisions by sigmoid turn."""
    assert pair(REFERENCE, [row + np.float32(1e-4) for row in REFERENCE], labels=10)[0] == "passed"
    verdict, reason, *_ = pair(REFERENCE, [row + np.float32(bias) for row in REFERENCE], labels=10)
    assert verdict == "failed"
    assert "shift" in reason


def test_grey_levels_are_no_classes() -> None:
    pictures = [(DRAWN.random((24, 24)) * 255).astype(np.uint8) for _ in range(20)]
    near = [np.clip(each.astype(int) + DRAWN.integers(-1, 2, each.shape), 0, 255).astype(np.uint8) for each in pictures]
    verdict, reason, _, parity = pair(pictures, near)
    assert (verdict, parity.role) == ("passed", "numbers"), reason
    maps = [(each // 64).astype(np.uint8) for each in pictures]
    assert pair(maps, maps)[3].role == "mask"


def test_a_role_that_values_alone_gave_can_be_declared() -> None:
    counts = [np.array(index % 40, np.int32) for index in range(80)]
    verdict, _, notes, _ = pair(counts, [each + 1 for each in counts])
    assert verdict == "failed"
    assert any("judged as classes by its values alone" in note and "`outputs`" in note for note in notes)


def test_a_source_that_draws_numbers_proves_nothing() -> None:
    evidence = proof.compare({"y": REFERENCE}, {"y": REFERENCE[::-1]}, kind="calibration", tolerance=TOLERANCE)
    verdict, reason, _ = proof.judge(evidence, repeats=False)
    assert (verdict, "each time" in reason) == ("inconclusive", True)
