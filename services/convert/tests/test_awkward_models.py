"""Models that public reports tell of: each is converted, or refused with a reason that helps."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

from modelyard_contracts.failures import Failure
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Bounds, ConversionOrder, Tolerance
from modelyard_convert import orders
from modelyard_convert.children import refit
from modelyard_convert.children.protocol import Samples, Work
from modelyard_convert.errors import NothingChanged
from modelyard_convert.toolchains import TARGETS
from modelyard_convert.toolchains.onnx import quantising
from modelyard_convert.toolchains.openvino.program import _reason

RANDOM = np.random.default_rng(11)
CONFIG = PackageConfig(model_algorithm="other", model_type="ONNX")
VECTORS = RANDOM.standard_normal((64, 32)).astype(np.float32)


@pytest.fixture(autouse=True)
def same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever tests ran before."""
    monkeypatch.setitem(globals(), "RANDOM", np.random.default_rng(11))


def normal(*shape: int, scale: float = 0.3) -> Any:
    return (RANDOM.standard_normal(shape) * scale).astype(np.float32)


def network(nodes: list[Any], x: Any, outputs: list[Any], **initial: Any) -> Any:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in initial.items()]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], outputs, tensors), ir_version=8, opset_imports=opsets)


def value(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def in_halves() -> Any:
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w2"], ["y"]),
    ]
    kind = TensorProto.FLOAT16
    weights = {"w1": normal(32, 64).astype(np.float16), "w2": normal(64, 8).astype(np.float16)}
    return network(nodes, value("x", ["n", 32], kind), [value("y", ["n", 8], kind)], **weights)


def overflowing() -> Any:
    """60000 times its input on the way, and back again."""
    nodes = [
        helper.make_node("Mul", ["x", "k"], ["a"], name="up"),
        helper.make_node("ReduceMean", ["a"], ["b"], name="mean", axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["b", "ik"], ["c"], name="down"),
        helper.make_node("MatMul", ["c", "w"], ["y"], name="last"),
    ]
    weights = {"k": np.float32(60000), "ik": np.float32(1 / 60000), "w": normal(3, 4)}
    return network(nodes, value("x", ["n", 3, 8, 8]), [value("y", ["n", 4])], **weights)


