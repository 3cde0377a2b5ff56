"""Caffe: read as OpenCV's importer reads it, and refused when hostile, cut off or of two networks."""

import json
import shutil
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard_formats.errors import BadSource
from modelyard_formats.kinds.caffe.text import MAX_DEPTH, Malformed, parse
from modelyard_formats.package.check import PackageReport, check_package
from modelyard_formats.skim import Skimmer, skimmer_for
from modelyard_formats.table import inspect
from modelyard_formats.wire.protobuf_scan import encode_bytes, encode_number, encode_varint

FIXTURES = Path(__file__).parent / "fixtures" / "caffe"
SAID = json.loads((FIXTURES / "caffe.json").read_text())
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: -1 dim: 3 } } }'


def package(root: Path, fixture: str, text: str | None = None) -> Path:
    shutil.copytree(FIXTURES / fixture, root / "model")
    if text is not None:
        (root / "model" / "deploy.prototxt").write_text(text)
    (root / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "Caffe"}')
    return root


def report(root: Path, fixture: str = "new", text: str | None = None) -> PackageReport:
    return check_package(package(root, fixture, text))


def problem(root: Path) -> tuple[str | None, str]:
    (found,) = check_package(root).problems
    return found.file, found.message


@pytest.mark.parametrize(("fixture", "batch"), [("new", 1), ("old", 2)])
def test_a_network_is_what_opencv_says(tmp_path: Path, fixture: str, batch: int) -> None:
    found = report(tmp_path, fixture)
    said = SAID[fixture]
    assert found.problems == ()
    assert found.format == "caffe"
    assert found.model_files == ("model/deploy.prototxt", "model/digits.caffemodel")
    assert found.scan is not None
    assert found.scan.findings == ()
    inspection = found.inspection
    assert inspection is not None
    signature = inspection.signature
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("data", "float32", (batch, 1, 8, 8))]
    assert [spec.name for spec in signature.outputs] == sorted(said["outputs"])
    assert {kind: count for kind, count in inspection.operators.items() if kind != "Input"} == said["operators"]
    assert inspection.parameter_count == said["parameters"]
    assert inspection.details["network"] == "digits"


def test_the_oldest_generation(tmp_path: Path) -> None:
    """Names and types one message deeper, in both files."""
    text = (
        'input: "x" input_shape { dim: 2 dim: 3 }'
        'layers { layer { name: "fc" type: "innerproduct" } bottom: "x" top: "y" }'
    )
    root = package(tmp_path, "new", text)
    blob = encode_bytes(7, encode_bytes(1, b"\2\3")) + encode_bytes(5, bytes(24))
    layer = encode_bytes(1, encode_bytes(1, b"fc") + encode_bytes(50, blob))
    (root / "model" / "digits.caffemodel").write_bytes(encode_bytes(2, layer))
    found = inspect("caffe", root)
    assert (found.parameter_count, found.operators) == (6, {"innerproduct": 1})
    assert [spec.name for spec in found.signature.outputs] == ["y"]


def test_only_what_is_there_when_deployed(tmp_path: Path) -> None:
    text = (
        INPUT
        + """
        layer { name: "images" type: "DummyData" top: "data" include { phase: TRAIN } }
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" exclude { phase: TRAIN } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" exclude { phase: TEST } }
        layer { name: "staged" type: "Softmax" bottom: "fc" top: "staged" include { stage: "demo" } }
        layer { name: "conv" type: "Convolution" bottom: "fc" top: "fc"
                include { phase: TRAIN } include { phase: TEST } }
    """
    )
    found = inspect("caffe", package(tmp_path, "new", text))
    assert found.operators == {"Convolution": 1, "InnerProduct": 1, "Input": 1}
    assert [(spec.name, spec.shape) for spec in found.signature.inputs] == [("data", (None, 3))]
    assert [(spec.name, spec.shape) for spec in found.signature.outputs] == [("fc", ("...",))]


