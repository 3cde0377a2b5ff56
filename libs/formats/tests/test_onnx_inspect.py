import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from modelyard_formats.errors import BadSource
from modelyard_formats.table import inspect, read
from modelyard_formats.wire.protobuf_scan import encode_varint
from modelyard_testkit import models


def inspected(root: Path, model: ModelProto):
    path = root / "model" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return inspect("onnx", root)


def refusal(root: Path, model: ModelProto | None = None) -> BadSource:
    with pytest.raises(BadSource) as caught:
        inspected(root, model) if model else inspect("onnx", root)
    assert caught.value.code == "ModelArts.3017"
    assert all(problem.file and problem.rule for problem in caught.value.problems)
    return caught.value


def test_a_model_says_what_it_is(tmp_path):
    models.package(tmp_path)
    found = inspect("onnx", tmp_path)
    (image,), (scores,) = found.signature.inputs, found.signature.outputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("N", 1, 8, 8))
    assert (scores.name, scores.dtype, scores.shape) == ("scores", "float32", ("N", 10))
    assert found.opsets == {"ai.onnx": 18}
    assert found.producer == "modelyard-testkit"
    assert found.parameter_count == 64 * 32 + 32 + 32 * 10 + 10
    assert found.operators == {"Flatten": 1, "Gemm": 2, "Relu": 1, "Softmax": 1}


def test_initializers_listed_as_inputs_are_not_inputs(tmp_path):
    made = models.model([helper.make_node("MatMul", ["image", "w"], ["scores"])], {"w": np.ones((8, 10), np.float32)})
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [8, 10]))
    assert [spec.name for spec in inspected(tmp_path, made).signature.inputs] == ["image"]


def test_dynamic_and_unknown_shapes(tmp_path):
    made = models.model([], {}, inputs={"a": [None, "T", 3], "b": []}, outputs={"c": [1]})
    made.graph.output[0].type.tensor_type.ClearField("shape")
    made.graph.input[1].type.sequence_type.elem_type.tensor_type.elem_type = 1
    signature = inspected(tmp_path, made).signature
    assert signature.inputs[0].shape == (None, "T", 3)
    assert (signature.inputs[1].dtype, signature.inputs[1].shape) == ("sequence", ("...",))
    assert signature.outputs[0].shape == ("...",)


def test_operators_and_parameters_inside_branches_and_functions_count(tmp_path):
    weight = numpy_helper.from_array(np.ones(7, np.float32), "inner")
    relu = helper.make_node("Relu", ["inner"], ["b"])
    body = helper.make_graph([relu], "body", [], [helper.make_tensor_value_info("b", 1, [7])], [weight])
    nodes = [
        helper.make_node("If", ["image"], ["x"], then_branch=body, else_branch=body),
        helper.make_node("Twice", ["x"], ["scores"], domain="mine"),
    ]
    made = models.model(nodes, {}, opsets={"": 18, "mine": 1})
    add = helper.make_node("Add", ["a", "a"], ["b"])
    made.functions.append(helper.make_function("mine", "Twice", ["a"], ["b"], [add], [helper.make_opsetid("", 18)]))
    found = inspected(tmp_path, made)
    assert found.operators == {"Add": 1, "If": 1, "Relu": 2, "mine::Twice": 1}
    assert found.parameter_count == 14
    assert found.opsets == {"ai.onnx": 18, "mine": 1}


def test_quantised_models_with_vendor_operators_are_known(tmp_path):
    node = helper.make_node("QLinearAdd", ["image"] * 6, ["scores"], domain="com.microsoft")
    assert inspected(tmp_path, models.model([node], {})).operators == {"com.microsoft::QLinearAdd": 1}


def test_custom_operators_are_named(tmp_path):
    models.package(tmp_path, models.with_custom_operator)
    refused = refusal(tmp_path)
    assert refused.message == "operator com.acme::Foo is not in a known domain"
    assert refused.problems[0].field == "Foo"


