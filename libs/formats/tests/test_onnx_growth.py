"""A small ONNX file that becomes large, or never ends, is refused before any runtime sees it; real ones are not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from modelyard_formats.errors import BadSource
from modelyard_formats.expansion import MAX_NODES
from modelyard_formats.format import Reading
from modelyard_formats.kinds.onnx.loops import MAX_STEPS
from modelyard_formats.table import read
from modelyard_testkit.processor_time import within

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def ints(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def scalar(name: str, value: float | bool, kind: int = INT64) -> TensorProto:
    return helper.make_tensor(name, kind, [], [value])


def graph(nodes: Sequence[NodeProto], stored: Sequence[TensorProto] = (), output: str = "y") -> GraphProto:
    x = helper.make_tensor_value_info("x", FLOAT, ["N", 4])
    return helper.make_graph(nodes, "main", [x], [helper.make_tensor_value_info(output, FLOAT, None)], stored)


def reading(root: Path, made: GraphProto, functions=(), opset: int = 18) -> Reading:
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    path = root / "model" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(made, opset_imports=opsets, functions=list(functions), ir_version=9)
    path.write_bytes(model.SerializeToString())
    return read("onnx", root)


def refusal(root: Path, made: GraphProto, functions=()) -> BadSource:
    with pytest.raises(BadSource) as caught:
        reading(root, made, functions)
    assert all(problem.file == "model/model.onnx" and problem.field for problem in caught.value.problems)
    return caught.value


def function(name: str, nodes: Sequence[NodeProto]):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, ["a"], ["c"], nodes, opsets)


def call(name: str, source: str, result: str) -> NodeProto:
    return node(name, [source], [result], domain="local")


def doubling(levels: int):
    """Functions that each call the next twice; the last one is one node."""
    calls = [function(f"f{i}", [call(f"f{i + 1}", "a", "b"), call(f"f{i + 1}", "b", "c")]) for i in range(levels)]
    return [*calls, function(f"f{levels}", [node("Relu", ["a"], ["c"])])]


@within(5)
def test_functions_that_become_more_nodes_than_anybody_can_run(tmp_path):
    refused = refusal(tmp_path, graph([call("f0", "x", "y")]), doubling(40))
    assert "nodes once its functions are written out" in refused.message
    assert refused.problems[0].rule == f"at most {MAX_NODES:,} nodes"
    main = next(problem for problem in refused.problems if problem.field == "graph")
    assert main.message == "graph has 1,099,511,627,776 nodes once its functions are written out"


def test_functions_within_bounds_are_fine(tmp_path):
    reading(tmp_path, graph([call("f0", "x", "y")]), doubling(10))


@pytest.mark.parametrize("circle", [["f"], ["f", "g"], ["f", "g", "h"]])
def test_functions_that_call_each_other_in_a_circle(tmp_path, circle):
    followers = [*circle[1:], circle[0]]
    made = [function(name, [call(after, "a", "c")]) for name, after in zip(circle, followers, strict=True)]
    refused = refusal(tmp_path, graph([call("f", "x", "y")]), made)
    assert refused.message.startswith("local::f calls itself: local::f → ")
    assert refused.problems[0].rule == "no function calls itself, directly or through others"


def test_a_circle_through_a_sub_graph(tmp_path):
    inner = helper.make_graph([call("f", "a", "t")], "then", [], [helper.make_tensor_value_info("t", FLOAT, None)])
    body = [
        node("Constant", [], ["k"], value=scalar("v", True, BOOL)),
        node("If", ["k"], ["c"], then_branch=inner, else_branch=inner),
    ]
    assert "calls itself" in refusal(tmp_path, graph([call("f", "x", "y")]), [function("f", body)]).message


@within(5)
def test_calls_in_calls(tmp_path):
    made = [function(f"f{i}", [call(f"f{i + 1}", "a", "c")]) for i in range(5_000)]
    refused = refusal(tmp_path, graph([call("f0", "x", "y")]), [*made, function("f5000", [node("Relu", ["a"], ["c"])])])
    assert "nests calls and sub-graphs" in refused.message


def test_a_function_that_is_there_twice_or_gets_a_graph(tmp_path):
    relu = function("f", [node("Relu", ["a"], ["c"])])
    assert "is defined 2 times" in refusal(tmp_path, graph([call("f", "x", "y")]), [relu, relu]).message
    handing = call("f", "x", "y")
    handing.attribute.append(helper.make_attribute("body", graph([node("Relu", ["x"], ["y"])])))
    assert "is given a sub-graph" in refusal(tmp_path, graph([handing]), [relu]).message


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Relu", ["x"], ["a"], name="n"), node("Relu", ["a"], ["y"], name="n")], "two nodes of the name 'n'"),
        ([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])], "defines 'y' twice"),
        ([node("Relu", ["x"], ["x"]), node("Abs", ["x"], ["y"])], "defines 'x' twice"),
        ([node("Relu", ["x"], ["w"]), node("Abs", ["w"], ["y"])], "defines 'w' twice"),
        ([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])], "of its own output"),
    ],
)
def test_names_that_stand_for_two_things(tmp_path, nodes, message):
    assert message in refusal(tmp_path, graph(nodes, [ints("w", 1)])).message


def test_two_stored_tensors_of_one_name(tmp_path):
    refused = refusal(tmp_path, graph([node("Relu", ["x"], ["y"])], [ints("w", 1), ints("w", 2)]))
    assert "stores two tensors of the name 'w'" in refused.message


def test_an_input_with_a_default_is_one_thing(tmp_path):
    made = graph([node("Add", ["x", "w"], ["y"])], [numpy_helper.from_array(np.ones(4, np.float32), "w")])
    made.input.append(helper.make_tensor_value_info("w", FLOAT, [4]))
    reading(tmp_path, made)


E5 = 100_000
SQUARE = [node("Mul", ["s", "s"], ["m"]), node("ConstantOfShape", ["m"], ["y"])]
DOUBLED = [node("Concat", [f"{i}", f"{i}"], [f"{i + 1}"], axis=0) for i in range(40)]
LARGE = [
    ([node("ConstantOfShape", ["s"], ["y"])], [ints("s", E5, E5)]),
    ([node("Expand", ["x", "s"], ["y"])], [ints("s", E5, E5, 1, 1)]),
    ([node("Tile", ["x", "s"], ["y"])], [ints("s", 1, 10**10)]),
    ([node("Tile", ["x", "s"], ["y"])], [ints("s", 2**62, 4)]),
    ([node("Range", ["s", "e", "d"], ["y"])], [scalar("s", 0), scalar("e", 10**12), scalar("d", 1)]),
    ([node("Pad", ["x", "s"], ["y"])], [ints("s", 0, 0, 0, 10**12)]),
    ([node("Resize", ["x", "", "s"], ["y"])], [helper.make_tensor("s", FLOAT, [2], [1e6, 1e6])]),
    ([node("Resize", ["x", "", "", "s"], ["y"])], [ints("s", E5, E5)]),
    ([node("OneHot", ["s", "d", "s"], ["y"])], [ints("s", 0, 1), scalar("d", 10**12)]),
    ([node("RandomNormal", [], ["y"], shape=[E5, E5])], []),
    ([node("RandomUniform", [], ["y"], shape=[E5, E5])], []),
    ([*DOUBLED, node("Relu", ["40"], ["y"])], [ints("0", 1)]),
    (SQUARE, [ints("s", E5, 1000)]),
    (SQUARE[::-1], [ints("s", E5, 1000)]),
    (
        [node("ConstantOfShape", ["two"], ["s"], value=ints("v", E5)), node("ConstantOfShape", ["s"], ["y"])],
        [ints("two", 2)],
    ),
    ([node("ConstantOfShape", ["a"], ["b"]), node("Shape", ["b"], ["s"]), *SQUARE], [ints("a", E5, 1000)]),
]


@pytest.mark.parametrize(("nodes", "stored"), LARGE)
@within(5)
def test_tensors_that_operators_make_large(tmp_path, nodes, stored):
    refused = refusal(tmp_path, graph(nodes, stored))
    assert "makes a tensor of" in refused.message
    assert refused.problems[0].rule == "tensors of at most 2,147,483,648 elements"


def test_products_of_what_is_not_large_yet(tmp_path):
    column = [
        node("ConstantOfShape", ["a"], ["c"]),
        node("ConstantOfShape", ["b"], ["r"]),
        node("MatMul", ["c", "r"], ["y"]),
    ]
    assert "MatMul 'y' makes a tensor" in refusal(tmp_path, graph(column, [ints("a", E5, 1), ints("b", 1, E5)])).message


def test_inside_of_functions_and_branches(tmp_path):
    body = [node("Constant", [], ["s"], value=ints("v", E5, E5)), node("ConstantOfShape", ["s"], ["c"])]
    assert "ConstantOfShape" in refusal(tmp_path, graph([call("f", "x", "y")]), [function("f", body)]).message
    inner = helper.make_graph(body, "then", [], [helper.make_tensor_value_info("c", FLOAT, None)])
    branch = node("If", ["k"], ["y"], then_branch=inner, else_branch=inner)
    problems = refusal(tmp_path, graph([branch], [scalar("k", True, BOOL)])).problems
    assert any(problem.message.startswith("ConstantOfShape") for problem in problems)


def test_declared_dimensions_whose_product_overflows(tmp_path):
    relu = graph([node("Relu", ["x"], ["y"])], [TensorProto(name="w", data_type=FLOAT, dims=[0, 2**62])])
    assert "tensor 'w' holds nothing and declares [0, 4611686018427387904]" in refusal(tmp_path, relu).message
    made = graph([node("Relu", ["x"], ["y"])])
    made.input[0].type.tensor_type.shape.dim[1].dim_value = 2**62
    assert "input 'x' has the shape [?, 4611686018427387904]" in refusal(tmp_path, made).message


def test_sparse_tensors_that_become_large(tmp_path):
    value = helper.make_tensor("v", FLOAT, [1], [1.0])
    sparse = helper.make_sparse_tensor(value, ints("i", 0), [2**20, 2**20])
    made = graph([node("Constant", [], ["y"], sparse_value=sparse)])
    assert "sparse tensor 'v' declares [1048576, 1048576]" in refusal(tmp_path, made).message
    made = graph([node("Relu", ["x"], ["y"])])
    made.sparse_initializer.append(sparse)
    assert "sparse tensor 'v'" in refusal(tmp_path, made).message


@within(5)
def test_what_says_how_many_axes_there_are_is_no_way_to_hold_the_inspection(tmp_path):
    axes = [node("RandomUniform", [], ["r"], shape=[2**30]), node("Cast", ["r"], ["s"], to=INT64)]
    found = reading(tmp_path, graph([*axes, node("ConstantOfShape", ["s"], ["y"])])).findings
    assert [(each.rule, each.severity) for each in found] == [("onnx-size", "suspicious")]


def test_sizes_that_inputs_decide_are_ordinary(tmp_path):
    nodes = [node("Shape", ["x"], ["s"]), node("ConstantOfShape", ["s"], ["o"]), node("Add", ["x", "o"], ["y"])]
    assert reading(tmp_path, graph(nodes)).findings == ()


def loop(count: str, condition: str, again: Sequence[NodeProto], stored=(), before=()) -> GraphProto:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [*again, node("Relu", ["state"], ["next"])],
        "body",
        [info("turn", INT64, []), info("asked", BOOL, []), info("state", FLOAT, None)],
        [info("again", BOOL, []), info("next", FLOAT, None)],
    )
    return graph([*before, node("Loop", [count, condition, "x"], ["y"], name="loop", body=body)], stored)


HOLDS = [node("Constant", [], ["again"], value=scalar("v", True, BOOL))]
HANDED_ON = [node("Identity", ["asked"], ["again"])]
BY_DATA = [node("ReduceSum", ["state"], ["sum"], keepdims=0), node("Cast", ["sum"], ["again"], to=BOOL)]
TRUE, FALSE = scalar("true", True, BOOL), scalar("false", False, BOOL)


@pytest.mark.parametrize(
    "made",
    [
        loop("", "", HOLDS),
        loop("", "true", HANDED_ON, [TRUE]),
        loop("", "true", [node("Not", ["false"], ["again"])], [TRUE, FALSE]),
        loop("n", "", HOLDS, [scalar("n", 2**63 - 1)]),
        loop("n", "true", HANDED_ON, [TRUE, scalar("n", MAX_STEPS)]),
        loop("n", "", HOLDS, [scalar("m", 2**20)], [node("Mul", ["m", "m"], ["n"])]),
    ],
)
def test_loops_that_nothing_ends_in_time(tmp_path, made):
    refused = refusal(tmp_path, made)
    assert refused.message.startswith("Loop 'loop' ")
    assert refused.problems[0].rule in ("loops that constants end", f"loops of at most {MAX_STEPS:,} nodes run")


@pytest.mark.parametrize(
    ("made", "severity"),
    [
        (loop("n", "", HOLDS, [scalar("n", 1000)]), None),
        (loop("", "false", HANDED_ON, [FALSE]), None),
        (loop("n", "", HOLDS, before=[node("Size", ["x"], ["n"])]), "info"),
        (loop("n", "true", BY_DATA, [TRUE, scalar("n", 2**63 - 1)]), "suspicious"),
        (loop("", "true", BY_DATA, [TRUE]), "suspicious"),
    ],
)
def test_loops_that_data_end_are_recorded(tmp_path, made, severity):
    assert [each.severity for each in reading(tmp_path, made).findings] == ([severity] if severity else [])


def test_loops_in_loops_count_together(tmp_path):
    inner = loop("n", "", HOLDS, [scalar("n", 10_000)]).node[0]
    inner.input[2] = "state"
    made = loop("n", "", [*HOLDS, inner], [scalar("n", 10_000)])
    assert "times" in refusal(tmp_path, made).message


@pytest.mark.parametrize(
    "location", ["config.json", "CONFIG.JSON", "model.onnx", "customize_service.py", "sub/notes.txt"]
)
def test_weights_lie_in_data_files(tmp_path, location):
    weights = helper.make_tensor("w", FLOAT, [1], [1.0])
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    for name in (location, "config.json"):
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_text("{}  ")
    refused = refusal(tmp_path, graph([node("Relu", ["x"], ["y"])], [weights]))
    assert refused.message == f"external data of tensor 'w' at {location!r}: the location is no data file"


def test_bytes_that_many_tensors_share(tmp_path):
    stored = []
    for number in range(50):
        tensor = TensorProto(name=f"w{number}", data_type=FLOAT, dims=[256], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="weights.bin")
        stored.append(tensor)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(bytes(1024))
    refused = refusal(tmp_path, graph([node("Relu", ["x"], ["y"])], stored))
    assert refused.message == "50 tensors need 51,200 bytes of external data, the files have 1,024"
    reading(tmp_path, graph([node("Relu", ["x"], ["y"])], stored[:10]))