def test_layers_without_weights_are_named(tmp_path: Path) -> None:
    text = (FIXTURES / "new" / "deploy.prototxt").read_text().replace('"conv" type', '"conv2" type')
    assert inspect("caffe", package(tmp_path, "new", text)).details["without_weights"] == "conv2"


@pytest.mark.parametrize(
    "kind", ['"Python"', "'Py' # no\n \"thon\"", '"P\\x79thon"', '"\\120ython"', '"Softmax" type: "Python"']
)
@pytest.mark.parametrize("phase", ["", "include { phase: TRAIN }"])
def test_a_python_layer_is_refused(tmp_path: Path, kind: str, phase: str) -> None:
    python = f'layer {{ name: "mine" type: {kind} {phase} python_param {{ module: "os" layer: "X" }} }}'
    text = (FIXTURES / "new" / "deploy.prototxt").read_text() + python
    found = report(tmp_path, text=text)
    (refusal,) = found.problems
    assert (refusal.file, refusal.rule) == ("model/deploy.prototxt", "caffe-python")
    assert "'os'" in refusal.message
    assert found.scan is not None
    assert found.scan.findings[0].severity == "dangerous"


@pytest.mark.parametrize(
    ("kind", "severity"), [("HDF5Output", "dangerous"), ("ImageData", "suspicious"), ("Data", "suspicious")]
)
def test_layers_that_touch_the_hosts_files(tmp_path: Path, kind: str, severity: str) -> None:
    text = (FIXTURES / "new" / "deploy.prototxt").read_text() + f'layer {{ name: "file" type: "{kind}" top: "f" }}'
    found = report(tmp_path, text=text)
    assert found.scan is not None
    assert [(each.severity, each.rule) for each in found.scan.findings] == [(severity, "caffe-file-access")]
    assert len(found.problems) == (severity == "dangerous")


def test_half_a_model_is_explained(tmp_path: Path) -> None:
    root = package(tmp_path / "weights", "new")
    (root / "model" / "deploy.prototxt").rename(root / "model" / "train.prototxt")
    file, message = problem(root)
    assert file == "model/digits.caffemodel"
    assert "has no deploy.prototxt beside it; model/train.prototxt is not called so" in message
    root = package(tmp_path / "net", "new")
    (root / "model" / "digits.caffemodel").unlink()
    assert problem(root) == ("model/deploy.prototxt", "model/deploy.prototxt has no *.caffemodel beside it")
    root = package(tmp_path / "two", "new")
    shutil.copy(root / "model" / "digits.caffemodel", root / "model" / "other.caffemodel")
    assert problem(root)[1] == "2 files *.caffemodel in one package: digits.caffemodel, other.caffemodel"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# nothing", "has no layers"),
        ('layer { name: "a" }', "layer 'a' has no type"),
        ('layer { type: "ReLU" bottom: "x" top: "y" }', "reads blob 'x', which no layer before it makes"),
        ('layer { type: "ReLU" top: "y" ', "ends without the name of a field"),
        ('layer { type: "ReLU }', "is a text without end"),
        ("layer { type: }", "'}' stands where a value should be"),
        ("layer { type ReLU }", "'ReLU' stands where a value of type should be"),
        ("layer { > }", "'>' stands where the name of a field should be"),
        ("}", "'}' stands where the name of a field should be"),
        ('input: "a" input_dim: 1e9', "'1e9', which is no whole number"),
        ('input: "a" input_shape { dim: 99999999999 }', "out of bounds"),
        ('input: "\\xe9\\' + 'x"', "is no text"),
        (INPUT + 'layer { name: "else" type: "ReLU" bottom: "data" top: "y" }', "weights of none of the layers"),
        ("a {" * (MAX_DEPTH + 2), "nested more than 50 deep"),
        ("a: 1 " * 200_000, "more than 300,000 words"),
    ],
)
def test_no_network(tmp_path: Path, text: str, said: str) -> None:
    assert said in problem(package(tmp_path, "new", text))[1]