def test_operators_that_onnx_does_not_have_are_named(tmp_path):
    made = models.model([helper.make_node("Sofmax", ["image"], ["scores"])], {})
    assert refusal(tmp_path, made).message == "operator ai.onnx::Sofmax does not exist"


def test_external_data_beside_the_model_belong_to_it(tmp_path):
    models.package(tmp_path, models.with_external_data)
    reading = read("onnx", tmp_path)
    assert reading.files == ("model.onnx", "weights.bin")
    assert reading.inspection.parameter_count == 2410


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("../../etc/passwd", "the location leads out of the package"),
        ("a/../../weights.bin", "the location leads out of the package"),
        ("/etc/passwd", "the location is not relative"),
        ("C:\\weights.bin", "the location is not relative"),
        ("C:/weights.bin", "the location is not relative"),
        ("..\\weights.bin", "the location is not relative"),
        ("", "no location is given"),
        (".", "no location is given"),
        ("nowhere.bin", "there is no such file in the package"),
        ("folder", "it is not a regular file"),
        ("model.onnx/x", "there is no such file in the package"),
        ("a\nb", "the location holds control characters"),
    ],
)
def test_external_data_elsewhere_are_refused(tmp_path, location, reason):
    models.with_data_at(tmp_path / "model" / "model.onnx", location)
    (tmp_path / "model" / "folder").mkdir()
    refused = refusal(tmp_path)
    assert refused.message.startswith(f"external data of tensor 'w1' at {location!r}: {reason}")
    assert [problem.field for problem in refused.problems] == ["w1", "b1", "w2", "b2"]


def test_links_and_pipes_are_no_external_data(tmp_path):
    outside = tmp_path / "outside" / "weights.bin"
    models.with_symlinked_data(tmp_path / "model" / "model.onnx", outside)
    assert "it is a symbolic link" in refusal(tmp_path).message
    (tmp_path / "model" / "weights.bin").unlink()
    os.mkfifo(tmp_path / "model" / "weights.bin")
    assert "it is not a regular file" in refusal(tmp_path).message


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("offset", "99999", "are needed, the file has"),
        ("offset", "-1", "whole numbers"),
        ("offset", "9" * 30, "whole numbers"),
        ("length", "1e3", "whole numbers"),
        ("length", "4", "length is 4, the declared dimensions need 40"),
        ("length", str(2**60), "are needed, the file has"),
    ],
)
def test_external_data_lie_inside_their_file(tmp_path, key, value, reason):
    path = models.with_external_data(tmp_path / "model" / "model.onnx")
    made = ModelProto.FromString(path.read_bytes())
    last = made.graph.initializer[3]
    next(entry for entry in last.external_data if entry.key == key).value = value
    refused = refusal(tmp_path, made)
    assert reason in refused.message
    assert refused.problems[0].field == "b2"


