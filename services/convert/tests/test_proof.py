"""The verdict, on numbers and on runtimes made for the purpose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard_contracts.package import OutputRole
from modelyard_contracts.shapes import Bounds, OutputParity, Signature, TensorSpec, Tolerance
from modelyard_convert.children import arrays, proof
from modelyard_convert.children.judge import judge as judge_files
from modelyard_convert.children.judging.pairing import partners
from modelyard_convert.children.observe import record
from modelyard_convert.children.proof import Verdict
from modelyard_convert.children.requests import JudgeRequest, ObserveRequest
from modelyard_formats.running import Runner

TOLERANCE = Tolerance(max_rel_error=0.1, min_cosine=0.99, min_top1_agreement=0.95)
RANDOM = np.random.default_rng(1)
DRAWN = np.random.default_rng(2)
REFERENCE = [row.astype(np.float32) for row in RANDOM.standard_normal((50, 10))]


def pair(reference: Any, result: Any, **known: Any) -> tuple[Verdict, str, tuple[str, ...], OutputParity]:
    """Of one output `y`, on real samples."""
    kind = known.pop("kind", "calibration")
    model = proof.Model(**known)
    evidence = proof.compare({"y": reference}, {"y": result}, kind=kind, tolerance=TOLERANCE, model=model)
    return (*proof.judge(evidence), evidence.outputs[0].parity)


def measured(parity: OutputParity) -> dict[str, float]:
    return {measure.name: measure.value for measure in parity.measures}


def declared(role: str, **more: Any) -> tuple[OutputRole, ...]:
    return (OutputRole.model_validate({"name": "y", "role": role, **more}),)


def test_the_measures_are_what_they_are_called() -> None:
    result = [value + np.float32(0.25) * (index == 7) for index, value in enumerate(REFERENCE)]
    *_, parity = pair(REFERENCE, result)
    rows = np.stack(REFERENCE).astype(np.float64)
    reach, spread = np.abs(rows - rows.mean(0)).max(0), rows.std(0)
    found = measured(parity)
    assert parity.max_abs_error == pytest.approx(0.25)
    assert parity.mean_abs_error == pytest.approx(0.25 / 50)
    assert found["largest error"] == parity.max_rel_error == pytest.approx((0.25 / reach).max(), rel=1e-5)
    assert found["error"] == pytest.approx((0.25 / np.sqrt(50) / spread).max(), rel=1e-5)
    assert found["bias"] == pytest.approx((0.25 / 50 / spread).max(), rel=1e-5)
    assert found["sample error"] == pytest.approx(np.sqrt(np.mean((0.25 / spread) ** 2)), rel=1e-5)
    assert parity.worst_sample == 7
    cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(REFERENCE, result, strict=True)]
    assert parity.cosine == pytest.approx(np.mean(cosines), rel=1e-6)
    assert abs(parity.control_cosine) < 0.2


def test_a_partner_is_never_the_sample_itself_and_has_its_shape() -> None:
    shapes = [(2,), (3,), (2,), (3,), (2,), (4,)]
    found = partners([np.zeros(shape) for shape in shapes])
    assert found[5] is None
    assert all(other is None or (other != this and shapes[other] == shapes[this]) for this, other in enumerate(found))


def test_loud_channels_do_not_hide_quiet_ones() -> None:
    """Boxes up to 320 beside scores up to 1: every score zero is no small error."""
    scales = np.array([320, 320, 320, 320, 1, 1, 1])[:, None]
    heads = [(RANDOM.random((7, 64)) * scales).astype(np.float32) for _ in range(20)]
    silent = [np.concatenate([head[:4], np.zeros((3, 64), np.float32)]) for head in heads]
    verdict, reason, _, parity = pair(heads, silent)
    assert verdict == "failed"
    assert "channel 4" in reason or "channel 5" in reason or "channel 6" in reason
    assert parity.cosine > 0.999


def test_exact_is_exact_whatever_the_samples_are() -> None:
    same_class = [softmaxed(row, first=9.0) for row in REFERENCE]
    verdict, reason, _, parity = pair(same_class, same_class)
    assert (verdict, parity.exact) == ("passed", True)
    assert "bit for bit" in reason
    assert pair(REFERENCE, REFERENCE, kind="seeded")[0] == "passed"
    assert pair([np.ones(4)] * 20, [np.ones(4)] * 20)[0] == "inconclusive"


def test_one_class_only_is_said() -> None:
    same_class = [softmaxed(row, first=9.0) for row in REFERENCE]
    verdict, _, notes, parity = pair(same_class, [each * np.float32(1.0001) for each in same_class])
    assert verdict == "passed"
    assert parity.role == "scores"
    assert any("every sample is of class 0: add samples of the others" in note for note in notes)


def softmaxed(row: Any, first: float = 0.0) -> Any:
    powers = np.exp(row + np.array([first, *[0.0] * 9]))
    return (powers / powers.sum()).astype(np.float32)


def test_what_the_source_does_not_compute_either_agrees() -> None:
    rows = [np.where(RANDOM.random(10) > 0.8, np.nan, row).astype(np.float32) for row in REFERENCE]
    assert pair(rows, [row * np.float32(1.001) for row in rows])[0] == "passed"
    verdict, reason, *_ = pair(rows, [np.nan_to_num(row) for row in rows])
    assert verdict == "failed"
    assert "values are NaN or infinite in the source and not in the result" in reason


def test_zero_samples_agree_with_zero_samples() -> None:
    rows = [row * (index % 2) for index, row in enumerate(REFERENCE)]
    assert pair(rows, [row * np.float32(1.001) for row in rows])[0] == "passed"
    assert pair(rows, [row * 0 for row in rows])[0] == "failed"


def test_samples_of_different_sizes_meet_their_like() -> None:
    rows = [RANDOM.standard_normal((3 + index % 5, 6)).astype(np.float32) for index in range(40)]
    close = [row * np.float32(1.001) for row in rows]
    assert pair(rows, close, inputs_vary=True)[0] == "passed"
    reversed_ = [row[::-1] for row in rows]
    assert pair(rows, reversed_, inputs_vary=True)[0] == "failed"
    alone = [RANDOM.standard_normal((1 + index, 6)).astype(np.float32) for index in range(20)]
    verdict, reason, *_ = pair(alone, [row * np.float32(1.001) for row in alone], inputs_vary=True)
    assert verdict == "passed", reason  # longer ones are cut for the control
    assert pair(alone, [row[::-1] for row in alone], inputs_vary=True)[0] == "failed"


def test_selections_are_sets() -> None:
    chosen = [np.unique(RANDOM.integers(0, 60, (3 + index % 4, 3)), axis=0) for index in range(60)]
    missing_one = [rows[:-1] if index == 5 else rows[::-1] for index, rows in enumerate(chosen)]
    verdict, _, _, parity = pair(chosen, missing_one)
    assert (verdict, parity.role) == ("passed", "indices")
    assert pair(chosen, [rows + 1 for rows in chosen])[0] == "failed"


def test_ids_agree_or_not_however_near_they_are() -> None:
    ids = [np.array(index * 7 % 10) for index in range(100)]
    assert pair(ids, [each + (index == 3) for index, each in enumerate(ids)])[0] == "passed"
    assert pair(ids, [np.minimum(each + 1, 9) for each in ids])[0] == "failed"


def test_one_sample_of_wrong_ids_is_seen() -> None:
    own = [DRAWN.integers(0, 9, 12) for _ in range(128)]
    got = [*own[:-1], (own[-1] + 1) % 9]
    verdict, reason, _, _ = pair(own, got)
    assert (verdict, reason) == ("failed", "output y: sample agreement 0 is under 0.1 (sample 127)")


def detections(count: int, least: float = 0.3, most: float = 0.95) -> list[dict[str, Any]]:
    corners = [DRAWN.uniform(0, 200, (8, 2)) for _ in range(count)]
    return [
        {
            "boxes": np.concatenate([each, each + 40], axis=1).astype(np.float32),
            "scores": DRAWN.uniform(least, most, 8).astype(np.float32),
        }
        for each in corners
    ]


def detected(own: list[dict[str, Any]], got: list[dict[str, Any]]) -> tuple[Verdict, str]:
    sides = [{name: [each[name] for each in side] for name in ("boxes", "scores")} for side in (own, got)]
    roles = tuple(OutputRole.model_validate({"name": name, "role": name}) for name in ("boxes", "scores"))
    evidence = proof.compare(*sides, kind="calibration", tolerance=INT8, model=proof.Model(roles))
    return proof.judge(evidence)[:2]


INT8 = Tolerance(max_rel_error=0.25, min_cosine=0.99, min_top1_agreement=0.97)


def test_scores_that_fall_together_rank_nothing() -> None:
    """A range that is cut off: every error is small, and the best detections cannot be told apart."""
    own = detections(40, 0.7, 0.9)
    rounded = [{**each, "scores": np.round(each["scores"] * 64) / 64} for each in own]
    assert detected(own, rounded)[0] == "passed"
    cut = [{**each, "scores": np.minimum(each["scores"], np.float32(0.77))} for each in own]
    verdict, reason = detected(own, cut)
    assert verdict == "failed"
    assert "scores that fell together" in reason


def test_boxes_that_are_none_decide_nothing() -> None:
    """As by a decoding that does not fit."""
    own = detections(20)
    for each in own:
        each["boxes"][:, 2:] = each["boxes"][:, :2] - 5
    got = [{**each, "scores": each["scores"] * np.float32(1.001)} for each in own]
    verdict, reason = detected(own, got)
    assert verdict == "inconclusive"
    assert "160 of the reference's 160 boxes have no area: box_format or decode" in reason


def test_a_detector_that_finds_nothing_shows_nothing() -> None:
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    own = [{"boxes": none[0], "scores": none[1]} for _ in range(20)]
    got = [{"boxes": none[0] + 0, "scores": none[1] + 0} for _ in range(20)]
    own[3] = {"boxes": np.float32([[0, 0, 9, 9]]), "scores": np.zeros(1, np.float32)}
    got[3] = {"boxes": np.float32([[0, 0, 9, 9]]), "scores": np.full(1, 1e-8, np.float32)}
    verdict, reason = detected(own, got)
    assert verdict == "inconclusive"
    assert reason == "output boxes, scores: the reference detects nothing on these samples: add samples with objects"


def test_a_sigmoid_may_be_a_little_more_than_one() -> None:
    own = [DRAWN.random((1, 16, 16)).astype(np.float32) ** 8 for _ in range(20)]
    own[3][0, 0, :9] = np.float32(1.0000002)
    got = [np.where(each < 1e-6, 0, each).astype(np.float32) for each in own]
    got[5] = got[5] + np.float32(1e-5)
    verdict, reason, _, parity = pair(own, got, declared=declared("mask"))
    assert verdict == "passed", reason
    assert measured(parity)["agreement"] > 0.99


def test_a_map_of_open_size_stays_a_map() -> None:
    own = [(DRAWN.random((1, 12 + index % 3, 16)) ** 4).astype(np.float32) for index in range(20)]
    got = [each + np.float32(1e-6) for each in own]
    known = {"heads": {"y": "Sigmoid"}, "inputs_vary": True, "open_ended": frozenset({"y"})}
    verdict, reason, _, parity = pair(own, got, **known)
    assert (verdict, parity.role) == ("passed", "mask"), reason
    assert "sample IoU" in measured(parity)


def test_text_is_compared() -> None:
    words = [np.array(["cat", "dog", "cow"][index % 3]) for index in range(30)]
    assert pair(words, words)[0] == "passed"
    assert pair(words, [*words[1:], words[0]])[0] == "failed"


def test_vectors_of_length_one_are_embeddings() -> None:
    rows = RANDOM.standard_normal((60, 32)) + 2.0  # all alike, as embeddings often are
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    vectors = [*rows.astype(np.float32)]
    near = [(row + RANDOM.standard_normal(32) * 0.004).astype(np.float32) for row in vectors]
    verdict, _, _, parity = pair(vectors, near)
    assert (verdict, parity.role) == ("passed", "embedding")
    assert pair(vectors, [*near[1:], near[0]])[0] == "failed"
    assert pair(vectors, [near[1], *near[1:]])[0] == "failed"


def test_a_head_is_decoded_as_the_config_says() -> None:
    decode = {"axis": 2, "boxes": [0, 4], "objectness": 4, "scores": [5, 7]}
    heads = []
    for _ in range(30):
        boxes = np.concatenate([RANDOM.random((20, 2)) * 300, RANDOM.random((20, 2)) * 40 + 20], axis=1)
        heads.append(np.concatenate([boxes, RANDOM.random((20, 3))], axis=1).astype(np.float32))
    role = declared("detections", box_format="cxcywh", decode=decode)
    verdict, _, _, parity = pair(heads, [each * np.float32(1.001) for each in heads], declared=role)
    assert verdict == "passed", parity
    assert {"matched", "IoU", "score"} <= set(measured(parity))
    shifted = [each + np.array([40, 0, 0, 0, 0, 0, 0], np.float32) for each in heads]
    verdict, reason, *_ = pair(heads, shifted, declared=role)
    assert verdict == "failed"
    assert "matched" in reason


def test_roles_come_from_config_graph_or_values() -> None:
    scores = [softmaxed(row) for row in REFERENCE]
    sure = [(each > 0.5).astype(np.float32) * 0.8 for each in scores]
    assert pair(scores, scores, declared=declared("logits"))[3].role_from == "config.json"
    assert pair(sure, sure, heads={"y": "Sigmoid"})[3].role_from == "the graph: Sigmoid"
    assert pair(scores, scores)[3].role_from == "the values: they add up to one"
    assert pair(REFERENCE, REFERENCE, labels=10)[3].role == "logits"
    assert pair(REFERENCE, REFERENCE)[3].role == "numbers"


def test_bounds_of_an_output_go_before_those_of_its_role() -> None:
    result = [row * np.float32(1.2) for row in REFERENCE]
    wide = TOLERANCE.model_copy(update={"roles": {"numbers": Bounds(max_rel_error=0.5)}})
    narrow = wide.model_copy(update={"outputs": {"y": Bounds(max_rel_error=0.1)}})

    def verdict(tolerance: Tolerance) -> Verdict:
        evidence = proof.compare({"y": REFERENCE}, {"y": result}, kind="calibration", tolerance=tolerance)
        return proof.judge(evidence)[0]

    assert [verdict(each) for each in (TOLERANCE, wide, narrow)] == ["failed", "passed", "failed"]


def test_a_control_that_is_as_good_voids_the_proof() -> None:
    alike = [(1 + row * 3e-4).astype(np.float32) for row in REFERENCE]
    noisy = [(each + RANDOM.standard_normal(10) * 7e-4).astype(np.float32) for each in alike]
    verdict, reason, *_ = pair(alike, noisy)
    assert verdict == "inconclusive"
    assert "hardly closer" in reason


def test_every_output_has_to_hold() -> None:
    aside = [row[:3] for row in REFERENCE]
    wrong = [*aside[1:], aside[0]]
    evidence = proof.compare(
        {"y": REFERENCE, "aside": aside}, {"y": REFERENCE, "aside": wrong}, kind="calibration", tolerance=TOLERANCE
    )
    verdict, reason, _ = proof.judge(evidence)
    assert verdict == "failed"
    assert "output aside" in reason


def test_noise_and_too_few_samples_prove_nothing() -> None:
    close = [row * np.float32(1.001) for row in REFERENCE]
    assert pair(REFERENCE, close, kind="seeded")[0] == "inconclusive"
    verdict, reason, *_ = pair(REFERENCE[:5], close[:5])
    assert verdict == "inconclusive"
    assert "give at least 8" in reason
    assert proof.judge(proof.Evidence("calibration", 10, ()))[0] == "inconclusive"


def test_another_output_that_is_constant_does_not_void_the_proof() -> None:
    anchors = [np.arange(4.0, dtype=np.float32)] * 50
    close = {
        "y": [row * np.float32(1.001) for row in REFERENCE],
        "anchors": [each * np.float32(1.0001) for each in anchors],
    }
    evidence = proof.compare({"y": REFERENCE, "anchors": anchors}, close, kind="calibration", tolerance=TOLERANCE)
    assert proof.judge(evidence)[0] == "passed"


def runtime(name: str, give: Callable[[Any], Any], dtype: str = "float32") -> Runner:
    signature = Signature(
        inputs=(TensorSpec(name=f"{name}_in", dtype=dtype, shape=("N", 4)),),
        outputs=(TensorSpec(name=f"{name}_out", dtype=dtype, shape=("N", 4)),),
    )
    return Runner(name, "f32", signature, lambda feed: {f"{name}_out": give(feed[f"{name}_in"])})


@pytest.fixture
def prove(tmp_path: Path) -> Callable[..., Any]:
    """Observe both on the same samples, then judge what lies in the files."""

    def proven(give: Callable[[Any], Any], reference: Callable[[Any], Any] = np.exp, batch: int = 1) -> Any:
        inputs = RANDOM.standard_normal((40, batch, 4)).astype(np.float32)
        arrays.write(tmp_path / "samples.npz", ([each] for each in inputs))
        runs = [observe(tmp_path, runtime(*each)) for each in (("a", reference), ("b", give))]
        return judge_again(tmp_path, runs=min(runs), batch=batch)

    return proven


def observe(folder: Path, observed: Runner) -> int:
    name = observed.name
    request = ObserveRequest(
        format="onnx",
        root=folder,
        threads=1,
        samples=folder / "samples.npz",
        count=40,
        outputs=folder / f"{name}.npz",
        counterpart=None,
        turns=None,
    )
    return record(observed, request)[0]


def judge_again(folder: Path, tolerance: Tolerance = TOLERANCE, runs: int = 40, batch: int = 1) -> Any:
    request = JudgeRequest(
        reference=folder / "a.npz",
        result=folder / "b.npz",
        specs=(TensorSpec(name="a_out", dtype="float32", shape=("N", 4)),),
        runs=runs,
        batch=batch,
        kind="calibration",
        tolerance=tolerance,
    )
    return judge_files(request, lambda line: None)


def test_outputs_are_paired_by_position_and_named_after_the_source(prove: Any) -> None:
    found = prove(lambda x: np.exp(x) * np.float32(1.001))
    assert found.verdict == "passed"
    assert [each.name for each in found.outputs] == ["a_out"]


def test_every_item_of_a_batch_is_a_sample(prove: Any) -> None:
    assert prove(np.exp, batch=3).samples == 120


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda x: np.exp(x) * np.nan, "sample 0: 4 values of the result are NaN and those of the source are not"),
        (
            lambda x: np.where(x > 2, np.inf, np.exp(x)),
            "values of the result are infinite and those of the source are not",
        ),
        (np.zeros_like, "all values of the result are zero"),
        (lambda x: np.exp(x)[:, :3], r"the source gives shape [4], the result [3]"),
        (lambda x: -np.exp(x), "output a_out: error"),
    ],
)
def test_what_fails_on_any_input(prove: Any, give: Callable[[Any], Any], words: str) -> None:
    found = prove(give)
    assert found.verdict == "failed"
    assert words in found.reason
    found.model_dump_json()


def test_a_source_that_is_not_finite_fails_too(prove: Any) -> None:
    found = prove(np.exp, reference=lambda x: np.full_like(x, -np.inf))
    assert found.verdict == "failed"
    assert "values are NaN or infinite in the source and not in the result" in found.reason


def test_outputs_that_are_no_numbers_are_left_out(prove: Any) -> None:
    def words(x: Any) -> Any:
        return np.array([["yes"]], dtype=object)

    assert prove(words, reference=words).verdict == "inconclusive"


def test_time_is_bounded(prove: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_convert.children.observe.LEAST_RUNS", 12)
    monkeypatch.setattr("modelyard_convert.children.observe.RECORD_SECONDS", -1.0)
    assert prove(lambda x: x).samples == 12


def test_memory_is_bounded(prove: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_convert.children.observe.OUTPUT_BYTES", 16 * 5)
    assert prove(np.exp).samples == 6


def test_observations_are_judged_again_without_running_anything(prove: Any, tmp_path: Path) -> None:
    first = prove(lambda x: np.exp(x) * np.float32(1.001))
    strict = judge_again(tmp_path, TOLERANCE.model_copy(update={"max_rel_error": 1e-4}))
    assert (first.verdict, strict.verdict) == ("passed", "failed")
    assert "is over 0.0001" in strict.reason
    assert measured(strict.outputs[0]) == measured(first.outputs[0])
    assert judge_again(tmp_path) == first


def test_outputs_of_another_number_fail(prove: Any) -> None:
    found = prove(lambda x: np.exp(x)[:1], batch=3)
    assert found.verdict == "failed"
    assert "the source gives 120 values, the result 40" in found.reason
