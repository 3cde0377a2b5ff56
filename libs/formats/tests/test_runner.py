import numpy as np
import pytest

from modelyard_contracts.failures import Failure, FailureKind
from modelyard_formats.errors import BadSource, BadTensor
from modelyard_formats.table import inspect, runner
from modelyard_testkit import models


@pytest.fixture(params=[models.digits_like_mlp, models.openvino_ir], ids=["onnx", "openvino"])
def loaded(request, tmp_path):
    root = models.package(tmp_path, request.param)
    name = "openvino" if request.param is models.openvino_ir else "onnx"
    return name, root, runner(name, root, threads=1, precision_hint="f32")


def expected(images):
    weights = models.mlp_weights()
    hidden = np.maximum(images.reshape(len(images), -1) @ weights["w1"] + weights["b1"], 0)
    logits = hidden @ weights["w2"] + weights["b2"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_both_runtimes_compute_the_same_network(loaded):
    _, _, model = loaded
    images = models.digit_images(7)
    np.testing.assert_allclose(model.run({"image": images})["scores"], expected(images), atol=1e-5)


def test_the_runner_agrees_with_the_inspection(loaded):
    name, root, model = loaded
    assert model.signature == inspect(name, root).signature
    assert model.name.startswith({"onnx": "onnxruntime 1.", "openvino": "openvino 20"}[name])
    assert model.precision == "f32"


def test_results_are_the_callers_own(loaded):
    _, _, model = loaded
    first = model.run({"image": models.digit_images(1, seed=1)})["scores"]
    before = first.copy()
    model.run({"image": models.digit_images(1, seed=2)})
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "input 'image' is missing"),
        ({"image": np.zeros((1, 1, 8, 8), np.float64)}, "is float64, the model needs float32"),
        ({"image": np.zeros((1, 3, 8, 8), np.float32)}, "has shape [1, 3, 8, 8], the model needs ["),
        ({"image": np.zeros((8, 8), np.float32)}, "has shape [8, 8]"),
        ({"image": np.zeros((1, 1, 8, 8), np.float32), "x": np.zeros(1)}, "the model has no input 'x'"),
    ],
)
def test_inputs_that_do_not_fit_are_named(loaded, inputs, reason):
    with pytest.raises(BadTensor) as caught:
        loaded[2].run(inputs)
    assert reason in caught.value.message
    assert caught.value.problems[0].field in ("image", "x")


@pytest.mark.parametrize("build", [models.with_custom_operator, models.truncated])
def test_models_that_do_not_load_are_refused(tmp_path, build):
    models.package(tmp_path, build)
    with pytest.raises(BadSource, match=r"model/model\.onnx does not load"):
        runner("onnx", tmp_path, threads=1)


def test_no_model_to_load(tmp_path):
    with pytest.raises(BadSource, match="0 openvino models in model/"):
        runner("openvino", tmp_path, threads=1)


def test_a_run_that_fails_is_a_failure(tmp_path):
    from onnx import helper

    made = models.model([helper.make_node("Reshape", ["image", "to"], ["scores"])], {})
    made.graph.input.append(helper.make_tensor_value_info("to", 7, [2]))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.onnx").write_bytes(made.SerializeToString())
    model = runner("onnx", tmp_path, threads=1)
    with pytest.raises(Failure, match="could not run the model") as caught:
        model.run({"image": models.digit_images(1), "to": np.array([7, 7])})
    assert caught.value.kind is FailureKind.UNPROCESSABLE


def test_external_data_are_loaded(tmp_path):
    models.package(tmp_path, models.with_external_data)
    images = models.digit_images(3)
    scores = runner("onnx", tmp_path, threads=2).run({"image": images})["scores"]
    np.testing.assert_allclose(scores, expected(images), atol=1e-5)