@pytest.mark.parametrize("keep", [0, 0.001, 0.1, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, keep):
    models.truncated(tmp_path / "model" / "model.onnx", keep=keep)
    assert "model/model.onnx is truncated or no ONNX model" in refusal(tmp_path).message


def test_a_large_model_cut_at_its_last_byte_is_refused(tmp_path):
    path = models.random_model(tmp_path / "model" / "model.onnx", megabytes=4)
    os.truncate(path, path.stat().st_size - 1)
    assert "needs 1 more" in refusal(tmp_path).message


def test_weights_are_never_read_into_memory(tmp_path):
    """A model of 1.9 GB whose weights are a hole in the file: only its structure is read."""
    size = 19 * 10**8
    made = models.model([helper.make_node("Relu", ["image"], ["scores"])], {})
    head = TensorProto(dims=[size // 4], data_type=1, name="w").SerializeToString() + b"\x4a" + encode_varint(size)
    field = b"\x2a" + encode_varint(len(head) + size) + head
    path = tmp_path / "model" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(made.SerializeToString() + b"\x3a" + encode_varint(len(field) + size) + field)
    os.truncate(path, path.stat().st_size + size)
    inspect("onnx", models.package(tmp_path / "warm"))
    tracemalloc.start()
    try:
        assert inspect("onnx", tmp_path).parameter_count == size // 4
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_files_that_no_runtime_could_read_are_refused(tmp_path):
    path = models.digits_like_mlp(tmp_path / "model" / "model.onnx")
    os.truncate(path, 2**31)
    assert "larger weights belong into external data" in refusal(tmp_path).message


@pytest.mark.parametrize("dims", [[2**62, 2**62], [11], [9], [-1], [1] * 40])
def test_declared_dimensions_must_match_the_data(tmp_path, dims):
    made = models.model([], {"w": np.ones(10, np.float32)})
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend(dims)
    assert refusal(tmp_path, made).problems[0].field == "w"


def test_left_out_data_are_measured_too(tmp_path):
    made = models.model([], {"w": np.ones(10_000, np.float32)})
    assert inspected(tmp_path, made).parameter_count == 10_000
    made.graph.initializer[0].dims[0] = 9_999
    assert "tensor 'w' does not hold [9999] elements" in refusal(tmp_path, made).message


@pytest.mark.parametrize("count", [3, 5000])
@pytest.mark.parametrize(
    "kind", ["FLOAT", "DOUBLE", "INT64", "UINT64", "INT32", "BOOL", "FLOAT16", "BFLOAT16", "UINT8", "STRING", "INT4"]
)
def test_typed_data_of_every_kind_are_accepted(tmp_path, kind, count):
    values = ["x"] * count if kind == "STRING" else [1] * count
    tensor = helper.make_tensor("w", getattr(TensorProto, kind), [count], values)
    made = models.model([], {})
    made.graph.initializer.append(tensor)
    assert inspected(tmp_path, made).parameter_count == count


@pytest.mark.parametrize("kind", ["INT4", "UINT2", "BFLOAT16", "FLOAT8E4M3FN"])
def test_small_types_are_packed(tmp_path, kind):
    tensor = helper.make_tensor("w", getattr(TensorProto, kind), [9], [1] * 9)
    made = models.model([], {})
    made.graph.initializer.append(tensor)
    raw = numpy_helper.from_array(numpy_helper.to_array(tensor), "raw")
    assert raw.HasField("raw_data")
    made.graph.initializer.append(raw)
    assert inspected(tmp_path, made).parameter_count == 18


def test_a_model_needs_outputs_and_an_operator_set(tmp_path):
    refused = refusal(tmp_path, ModelProto(ir_version=8))
    assert [problem.field for problem in refused.problems] == ["graph", "opset_import"]


def test_what_a_model_declares_must_fit_into_a_message(tmp_path):
    made = models.model([], {}, inputs={f"x{i}": [1] for i in range(2001)})
    assert "declares too much" in refusal(tmp_path, made).message
    made = models.model([], {}, inputs={"x" * 501: [1]})
    assert "out of bounds" in refusal(tmp_path, made).message
    nodes = [helper.make_node("Op" + "x" * 3000, ["image"], ["scores"], domain=f"d{i}") for i in range(100)]
    refused = refusal(tmp_path, models.model(nodes, {}))
    assert len(refused.problems) == 50
    assert max(len(problem.message) for problem in refused.problems) == 300


@pytest.mark.parametrize("name", [b"image", b"Flatten", b"modelyard-testkit", b"weights.bin", b"location", b"w1"])
def test_names_that_are_not_utf8_are_refused(tmp_path, name):
    path = models.with_external_data(tmp_path / "model" / "model.onnx")
    path.write_bytes(path.read_bytes().replace(name, b"\xff" * len(name)))
    assert refusal(tmp_path).message == "model/model.onnx holds a name that is not UTF-8"
