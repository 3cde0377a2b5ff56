"""MindIR as MindSpore describes it (fixtures/make_mindspore.py), the others built from their published schemas."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_formats.kinds.mindspore import mindir_format, om_format
from modelyard_formats.package.check import PackageReport, check_package
from modelyard_formats.skim import skimmer_for

FIXTURES = Path(__file__).parent / "fixtures" / "mindspore"
SAID = json.loads((FIXTURES / "mindspore.json").read_text())
MINDIR = mindir_format._schema().messages
OM = om_format._schema().messages


def report(root: Path, name: str, content: bytes) -> PackageReport:
    (root / "model").mkdir(parents=True)
    (root / "model" / name).write_bytes(content)
    (root / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "MindSpore"}')
    return check_package(root)


def elements(shapes: dict[str, list[int]]) -> int:
    total = 0
    for shape in shapes.values():
        count = 1
        for size in shape:
            count *= size
        total += count
    return total


@pytest.mark.parametrize("name", ["classifier", "branch"])
def test_a_mindir_is_what_mindspore_says(tmp_path: Path, name: str) -> None:
    said, found = SAID[name], report(tmp_path, f"{name}.mindir", (FIXTURES / f"{name}.mindir").read_bytes())
    assert found.problems == ()
    assert found.format == "mindir"
    assert found.scan is not None
    assert found.scan.findings == ()
    inspection = found.inspection
    assert inspection is not None
    for part in ("inputs", "outputs"):
        specs = getattr(inspection.signature, part)
        assert [spec.dtype for spec in specs] == [dtype for dtype, _ in said[part]]
        for spec, (_, shape) in zip(specs, said[part], strict=True):
            assert [known or seen for known, seen in zip(spec.shape, shape, strict=True)] == shape
    assert inspection.parameter_count == elements(said["parameters"])
    assert inspection.producer == f"MindSpore {SAID['version']}"


def test_names_dynamic_axes_and_operators_of_a_mindir(tmp_path: Path) -> None:
    found = report(tmp_path, "m.mindir", (FIXTURES / "branch.mindir").read_bytes()).inspection
    assert found is not None
    assert [(spec.name, spec.shape) for spec in found.signature.inputs] == [("rows", (None, 4))]
    assert found.operators["MatMul"] == 2  # of both branches
    assert not any(":" in name for name in found.operators)


def small(**changes: Any) -> Any:
    """One parameter of two numbers, one operator."""
    model = MINDIR["Model"](producer=b"MindSpore", format_version=3)
    model.graph.name = b"g"
    model.graph.node.add(op_type=changes.get("operator", b"Add"))
    model.graph.input.add(name=b"g:x").tensor.add(dims=[1, -1], data_type=1)
    model.graph.output.add(name=b"g:y").tensor.add(dims=[-2], data_type=99)
    model.graph.parameter.add(name=b"g:w", dims=changes.get("dims", [2]), data_type=1, raw_data=bytes(8))
    return model


def outside(location: bytes, offset: int, length: int) -> Any:
    model = small()
    tensor = model.graph.parameter[0]
    tensor.ClearField("raw_data")
    tensor.external.location, tensor.external.offset, tensor.external.length = location, offset, length
    return model


def test_unknown_ranks_and_types(tmp_path: Path) -> None:
    found = report(tmp_path, "m.mindir", small().SerializeToString()).inspection
    assert found is not None
    assert [(spec.dtype, spec.shape) for spec in found.signature.inputs] == [("float32", (1, None))]
    assert [(spec.dtype, spec.shape) for spec in found.signature.outputs] == [("undefined", ("...",))]


def test_weights_beside_a_mindir_belong_to_the_model(tmp_path: Path) -> None:
    place = tmp_path / "model" / "m_variables"
    place.mkdir(parents=True)
    (place / "data_0").write_bytes(bytes(80))
    (tmp_path / "model" / "m.mindir").write_bytes(outside(b"m_variables/data_0", 64, 8).SerializeToString())
    (tmp_path / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "MindSpore"}')
    found = check_package(tmp_path)
    assert found.problems == ()
    assert found.model_files == ("model/m.mindir", "model/m_variables/data_0")
    assert found.inspection is not None
    assert found.inspection.parameter_count == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: small(dims=[3]), "does not hold what it declares"),
        (lambda: small(dims=[-1]), "does not hold what it declares"),
        (lambda: small(dims=[2**62, 2**62]), "does not hold what it declares"),
        (lambda: MINDIR["Model"](producer=b"MindSpore"), "no graph with an output"),
        (lambda: outside(b"../../etc/passwd", 0, 8), "is no file of the package"),
        (lambda: outside(b"/etc/passwd", 0, 8), "is no file of the package"),
        (lambda: outside(b"gone", 0, 8), "is no file of the package"),
        (lambda: outside(b"m.mindir", 0, 2**40), "bytes, not the"),
        (lambda: outside(b"m.mindir", -1, 1), "bytes, not the"),
    ],
)
def test_refused_mindir(tmp_path: Path, make: Callable[[], Any], words: str) -> None:
    found = report(tmp_path, "m.mindir", make().SerializeToString())
    assert [words in problem.message for problem in found.problems] == [True]
    assert found.inspection is None


@pytest.mark.parametrize(("operator", "words"), [(b"PyExecute", "Python code"), (b"Custom", "kernel of its own")])
def test_operators_that_bring_code_are_shown(tmp_path: Path, operator: bytes, words: str) -> None:
    found = report(tmp_path, "m.mindir", small(operator=operator).SerializeToString())
    assert found.problems == ()
    assert found.scan is not None
    assert [(each.severity, each.rule) for each in found.scan.findings] == [("suspicious", "mindspore-code")]
    assert words in found.scan.findings[0].message


def test_a_skimmed_mindir_reads_the_same(tmp_path: Path) -> None:
    """The import service keeps the structure of a large one only."""
    model = small(dims=[100_000])
    model.graph.parameter[0].raw_data = bytes(400_000)
    data = model.SerializeToString()
    skimmer = skimmer_for("m.mindir", len(data))
    assert skimmer is not None
    kept = bytearray(len(data))
    pieces = [piece for at in range(0, len(data), 1000) for piece in skimmer.feed(data[at : at + 1000])]
    for offset, piece in (*pieces, skimmer.rest()):
        kept[offset : offset + len(piece)] = piece
    assert sum(len(piece) for _, piece in pieces) < 1000
    whole, sparse = report(tmp_path / "a", "m.mindir", data), report(tmp_path / "b", "m.mindir", bytes(kept))
    assert whole.problems == sparse.problems == ()
    assert whole.inspection == sparse.inspection
    assert whole.inspection is not None
    assert whole.inspection.parameter_count == 100_000


def om_graph() -> bytes:
    model = OM["Model"](name=b"digits")
    graph = model.graph.add()
    data = graph.operators.add(name=b"image", type=b"Data").output_desc.add(dtype=1, layout=b"NCHW")
    data.shape.dim.extend([1, 1, 8, 8])
    graph.operators.add(name=b"conv", type=b"Conv2D")
    last = graph.operators.add(name=b"node_output", type=b"NetOutput", input=[b"softmax:0", b"conv:-1"])
    last.input_desc.add(dtype=2).shape.dim.extend([1, -1])
    return bytes(model.SerializeToString())


def om(*, wide: bool = False, parts: dict[int, bytes] | None = None, **header: Any) -> bytes:
    parts = {1: bytes(64), 0: om_graph()} if parts is None else parts
    layout, table, offset = (om_format._WIDE if wide else om_format._NARROW), b"", 0
    for kind, content in parts.items():
        table += layout.pack(kind, offset, header.get("extent", len(content)))
        offset += len(content)
    count = struct.pack("<I4x" if wide else "<I", header.get("count", len(parts)))
    body = count + table + b"".join(parts.values())
    length = header.get("length", len(body))
    head = om_format._HEADER.pack(
        header.get("magic", b"IMOD"), header.get("head", 256), 0x10000000, 0 if wide else length,
        header.get("encrypted", 0), 0, 1, 0, b"digits", 0, b"", 0, 1, b"", length if wide else 0,
    )  # fmt: skip
    return head + body


@pytest.mark.parametrize("wide", [False, True])
def test_an_offline_model(tmp_path: Path, wide: bool) -> None:
    found = report(tmp_path, "model.om", om(wide=wide))
    assert found.problems == ()
    assert found.format == "ascend-om"
    assert found.inspection is not None
    signature = found.inspection.signature
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("image", "float32", (1, 1, 8, 8))]
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.outputs] == [("softmax:0", "float16", (1, None))]
    assert found.inspection.operators == {"Conv2D": 1, "Data": 1, "NetOutput": 1}
    assert found.inspection.details == {"model": "digits", "weight_bytes": 64}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"magic": b"IMOX"}, "does not begin as an offline model does"),
        ({"encrypted": 1}, "it is encrypted"),
        ({"length": 5}, "it says that it has 261 bytes"),
        ({"head": 255}, "it says that it has"),
        ({"count": 0}, "0 partitions"),
        ({"count": 2**31}, "2,147,483,648 partitions"),
        ({"extent": 2**31}, "beyond the end"),
        ({"parts": {1: b"weights"}}, "no partition with a graph"),
        ({"parts": {0: b""}}, "of 0 bytes"),
        ({"parts": {0: b"\xff" * 20}}, "truncated or no graph"),
        ({"parts": {0: b"\x0a\x01a"}}, "holds no graph"),
    ],
)
def test_refused_offline_models(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    found = report(tmp_path, "model.om", om(**changes))
    assert [words in problem.message for problem in found.problems] == [True]


def test_a_truncated_offline_model(tmp_path: Path) -> None:
    assert report(tmp_path, "model.om", om()[:-1]).problems[0].rule == om_format.RULE
    shutil.rmtree(tmp_path / "model")
    assert report(tmp_path, "model.om", om()[:100]).problems[0].rule == om_format.RULE


def test_a_lite_model(tmp_path: Path) -> None:
    """Built from the schema (fixtures/make_mindspore_lite.py)."""
    found = report(tmp_path, "digits.ms", (FIXTURES / "lite.ms").read_bytes())
    assert found.problems == ()
    assert found.format == "mindspore-lite"
    assert found.inspection is not None
    signature = found.inspection.signature
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("image", "float32", (None, 8, 8, 1))]
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.outputs] == [("scores", "float32", (1, 10))]
    assert found.inspection.operators == {"Conv2DFusion": 1, "Softmax": 1}
    assert found.inspection.parameter_count == 18
    assert found.inspection.producer == "MindSpore Lite 2.3.0"


def test_weights_beside_a_lite_model_and_its_own_operators(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(bytes(12))
    (tmp_path / "model" / "digits.ms").write_bytes((FIXTURES / "custom.ms").read_bytes())
    (tmp_path / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "MindSpore"}')
    found = check_package(tmp_path)
    assert found.problems == ()
    assert found.model_files == ("model/digits.ms", "model/weights.bin")
    assert found.inspection is not None
    assert found.inspection.parameter_count == 20
    assert found.scan is not None
    assert [each.rule for each in found.scan.findings if each.file == "model/digits.ms"] == ["mindspore-code"]


def test_refused_lite_models(tmp_path: Path) -> None:
    lite, custom = ((FIXTURES / f"{name}.ms").read_bytes() for name in ("lite", "custom"))
    shape = struct.pack("<iiiii", 4, 2, 3, 3, 1)
    cases = {
        "truncated": (lite[:-8], "is truncated or no MindSpore Lite model"),
        "other": (lite.replace(b"MSL2", b"MSL0"), "the identifier MSL2"),
        "outside": (custom, "'weights.bin' is no file of the package"),
        "escape": (custom.replace(b"weights.bin", b"../../a.bin"), "'../../a.bin' is no file of the package"),
        "shape": (lite.replace(shape, struct.pack("<iiiii", 4, 2, 3, 3, 2)), "does not hold what it declares"),
        "huge": (lite.replace(shape, struct.pack("<i", 4) + b"\xff\xff\xff\x7f" * 4), "does not hold what it declares"),
    }
    for name, (content, words) in cases.items():
        assert words in report(tmp_path / name, "m.ms", content).problems[0].message, name


def test_hints(tmp_path: Path) -> None:
    found = report(tmp_path / "a", "digits.om", om())
    assert [problem.message for problem in found.problems] == ["model/digits.om has to be called model.om"]
    found = report(tmp_path / "b", "notes.txt", b"nothing")
    assert "model.om" in found.problems[0].message
    assert "*.mindir" in found.problems[0].message
