import pytest
from onnx import ModelProto, TensorProto, helper

from modelyard_formats.kinds.onnx.bulk import KINDS
from modelyard_formats.wire.protobuf_scan import (
    KEEP,
    MAX_FIELDS,
    Condenser,
    Malformed,
    encode_bytes,
    encode_number,
    encode_varint,
)
from modelyard_testkit import models


def condensed(data: bytes) -> ModelProto:
    return ModelProto.FromString(Condenser(data, KINDS).condense("Model"))


def test_small_models_come_back_unchanged(tmp_path):
    data = models.with_custom_operator(tmp_path / "m.onnx").read_bytes()
    assert Condenser(data, KINDS).condense("Model") == data


def test_large_weights_are_left_out_and_counted(tmp_path):
    data = models.random_model(tmp_path / "m.onnx", megabytes=4).read_bytes()
    model = condensed(data)
    (tensor,) = model.graph.initializer
    assert (tensor.name, list(tensor.dims), tensor.raw_data) == ("w000000", [1024, 1024], b"")
    assert (tensor.segment.begin, tensor.segment.end) == (9, 4 * 2**20)
    assert model.ByteSize() < KEEP
    tensor.ClearField("segment")
    whole = ModelProto.FromString(data)
    whole.graph.initializer[0].ClearField("raw_data")
    assert model == whole


def test_everything_but_data_survives_in_nested_graphs():
    inner = helper.make_tensor("inner", TensorProto.FLOAT, [5000], [0.5] * 5000)
    body = helper.make_graph([], "body", [], [helper.make_tensor_value_info("b", 1, [1])], [inner])
    node = helper.make_node("If", ["c"], ["scores"], then_branch=body, else_branch=body)
    model = condensed(models.model([node], {}).SerializeToString())
    (tensor,) = model.graph.node[0].attribute[0].g.initializer
    assert (tensor.segment.begin, tensor.segment.end) == (4, 20_000)


def test_long_runs_of_unpacked_numbers_are_one_step():
    node = helper.make_node("TreeEnsembleRegressor", ["image"], ["scores"], domain="ai.onnx.ml")
    node.attribute.append(helper.make_attribute("nodes_values", [0.5] * (2 * MAX_FIELDS)))
    model = condensed(models.model([node], {}).SerializeToString())
    assert model.graph.node[0].attribute[0].name == "nodes_values"
    assert not model.graph.node[0].attribute[0].floats


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_bytes(7, b"x" * 100)[:50], "in the middle of a field that needs 52 more"),
        (b"\x3b", "is no field of ModelProto"),
        (b"\xff" * 11, "cut off or too long"),
        (b"\x0d\x01", "in the middle of a field"),
        (encode_bytes(7, encode_bytes(1, b"") * (MAX_FIELDS + 1)), "more than 1,000,000 fields"),
    ],
)
def test_malformed_bytes_are_refused_with_the_place(data, reason):
    with pytest.raises(Malformed, match=reason):
        Condenser(data, KINDS).condense("Model")


def test_depth_is_bounded():
    data = b"x" * KEEP
    for _ in range(50):
        data = encode_bytes(1, encode_bytes(5, encode_bytes(6, data)))
    with pytest.raises(Malformed, match="nested more than 100 deep"):
        Condenser(encode_bytes(7, data), KINDS).condense("Model")


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63])
def test_encoded_numbers_are_what_protobuf_writes(value):
    expected = TensorProto.Segment(begin=value).SerializeToString() if value < 2**63 else None
    assert expected in (None, encode_number(1, value))
    assert len(encode_varint(value)) == max(1, -(-value.bit_length() // 7))
