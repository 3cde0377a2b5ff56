"""Other formats whose graphs call graphs: functions of TensorFlow, graphs of TFLite, bodies of OpenVINO's layers.

And how functions are counted, against writing them out.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from onnx import GraphProto, helper
from onnx.inliner import inline_local_functions

from modelyard_formats.errors import BadSource
from modelyard_formats.expansion import MAX_NODES, Body, Recursive, expanded
from modelyard_formats.kinds.onnx.functions import MAIN, bodies_of
from modelyard_formats.kinds.tensorflow.files import MESSAGES
from modelyard_formats.kinds.tflite.schema import OPERATORS
from modelyard_formats.table import inspect, read
from modelyard_testkit import models
from modelyard_testkit.processor_time import within

RECURSION = "no function calls itself, directly or through others"


def refusal(format_name: str, root: Path) -> BadSource:
    with pytest.raises(BadSource) as caught:
        inspect(format_name, root)
    return caught.value


def tensorflow(root: Path, functions: Mapping[bytes, Sequence[tuple[bytes, Sequence[bytes]]]]) -> Path:
    """A frozen graph that calls `f0`. Of each node its operator and the functions that its attributes name."""
    graph = MESSAGES["Graph"]()
    graph.node.add(name=b"y", op=b"f0")
    for name, nodes in functions.items():
        made = graph.library.function.add()
        made.signature.name = name
        for number, (op, called) in enumerate(nodes):
            node = made.node.add(name=b"%d" % number, op=op)
            for each in called:
                node.attr.add(key=b"body").value.func.name = each
            node.attr.add(key=b"branches").value.list.func.extend(MESSAGES["Called"](name=each) for each in called[1:])
    (root / "model").mkdir(parents=True)
    (root / "model" / "net.pb").write_bytes(graph.SerializeToString())
    return root


@within(5)
def test_functions_of_tensorflow(tmp_path: Path) -> None:
    halves = {b"f%d" % i: [(b"PartitionedCall", [b"f%d" % (i + 1)])] * 2 for i in range(40)}
    refused = refusal("tensorflow-frozen-graph", tensorflow(tmp_path, {**halves, b"f40": [(b"Relu", [])]}))
    assert "nodes once its functions are written out" in refused.message
    assert refused.problems[0].rule == f"at most {MAX_NODES:,} nodes"


@pytest.mark.parametrize(
    "functions",
    [
        {b"f0": [(b"f0", [])]},
        {b"f0": [(b"While", [b"c", b"b"])], b"c": [(b"Less", [])], b"b": [(b"StatelessIf", [b"c", b"f0"])]},
    ],
)
def test_functions_of_tensorflow_in_a_circle(tmp_path: Path, functions: Any) -> None:
    refused = refusal("tensorflow-frozen-graph", tensorflow(tmp_path, functions))
    assert refused.problems[0].rule == RECURSION


def test_functions_of_tensorflow_have_names_of_their_own(tmp_path: Path) -> None:
    assert "two functions of one name" in refusal("tensorflow-frozen-graph", tensorflow(tmp_path, {b"": []})).message


class Writer:
    """FlatBuffers, front to back: offsets are set when what they point to is written."""

    def __init__(self) -> None:
        self.data = bytearray(b"\0\0\0\0TFL3")

    def table(self, fields: Mapping[int, int | None]) -> tuple[int, dict[int, int]]:
        """A table of 4-byte fields: numbers, or None for an offset yet to be set. Where it lies, where its fields."""
        count = max(fields, default=-1) + 1
        places = {field: 4 + 4 * index for index, field in enumerate(fields)}
        vtable = len(self.data)
        self.data += struct.pack(
            f"<HH{count}H", 4 + 2 * count, 4 + 4 * len(fields), *(places.get(i, 0) for i in range(count))
        )
        at = len(self.data)
        self.data += struct.pack("<i", at - vtable) + b"".join(
            struct.pack("<i", value or 0) for value in fields.values()
        )
        return at, {field: at + place for field, place in places.items()}

    def vector(self, place: int, count: int) -> list[int]:
        """Places of as many offsets or numbers."""
        self.point(place, len(self.data))
        at = len(self.data) + 4
        self.data += struct.pack("<I", count) + bytes(4 * count)
        return [at + 4 * index for index in range(count)]

    def point(self, place: int, target: int) -> None:
        struct.pack_into("<I", self.data, place, target - place)


def tflite(root: Path, graphs: Sequence[Sequence[tuple[str, Sequence[int]]]], shape: Sequence[int] = (1,)) -> Path:
    """Of each operator its name and the graphs in its options; the first graph has one tensor."""
    names, file = sorted({name for graph in graphs for name, _ in graph}), Writer()
    model, places = file.table({0: 3, 1: None, 2: None})
    file.point(0, model)
    for place, name in zip(file.vector(places[1], len(names)), names, strict=True):
        file.point(place, file.table({3: OPERATORS.index(name)})[0])
    for place, graph in zip(file.vector(places[2], len(graphs)), graphs, strict=True):
        at, fields = file.table({0: None, 3: None})
        file.point(place, at)
        (tensor,) = file.vector(fields[0], 1)
        at, inner = file.table({0: None})
        file.point(tensor, at)
        for axis, size in zip(file.vector(inner[0], len(shape)), shape, strict=True):
            struct.pack_into("<i", file.data, axis, size)
        for operator, (name, called) in zip(file.vector(fields[3], len(graph)), graph, strict=True):
            at, parts = file.table({0: names.index(name), 4: None})
            file.point(operator, at)
            file.point(parts[4], file.table(dict(enumerate(called)))[0])
    (root / "model").mkdir(parents=True)
    (root / "model" / "net.tflite").write_bytes(bytes(file.data))
    return root


def test_graphs_of_tflite_that_run_each_other(tmp_path: Path) -> None:
    fine = tflite(tmp_path / "fine", [[("WHILE", [1, 2])], [("LESS", [])], [("ADD", []), ("CALL", [1])]])
    assert inspect("tflite", fine).operators == {"ADD": 1, "CALL": 1, "LESS": 1, "WHILE": 1}
    for number, graphs in enumerate(
        [[[("CALL", [0])]], [[("IF", [1, 1])], [("WHILE", [2, 2])], [("CALL_ONCE", [1])]], [[("CALL", [])]]]
    ):
        assert refusal("tflite", tflite(tmp_path / str(number), graphs)).problems[0].rule == RECURSION


@within(5)
def test_graphs_of_tflite_that_become_many(tmp_path: Path) -> None:
    halves = [[("IF", [i + 1, i + 1])] for i in range(40)]
    refused = refusal("tflite", tflite(tmp_path, [*halves, [("ADD", [])]]))
    assert refused.problems[0].rule == f"at most {MAX_NODES:,} nodes"


def test_tensors_of_tflite_that_are_too_large(tmp_path: Path) -> None:
    assert "more than 2,147,483,648 elements" in refusal("tflite", tflite(tmp_path, [[]], (2**30, 4))).message


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ('shape="?,1,8,8"', 'shape="?,1,4611686018427387904,8"', "Parameter"),
        ('shape="?,1,8,8"', 'shape="0,1,4611686018427387904,8"', "Parameter"),
        ("<dim>32</dim>", "<dim>99999999999</dim>", "makes a tensor of shape"),
    ],
)
def test_tensors_of_openvino_that_are_too_large(tmp_path: Path, old: str, new: str, shown: str) -> None:
    path = models.package(tmp_path, models.openvino_ir) / "model" / "model.xml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    refused = refusal("openvino", tmp_path)
    assert shown in refused.message
    assert refused.problems[0].rule == "tensors of at most 2,147,483,648 elements"


def test_bodies_of_openvino(tmp_path: Path) -> None:
    path = models.package(tmp_path, models.openvino_ir) / "model" / "model.xml"
    text = path.read_text()

    def nested(depth: int) -> str:
        layer = '<layer id="99" name="loop" type="Loop" version="opset5"><body><layers>'
        return text.replace("</layers>", f"{layer * depth}{'</layers></body></layer>' * depth}</layers>", 1)

    path.write_text(nested(2))
    assert [(each.rule, each.severity) for each in read("openvino", tmp_path).findings] == [("openvino-loop", "info")]
    path.write_text(nested(101))
    assert "nests bodies 101 deep" in refusal("openvino", tmp_path).message


def random_functions(random: Random) -> Any:
    """A model whose functions call later ones, in and out of branches."""
    count = random.randint(1, 6)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]

    def nodes(level: int) -> list[Any]:
        made, source = [], "a"
        for number in range(random.randint(1, 4)):
            result, later = f"t{number}", level + 1 + random.randrange(count)
            kind = random.choice(["Relu", "call", "If"]) if later < count else "Relu"
            if kind == "call":
                made.append(helper.make_node(f"f{later}", [source], [result], domain="local"))
            elif kind == "If":
                made.append(helper.make_node("Constant", [], [f"k{number}"], value_int=1))
                made.append(helper.make_node("Cast", [f"k{number}"], [f"c{number}"], to=9))
                made.append(
                    helper.make_node(
                        "If",
                        [f"c{number}"],
                        [result],
                        then_branch=branch(later, source),
                        else_branch=branch(later, source),
                    )
                )
            else:
                made.append(helper.make_node("Relu", [source], [result]))
            source = result
        return [*made, helper.make_node("Relu", [source], ["c"])]

    def branch(called: int, source: str) -> GraphProto:
        node = helper.make_node(f"f{called}", [source], ["inner"], domain="local")
        return helper.make_graph([node], "branch", [], [helper.make_tensor_value_info("inner", 1, None)])

    functions = [helper.make_function("local", f"f{i}", ["a"], ["c"], nodes(i), opsets) for i in range(count)]
    main = helper.make_node("f0", ["x"], ["y"], domain="local")
    ends = [helper.make_tensor_value_info(name, 1, None) for name in "xy"]
    return helper.make_model(
        helper.make_graph([main], "main", ends[:1], ends[1:]), functions=functions, opset_imports=opsets
    )


def counted(graph: GraphProto) -> int:
    return sum(1 + sum(counted(each.g) for each in node.attribute if each.HasField("g")) for node in graph.node)


@pytest.mark.parametrize("seed", range(40))
def test_functions_are_counted_as_onnx_writes_them_out(seed: int) -> None:
    model = random_functions(Random(seed))
    assert expanded(bodies_of(model))[MAIN].nodes == counted(inline_local_functions(model).graph)


def brute(bodies: Mapping[int, Body[int]], key: int, path: tuple[int, ...] = ()) -> tuple[int, int]:
    if key in path:
        raise Recursive(path[path.index(key) :])
    if key not in bodies:
        return 1, 0
    inner = [(brute(bodies, called, (*path, key)), at) for called, at in bodies[key].calls]
    deepest = max((at + 1 + depth for (_, depth), at in inner), default=0)
    return bodies[key].nodes + sum(nodes for (nodes, _), _ in inner), max(bodies[key].depth, deepest)


@pytest.mark.parametrize("seed", range(200))
def test_any_calls_at_all(seed: int) -> None:
    random = Random(seed)
    bodies = {}
    for key in random.sample(range(8), random.randint(1, 7)):
        calls = [(random.randrange(8), random.randrange(3)) for _ in range(random.randrange(3))]
        bodies[key] = Body(random.randrange(5), calls, random.randrange(4))
    try:
        wanted = {key: brute(bodies, key) for key in bodies}
    except Recursive:
        with pytest.raises(Recursive) as caught:
            expanded(bodies)
        names = caught.value.names
        for here, after in zip(names, (*names[1:], names[0]), strict=True):
            assert after in [called for called, _ in bodies[here].calls]
    else:
        assert {key: (size.nodes, size.depth) for key, size in expanded(bodies).items()} == wanted