def with_maps() -> Any:
    """As skl2onnx writes a classifier."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w2"], ["c"]),
        helper.make_node("Softmax", ["c"], ["p"], axis=1),
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
        helper.make_node("ZipMap", ["p"], ["probs"], domain="ai.onnx.ml", classlabels_int64s=[4, 5, 6]),
    ]
    maps = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    outputs = [
        value("label", ["n"], TensorProto.INT64),
        helper.make_value_info("probs", helper.make_sequence_type_proto(maps)),
    ]
    return network(nodes, value("x", ["n", 32]), outputs, w1=normal(32, 64), w2=normal(64, 3))


def stored_small() -> Any:
    """Weights in int8 that are multiplied out at run time."""
    nodes = [
        helper.make_node("Cast", ["wq"], ["wf"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wf", "s"], ["wd"]),
        helper.make_node("MatMul", ["x", "wd"], ["y"]),
    ]
    weights = {"wq": RANDOM.integers(-127, 128, (32, 4096)).astype(np.int8), "s": normal(1, 4096)}
    return network(nodes, value("x", ["n", 32]), [value("y", ["n", 4096])], **weights)


def request(bench: Any, target: str, made: Any, samples: Any = VECTORS, **changes: Any) -> Any:
    return bench.request(target, bench.package(made, samples=samples), config=CONFIG, **changes)


@pytest.mark.parametrize("target", ["onnx-int8-dynamic", "onnx-int8-static"])
def test_int8_of_a_model_in_fp16(bench: Any, target: str) -> None:
    wanted = request(bench, target, in_halves(), VECTORS.astype(np.float16))
    report = bench.convert(wanted)
    assert report.parity.verdict == "passed", report.parity.reason
    assert report.changed == 2
    assert [spec.dtype for spec in report.inspection.signature.inputs] == ["float16"]
    assert report.benchmark.result.size < report.benchmark.source.size


def test_what_would_overflow_in_fp16_stays_in_fp32(bench: Any) -> None:
    images = (RANDOM.random((40, 3, 8, 8)) * RANDOM.uniform(1, 6, (40, 3, 1, 1))).astype(np.float32)
    wanted = request(bench, "onnx-fp16", overflowing(), images)
    report = bench.convert(wanted)
    assert report.parity.verdict == "passed", report.parity.reason
    assert any(
        "kept in fp32, because `b` reaches" in note and "`up`, `mean`, `down`" in note for note in report.parity.notes
    )
    made = onnx.load(wanted.result / "model" / "model.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    assert kinds == {"k": TensorProto.FLOAT, "ik": TensorProto.FLOAT, "w": TensorProto.FLOAT16}


def test_what_would_overflow_on_another_device_is_told(bench: Any) -> None:
    images = (RANDOM.random((40, 3, 8, 8)) * RANDOM.uniform(1, 6, (40, 3, 1, 1))).astype(np.float32)
    report = bench.convert(request(bench, "openvino-fp16", overflowing(), images))
    assert any("a device that computes in fp16 ends at 65504" in note for note in report.parity.notes)


def test_a_shape_that_the_source_declares_wrongly_does_not_count(bench: Any) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Reshape", ["a", "shape"], ["y"])]
    made = network(nodes, value("x", ["n", 32]), [value("y", ["n", 8])], w=normal(32, 8), shape=np.array([1, -1, 8]))
    with pytest.raises(onnx.shape_inference.InferenceError):
        onnx.checker.check_model(made, full_check=True)
    report = bench.convert(request(bench, "onnx-fp16", made))
    assert report.parity.verdict == "passed", report.parity.reason
    assert "a shape is declared that the model does not have" in "\n".join(bench.lines)


def test_what_is_quantised_already_is_not_halved(bench: Any, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b4", "k"], ["c"]),
    ]
    nodes.insert(2, helper.make_node("Reshape", ["b", "shape"], ["b4"]))
    made = network(
        nodes,
        value("x", ["n", 32]),
        [value("c", ["n", 4, 6, 6])],
        w1=normal(32, 64),
        k=normal(4, 1, 3, 3),
        shape=np.array([-1, 1, 8, 8]),
    )
    onnx.save(made, tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"])
    wanted = request(bench, "onnx-fp16", onnx.load(tmp_path / "int8.onnx"))
    report = bench.convert(wanted)
    assert report.parity.verdict == "passed", report.parity.reason
    kinds = {each.name: each.data_type for each in onnx.load(wanted.result / "model" / "model.onnx").graph.initializer}
    assert kinds["k"] == TensorProto.FLOAT16
    assert TensorProto.INT8 in kinds.values() or TensorProto.UINT8 in kinds.values()


def test_a_variance_that_folds_away_is_no_large_weight(bench: Any) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["a", "s", "b", "m", "v"], ["y"]),
    ]
    made = network(
        nodes,
        value("x", ["n", 3, 8, 8]),
        [value("y", ["n", 4, 8, 8])],
        k=normal(4, 3, 3, 3) * np.float32(9e3),
        **{"s": normal(4), "b": normal(4), "m": normal(4), "v": np.full(4, 9e7, np.float32)},
    )
    wanted = request(bench, "onnx-fp16", made, RANDOM.standard_normal((40, 3, 8, 8)).astype(np.float32))
    report = bench.convert(wanted)
    assert report.parity.verdict == "passed", report.parity.reason
    assert not report.parity.notes
    stored = onnx.load(wanted.result / "model" / "model.onnx")
    assert [node.op_type for node in stored.graph.node if node.op_type != "Cast"] == ["Conv"]


def branching() -> Any:
    """Both branches take what lies around them, and something follows."""

    def branch(name: str, factor: float) -> Any:
        nodes = [
            helper.make_node("MatMul", ["a", f"{name}w"], [f"{name}m"]),
            helper.make_node("Mul", [f"{name}m", f"{name}k"], [f"{name}y"]),
        ]
        weights = {f"{name}w": normal(64, 8), f"{name}k": np.float32(factor)}
        tensors = [numpy_helper.from_array(np.asarray(each), key) for key, each in weights.items()]
        return helper.make_graph(nodes, name, [], [value(f"{name}y", ["n", 8])], tensors)

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="around"),
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["i"], then_branch=branch("t", 1.0), else_branch=branch("f", -2.0)),
        helper.make_node("Conv", ["i4", "k"], ["c"]),
        helper.make_node("Softmax", ["c2"], ["y"]),
    ]
    nodes.insert(4, helper.make_node("Reshape", ["i", "four"], ["i4"]))
    nodes.insert(6, helper.make_node("Reshape", ["c", "two"], ["c2"]))
    shapes = {"four": np.array([-1, 8, 1, 1]), "two": np.array([-1, 4])}
    weights = {"w": normal(32, 64), "zero": np.float32(0), "k": normal(4, 8, 1, 1), **shapes}
    return network(nodes, value("x", ["n", 32]), [value("y", ["n", 4])], **weights)


@pytest.mark.parametrize("target", ["onnx-fp16", "onnx-int8-dynamic", "onnx-int8-static", "openvino-fp16"])
def test_a_node_whose_bodies_take_what_lies_around_them_stays_behind_it(bench: Any, target: str) -> None:
    report = bench.convert(request(bench, target, branching()))
    assert report.parity.verdict == "passed", report.parity.reason
    assert report.changed >= 1


def test_what_openvino_cannot_convert_comes_with_its_reason() -> None:
    message = """Model wasn't fully converted. Failed operations detailed log:
-- Conv-15 with a message:
While validating ONNX node '<Node(Conv): c>': Check 'rank().is_static()' failed at src/op/conv.cpp:38:
The input data tensor's rank has to be known (static)

Summary:
-- Conversion is failed for: Conv-15
"""
    assert _reason(message) == "Conv: The input data tensor's rank has to be known (static)"
    assert _reason("one\n\nthe last line\n") == "the last line"


def test_probabilities_along_a_sequence_are_no_classes(bench: Any) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Squeeze", ["s", "last"], ["y"]),
    ]
    made = network(
        nodes, value("x", ["steps", 32]), [value("y", ["steps"])], w=normal(32, 1, scale=1.0), last=np.array([1])
    )
    config = PackageConfig.model_validate(
        {
            "model_algorithm": "other",
            "model_type": "ONNX",
            "inputs": [{"name": "x", "batched": False}],
        }
    )
    package = bench.package(made, samples=VECTORS[:6])
    for number in range(1, 20):
        np.save(package / "calibration_data" / f"{number}.npy", RANDOM.standard_normal((6, 32)).astype(np.float32))
    report = bench.convert(bench.request("onnx-fp16", package, config=config))
    assert report.parity.verdict == "passed", report.parity.reason
    (output,) = report.parity.outputs
    assert output.role == "scores"
    assert "one class" in {measure.name for measure in output.measures}
    assert all("class 5" not in measure.where for measure in output.measures)


def test_without_samples_nobody_knows_what_overflows(bench: Any) -> None:
    report = bench.convert(request(bench, "onnx-fp16", overflowing(), []))
    assert any("no samples show whether anything inside is beyond 65504" in note for note in report.parity.notes)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_maps_from_class_to_score(bench: Any, target: str) -> None:
    wanted = request(bench, target, with_maps())
    if target == "onnx-optimized":
        with pytest.raises(NothingChanged):
            bench.convert(wanted)
        return
    report = bench.convert(wanted)
    assert report.parity.verdict == "passed", report.parity.reason
    assert {output.name: output.role for output in report.parity.outputs} == {"label": "classes", "probs": "scores"}


def test_small_weights_are_not_unpacked(bench: Any) -> None:
    with pytest.raises(NothingChanged, match=r"constants stay as they are stored: folded, 1[0-9]+ bytes became 5"):
        bench.convert(request(bench, "onnx-optimized", stored_small()))


def test_a_result_that_grew_says_so(bench: Any) -> None:
    """A table in fp16 that stays out of int8 is widened with the rest."""
    kind = TensorProto.FLOAT16
    nodes = [helper.make_node("Gather", ["table", "x"], ["e"]), helper.make_node("MatMul", ["e", "w"], ["y"])]
    weights = {"table": normal(4096, 32).astype(np.float16), "w": normal(32, 4).astype(np.float16)}
    made = network(nodes, value("x", ["n"], TensorProto.INT64), [value("y", ["n", 4], kind)], **weights)
    report = bench.convert(request(bench, "onnx-int8-dynamic", made, RANDOM.integers(0, 4096, 40)))
    assert any("the result is larger than the source" in note for note in report.parity.notes)


def test_text_needs_real_samples(bench: Any, tmp_path: Path) -> None:
    nodes = [
        helper.make_node(
            "LabelEncoder", ["x"], ["i"], domain="ai.onnx.ml", keys_strings=["a", "b"], values_int64s=[0, 1]
        ),
        helper.make_node("Gather", ["table", "i"], ["e"]),
        helper.make_node("MatMul", ["e", "w"], ["y"]),
    ]
    made = network(
        nodes, value("x", ["n"], TensorProto.STRING), [value("y", ["n", 4])], table=normal(2, 64), w=normal(64, 4)
    )
    with pytest.raises(Failure, match="input `x` takes text, which cannot be made up"):
        bench.convert(request(bench, "onnx-int8-dynamic", made, []))
    for target in ("onnx-int8-dynamic", "onnx-int8-static", "onnx-fp16"):
        report = bench.convert(request(bench, target, made, RANDOM.choice(["a", "b"], 40)))
        assert report.parity.verdict == "passed", report.parity.reason


def test_bounds_for_what_is_not_there_are_refused(yard: Any) -> None:
    source = orders.source_of(yard.publish(), TARGETS["onnx-fp16"])
    bounds = {"max_rel_error": 1, "min_cosine": 0, "min_top1_agreement": 0}
    wrong = Tolerance(**bounds, roles={"score": Bounds()}, outputs={"scores": Bounds(), "boxes": Bounds()})
    with pytest.raises(Failure) as caught:
        orders.check_tolerance(ConversionOrder(target="onnx-fp16", tolerance=wrong), source)
    assert [problem.field for problem in caught.value.problems] == [
        "order.tolerance.roles.score",
        "order.tolerance.outputs.boxes",
    ]
    orders.check_tolerance(ConversionOrder(target="onnx-fp16"), source)


def test_a_library_that_fails_names_no_folder_of_the_worker(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "def convert(work):\n    raise ValueError(f'{work.source}/model/a.onnx: see /opt/build/lib/file.cc:12')\n"
    )
    folders = {name: str(tmp_path / name) for name in ("source", "result", "scratch")}
    samples = {"path": str(tmp_path / "none.npz"), "inputs": [], "count": 0}
    asked = {"program": str(program), "convert": "convert", "check": None, "options": {}, "samples": samples}
    answer = refit.main(asked | folders, print)
    assert answer == {"refused": "ToolchainFailed", "said": ["ValueError: model/a.onnx: see file.cc:12"]}


def attending() -> Any:
    """Attention over eight steps; those whose first number is under -0.5 are masked as BERT does it."""
    nodes = [
        helper.make_node("Reshape", ["x", "steps"], ["r"]),
        helper.make_node("MatMul", ["r", "wq"], ["q"]),
        helper.make_node("MatMul", ["r", "wk"], ["k"]),
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["near"]),
        helper.make_node("Slice", ["r", "zero", "one", "axis"], ["first"]),
        helper.make_node("Less", ["first", "least"], ["hidden"]),
        helper.make_node("Cast", ["hidden"], ["h"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["h", "lowest"], ["m"]),
        helper.make_node("Transpose", ["m"], ["mask"], perm=[0, 2, 1]),
        helper.make_node("Add", ["near", "mask"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "r"], ["found"]),
        helper.make_node("Reshape", ["found", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "wo"], ["y"]),
    ]
    numbers = {"zero": np.array([0]), "one": np.array([1]), "axis": np.array([2]), "least": np.float32(-0.5)}
    shapes = {"steps": np.array([-1, 8, 4]), "flat": np.array([-1, 32]), "lowest": np.float32(-1e9)}
    weights = {"wq": normal(4, 4, scale=1.0), "wk": normal(4, 4, scale=1.0), "wo": normal(32, 6)}
    return network(nodes, value("x", ["n", 32]), [value("y", ["n", 6])], **weights, **numbers, **shapes)


def test_what_a_mask_goes_through_stays_in_float(bench: Any) -> None:
    report = bench.convert(request(bench, "onnx-int8-static", attending()))
    assert report.parity.verdict == "passed", report.parity.reason


@pytest.mark.parametrize("target", ["onnx-int8-dynamic", "onnx-int8-static"])
def test_what_holds_nothing_for_int8_says_so(bench: Any, target: str) -> None:
    nodes = [helper.make_node("LinearRegressor", ["x"], ["y"], domain="ai.onnx.ml", coefficients=[0.5] * 32)]
    with pytest.raises(NothingChanged, match=r"it has none of .*MatMul, only 1 LinearRegressor"):
        bench.convert(request(bench, target, network(nodes, value("x", ["n", 32]), [value("y", ["n", 1])])))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    kind = TensorProto.DOUBLE
    double = network(nodes, value("x", ["n", 32], kind), [value("y", ["n", 4], kind)], w=normal(32, 4).astype(float))
    with pytest.raises(NothingChanged, match="its weights are float64"):
        bench.convert(request(bench, target, double))


def test_an_old_file_whose_weights_are_inputs_is_optimised(bench: Any) -> None:
    """IR 3: a fused bias is no input of its graph."""
    nodes = [
        helper.make_node("Reshape", ["x", "square"], ["r"]),
        helper.make_node("Conv", ["r", "k"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], ["b"]),
        helper.make_node("Flatten", ["b"], ["y"]),
    ]
    folded = {name: np.abs(normal(3, scale=1.0)) + 1 for name in ("scale", "bias", "mean", "var")}
    made = network(
        nodes,
        value("x", ["n", 32]),
        [value("y", ["n", 60])],
        square=np.array([-1, 1, 8, 4]),
        k=normal(3, 1, 3, 3),
        **folded,
    )
    del made.graph.output[0].type.tensor_type.shape.dim[:]
    made.graph.input.extend(value(each.name, list(each.dims), each.data_type) for each in made.graph.initializer)
    made.ir_version = 3
    del made.opset_import[:]
    made.opset_import.append(helper.make_opsetid("", 9))
    report = bench.convert(request(bench, "onnx-optimized", made))
    assert report.parity.verdict == "passed", report.parity.reason


def test_an_output_that_is_no_tensor_is_told(bench: Any) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("SequenceConstruct", ["y", "y"], ["both"])]
    made = network(nodes, value("x", ["n", 32]), [value("y", ["n", 4])], w=normal(32, 4))
    made.graph.output.append(helper.make_tensor_sequence_value_info("both", TensorProto.FLOAT, None))
    report = bench.convert(request(bench, "onnx-fp16", made))
    assert report.parity.verdict == "passed", report.parity.reason
    assert "output both: it is no tensor and is not compared" in report.parity.notes


def test_a_quantiser_that_cannot_do_channels_does_tensors() -> None:
    asked, said = list[bool](), list[str]()

    def quantise(per_channel: bool) -> None:
        asked.append(per_channel)
        if per_channel:
            raise ValueError("ambiguous")

    work = Work(
        source=Path(), result=Path(), scratch=Path(), options={"per_channel": True},
        samples=Samples(Path(), [], 0), log=said.append,
    )  # fmt: skip
    assert quantising._by_channel(work, quantise) == (
        "one scale per tensor, for one per channel was too much for the quantiser",
    )
    assert asked == [True, False]
    assert "ambiguous" in said[0]