def test_the_text_format() -> None:
    text = 'a: 1, a: [2, "x"]; b { c: "é\\n\\"" "\\t" } b: < d: -1 > # end\n e: TEST #'
    assert parse(text) == {"a": ["1", "2", "x"], "b": [{"c": ['é\n"\t']}, {"d": ["-1"]}], "e": ["TEST"]}
    assert parse('a: "\\ud800"') == {"a": ["\\ud800"]}
    for wrong in ("a", "a:", ":", "a [1]", "a: [1", "a: [{}]", "a: {", "a < }", '"a": 1', "a: 'b\n'"):
        with pytest.raises(Malformed):
            parse(wrong)


@pytest.mark.parametrize("shape", [(2**40,), (4, -1), (3, 3), (1,) * 40])
def test_a_shape_that_its_data_does_not_have(tmp_path: Path, shape: tuple[int, ...]) -> None:
    root = package(tmp_path, "new")
    axes = b"".join(encode_varint(axis % 2**64) for axis in shape)
    blob = encode_bytes(7, encode_bytes(1, axes)) + encode_bytes(5, bytes(4))
    layer = encode_bytes(1, b"conv") + encode_bytes(7, blob)
    (root / "model" / "digits.caffemodel").write_bytes(encode_bytes(100, layer))
    file, message = problem(root)
    assert file == "model/digits.caffemodel"
    assert "a blob of layer 'conv' holds 1 numbers" in message


def test_large_weights_are_neither_fetched_nor_read(tmp_path: Path) -> None:
    """40 MB, of which the import service writes little, and inspecting reads as little."""
    root = package(tmp_path, "new")
    path = root / "model" / "digits.caffemodel"
    count = 10_000_000
    blob = encode_bytes(7, encode_bytes(1, encode_varint(count))) + encode_bytes(5, bytes(4 * count))
    data = encode_bytes(100, encode_bytes(1, b"conv") + encode_bytes(2, b"Convolution") + encode_bytes(7, blob))
    skimmer = skimmer_for("model/digits.caffemodel", len(data))
    assert isinstance(skimmer, Skimmer)
    written = 0
    with path.open("wb") as sparse:
        for start in range(0, len(data), 2**20):
            for offset, piece in skimmer.feed(data[start : start + 2**20]):
                sparse.seek(offset)
                written += sparse.write(piece)
        assert skimmer.rest()[1] == b""
        sparse.truncate(len(data))
    assert written < 100
    tracemalloc.start()
    try:
        assert inspect("caffe", root).parameter_count == count
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("fixture", ["new", "old"])
@pytest.mark.parametrize("file", ["deploy.prototxt", "digits.caffemodel"])
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_files_are_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, fixture: str, file: str, data: st.DataObject
) -> None:
    root = package(tmp_path_factory.mktemp("broken"), fixture)
    path = root / "model" / file
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    path.write_bytes(changed)
    found = check_package(root)
    assert found.problems or found.inspection
    json.dumps(found.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**7, "# " * 10**6, '"' + "\\" * 10**6, 'a: "' + "\\x" * 10**6, "a: [" * 10**5, "a {" * 10**6,
        "input: 'a' input_dim: 0x" + "f" * 10**6, "a: 'b' " * 10**6, "a: 'b'" + " 'b'" * 10**6,
    ],
)  # fmt: skip
def test_hostile_texts_cost_little(tmp_path: Path, text: str) -> None:
    root = package(tmp_path, "new", text)
    tracemalloc.start()
    try:
        with pytest.raises(BadSource):
            inspect("caffe", root)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_without_weights(tmp_path: Path) -> None:
    root = package(tmp_path, "new")
    (root / "model" / "digits.caffemodel").write_bytes(encode_bytes(1, b"digits") + encode_number(100, 7))
    assert problem(root) == ("model/digits.caffemodel", "model/digits.caffemodel holds no weights")
