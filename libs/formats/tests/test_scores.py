import numpy as np
import pytest

from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_formats.scores import class_scores, score_output, softmax


def config(*outputs: tuple[str, str]) -> PackageConfig:
    named = [{"name": name, "role": role} for name, role in outputs]
    return PackageConfig.model_validate({"model_algorithm": "a", "model_type": "ONNX", "outputs": named})


def signature(*outputs: tuple[str, str, tuple[int | None, ...]]) -> Signature:
    specs = tuple(TensorSpec(name=name, dtype=dtype, shape=shape) for name, dtype, shape in outputs)
    return Signature(inputs=(), outputs=specs)


@pytest.mark.parametrize(
    ("declared", "outputs", "chosen"),
    [
        ([("b", "scores")], [("a", "float32", (None, 3)), ("b", "float32", (None, 3))], "b"),
        ([("a", "boxes"), ("b", "logits")], [], "b"),
        ([], [("label", "int64", (None,)), ("p", "float32", (None, 3))], "p"),
        ([], [("a", "float32", (None, 3)), ("b", "float32", (None, 3))], None),
        ([], [("mask", "float32", (None, 1, 8, 8))], None),
    ],
)
def test_which_output_is_the_score_vector(declared, outputs, chosen):
    assert score_output(config(*declared), signature(*outputs)) == chosen


def test_logits_become_shares_and_scores_stay():
    output = np.array([[0, np.log(3)], [1000, 0]], np.float32)
    np.testing.assert_allclose(class_scores(config(("o", "logits")), "o", output), [[0.25, 0.75], [1, 0]], atol=1e-6)
    np.testing.assert_array_equal(class_scores(config(("o", "scores")), "o", output), output)
    assert class_scores(config(), "o", output.reshape(2, 2, 1, 1)).shape == (2, 2)


def test_softmax_of_large_numbers_is_finite():
    assert np.isfinite(softmax(np.array([[1e300, -1e300]]))).all()
