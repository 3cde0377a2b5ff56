"""The verdict, on numbers and on runtimes made for the purpose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard_contracts.shapes import OutputParity, Signature, TensorSpec, Tolerance
from modelyard_convert.children import arrays
from modelyard_convert.children.judge import judge as judge_files
from modelyard_convert.children.observe import record
from modelyard_convert.children.proof import Evidence, judge, measure
from modelyard_convert.children.requests import JudgeRequest, ObserveRequest
from modelyard_formats.running import Runner

TOLERANCE = Tolerance(max_rel_error=0.1, min_cosine=0.99, min_top1_agreement=0.95)
RANDOM = np.random.default_rng(1)
REFERENCE = [row.astype(np.float32) for row in RANDOM.standard_normal((50, 10))]


def output(**changes: Any) -> OutputParity:
    values = {
        "name": "scores",
        "max_abs_error": 0.1,
        "mean_abs_error": 0.01,
        "max_rel_error": 0.01,
        "cosine": 0.999,
        "control_cosine": 0.3,
        "top1_agree": 100,
        "control_top1_agree": 10,
    }
    return OutputParity(**{**values, **changes})


def verdict(kind: Any = "calibration", samples: int = 100, score: str | None = "scores", **changes: Any) -> str:
    return judge(Evidence(kind, samples, (output(**changes),), {}, score), TOLERANCE)[0]


def test_the_metrics_are_what_they_are_called() -> None:
    result = [value + np.float32(0.25) * (index == 7) for index, value in enumerate(REFERENCE)]
    found = measure("scores", REFERENCE, result, scored=True)
    largest = max(np.abs(value).max() for value in REFERENCE)
    assert found.max_abs_error == pytest.approx(0.25)
    assert found.mean_abs_error == pytest.approx(0.25 / 50)
    assert found.max_rel_error == pytest.approx(0.25 / largest, rel=1e-6)
    cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(REFERENCE, result, strict=True)]
    assert found.cosine == pytest.approx(np.mean(cosines), rel=1e-6)
    assert found.top1_agree == 50
    assert found.control_top1_agree is not None
    assert found.control_top1_agree < 15
    assert abs(found.control_cosine) < 0.2


def test_a_control_never_meets_its_own_sample() -> None:
    found = measure("scores", [*np.eye(5)], [*np.eye(5)], scored=True)
    assert (found.cosine, found.control_cosine) == (1, 0)
    assert (found.top1_agree, found.control_top1_agree) == (5, 0)


def test_zero_samples_among_others() -> None:
    rows = [np.zeros(3), np.zeros(3), np.ones(3)]
    changed = [np.zeros(3), np.ones(3), np.ones(3)]
    assert measure("mask", rows, rows, scored=False).cosine == 1
    assert measure("mask", rows, changed, scored=False).cosine == pytest.approx(2 / 3)


def test_good_and_proven() -> None:
    assert verdict() == "passed"
    assert verdict(top1_agree=None, control_top1_agree=None, score=None) == "passed"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_rel_error": 0.2}, "relative maximum error 0.2 is over 0.1"),
        ({"cosine": 0.98}, "cosine 0.980000 is under 0.99"),
        ({"top1_agree": 94}, "top class agrees on 94 of 100, under 0.95"),
    ],
)
def test_over_the_tolerance(changes: dict[str, Any], words: str) -> None:
    for kind in ("calibration", "seeded"):
        found, reason = judge(Evidence(kind, 100, (output(**changes),), {}, "scores"), TOLERANCE)  # type: ignore[arg-type]
        assert found == "failed"
        assert words in reason


@pytest.mark.parametrize(
    "changes",
    [
        {"control_cosine": 0.9995},  # better than the result itself
        {"control_cosine": 0.9981},  # hardly worse
        {"cosine": 1.0, "control_cosine": 1 - 1e-7},  # below what float32 can tell apart
        {"control_top1_agree": 100},
        {"top1_agree": 98, "control_top1_agree": 96},
    ],
)
def test_a_control_that_is_as_good_voids_the_proof(changes: dict[str, Any]) -> None:
    assert verdict(**changes) == "inconclusive"


def test_noise_and_too_few_samples_prove_nothing() -> None:
    assert verdict(kind="seeded") == "inconclusive"
    assert verdict(samples=1, top1_agree=1, control_top1_agree=1) == "inconclusive"
    assert judge(Evidence("calibration", 10, ()), TOLERANCE)[0] == "inconclusive"


def test_another_output_that_is_constant_does_not_void_the_proof() -> None:
    constant = output(name="anchors", cosine=1.0, control_cosine=1.0, top1_agree=None, control_top1_agree=None)
    assert judge(Evidence("calibration", 100, (constant, output()), {}, "scores"), TOLERANCE)[0] == "passed"


def runtime(name: str, give: Callable[[Any], Any], dtype: str = "float32") -> Runner:
    signature = Signature(
        inputs=(TensorSpec(name=f"{name}_in", dtype=dtype, shape=("N", 4)),),
        outputs=(TensorSpec(name=f"{name}_out", dtype=dtype, shape=("N", 4)),),
    )
    return Runner(name, "f32", signature, lambda feed: {f"{name}_out": give(feed[f"{name}_in"])})


@pytest.fixture
def proof(tmp_path: Path) -> Callable[..., Any]:
    """Observe both on the same samples, then judge what lies in the files."""

    def prove(give: Callable[[Any], Any], reference: Callable[[Any], Any] = np.exp, batch: int = 1) -> Any:
        inputs = RANDOM.standard_normal((40, batch, 4)).astype(np.float32)
        arrays.write(tmp_path / "samples.npz", ([each] for each in inputs))
        runs = [observe(tmp_path, runtime(*each)) for each in (("a", reference), ("b", give))]
        return judge_again(tmp_path, runs=min(runs), batch=batch)

    return prove


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
    return record(observed, request)


def judge_again(folder: Path, tolerance: Tolerance = TOLERANCE, runs: int = 40, batch: int = 1) -> Any:
    request = JudgeRequest(
        reference=folder / "a.npz",
        result=folder / "b.npz",
        names=("a_out",),
        runs=runs,
        batch=batch,
        kind="calibration",
        score="a_out",
        tolerance=tolerance,
    )
    return judge_files(request, lambda line: None)


def test_outputs_are_paired_by_position_and_named_after_the_source(proof: Any) -> None:
    found = proof(lambda x: np.exp(x) * np.float32(1.001))
    assert found.verdict == "passed"
    assert [each.name for each in found.outputs] == ["a_out"]


def test_every_item_of_a_batch_is_a_sample(proof: Any) -> None:
    assert proof(np.exp, batch=3).samples == 120


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda x: np.exp(x) * np.nan, "160 values of the result are NaN or infinite"),
        (lambda x: np.where(x > 2, np.inf, np.exp(x)), "values of the result are NaN or infinite"),
        (np.zeros_like, "all values of the result are zero"),
        (lambda x: np.exp(x)[:, :3], r"the source gives shape [4], the result [3]"),
        (lambda x: -np.exp(x), "cosine -1.000000 is under 0.99"),
    ],
)
def test_what_fails_on_any_input(proof: Any, give: Callable[[Any], Any], words: str) -> None:
    found = proof(give)
    assert found.verdict == "failed"
    assert words in found.reason
    found.model_dump_json()


def test_a_source_that_is_not_finite_fails_too(proof: Any) -> None:
    found = proof(np.exp, reference=lambda x: np.full_like(x, -np.inf))
    assert (found.verdict, found.outputs) == ("failed", ())
    assert "of the source" in found.reason


def test_outputs_that_are_no_numbers_are_left_out(proof: Any) -> None:
    def words(x: Any) -> Any:
        return np.array([["yes"]], dtype=object)

    assert proof(words, reference=words).verdict == "inconclusive"


def test_memory_is_bounded(proof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard_convert.children.observe.OUTPUT_BYTES", 16 * 5)
    assert proof(np.exp).samples == 6


def test_observations_are_judged_again_without_running_anything(proof: Any, tmp_path: Path) -> None:
    first = proof(lambda x: np.exp(x) * np.float32(1.001))
    strict = judge_again(tmp_path, TOLERANCE.model_copy(update={"max_rel_error": 1e-4}))
    assert (first.verdict, strict.verdict) == ("passed", "failed")
    assert "relative maximum error 0.001 is over 0.0001" in strict.reason
    assert strict.outputs == first.outputs
    assert judge_again(tmp_path) == first


def test_outputs_of_another_number_fail(proof: Any) -> None:
    found = proof(lambda x: np.exp(x)[:1], batch=3)
    assert (found.verdict, found.outputs) == ("failed", ())
    assert "the source gives 120 values, the result 40" in found.reason
