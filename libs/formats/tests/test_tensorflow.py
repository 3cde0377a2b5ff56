"""SavedModel and frozen graph: read as TensorFlow itself describes them, and refused when hostile or cut off."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard_formats.errors import BadSource
from modelyard_formats.kinds.tensorflow.files import MESSAGES, read_message
from modelyard_formats.kinds.tensorflow.variables import read_index
from modelyard_formats.package.check import PackageReport, check_package
from modelyard_formats.skim import Skimmer, skimmer_for

FIXTURES = Path(__file__).parent / "fixtures" / "tensorflow"
SAID = json.loads((FIXTURES / "tensorflow.json").read_text())
LAMBDA = {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}}}


def package(root: Path, fixture: str) -> Path:
    source = FIXTURES / fixture
    if source.is_dir():
        shutil.copytree(source, root / "model")
    else:
        (root / "model").mkdir(parents=True)
        shutil.copy(source, root / "model")
    (root / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "TensorFlow"}')
    return root


def report(root: Path, fixture: str = "saved_model") -> PackageReport:
    return check_package(package(root, fixture))


def test_a_saved_model_is_what_tensorflow_says(tmp_path: Path) -> None:
    found = report(tmp_path)
    assert found.problems == ()
    assert found.format == "tensorflow-saved-model"
    inspection = found.inspection
    assert inspection is not None
    for part in ("inputs", "outputs"):
        read = {spec.name: [spec.dtype, list(spec.shape)] for spec in getattr(inspection.signature, part)}
        assert read == SAID[part]
    shapes = [shape for name, shape in SAID["variables"].items() if not name.startswith("_")]
    assert inspection.parameter_count == sum(rows[0] * (rows[1] if len(rows) > 1 else 1) for rows in shapes)
    assert inspection.producer == f"TensorFlow {SAID['version']}"
    assert inspection.details == {"tags": "serve", "signatures": "other, serving_default"}
    assert inspection.operators["MatMul"] == 1
    assert found.model_files == (
        "model/saved_model.pb",
        "model/variables/variables.index",
        "model/variables/variables.data-00000-of-00001",
    )


@pytest.mark.parametrize("name", ["export", "saved"])
def test_parameters_are_those_that_keras_counts(name: str) -> None:
    """Neither twice nor the optimizer's (fixtures/make_keras.py)."""
    said = json.loads((FIXTURES / "keras" / "keras.json").read_text())
    assert read_index(FIXTURES / "keras" / f"{name}.index", name).parameters == said["parameters"]


def test_a_frozen_graph(tmp_path: Path) -> None:
    found = report(tmp_path, "frozen.pb")
    assert found.problems == ()
    assert found.inspection is not None
    signature = found.inspection.signature
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("features", "float32", (None, 8))]
    assert [spec.dtype for spec in signature.outputs] == ["int64", "float32"]
    assert found.inspection.parameter_count == 27


@pytest.mark.parametrize(("fixture", "operator"), [("reader", "ReadFile"), ("printer", "PrintV2")])
def test_a_graph_that_touches_the_hosts_files_is_refused(tmp_path: Path, fixture: str, operator: str) -> None:
    found = report(tmp_path, fixture)
    assert [problem.rule for problem in found.problems] == ["tensorflow-file-access"]
    assert operator in found.problems[0].message
    assert found.scan is not None
    assert found.scan.findings[0].severity == "dangerous"


def test_a_lambda_layer_in_keras_metadata_is_refused(tmp_path: Path) -> None:
    root = package(tmp_path, "saved_model")
    metadata = MESSAGES["KerasMetadata"]()
    metadata.nodes.add(identifier=b"_tf_keras_layer", metadata=json.dumps(LAMBDA).encode())
    (root / "model" / "keras_metadata.pb").write_bytes(metadata.SerializeToString())
    found = check_package(root)
    assert [(problem.file, problem.rule) for problem in found.problems] == [("model/keras_metadata.pb", "keras-lambda")]


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("variables/variables.index", "model/variables/variables.index"),
        ("variables/variables.data-00000-of-00001", "model/variables/variables.data-"),
    ],
)
def test_a_missing_part_is_named(tmp_path: Path, missing: str, named: str) -> None:
    root = package(tmp_path, "saved_model")
    (root / "model" / missing).unlink()
    (problem,) = check_package(root).problems
    assert problem.file is not None
    assert problem.file.startswith(named)
    assert problem.rule is not None
    assert "variables.data" in problem.rule


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    root = package(tmp_path, "saved_model")
    data = root / "model/variables/variables.data-00000-of-00001"
    data.rename(data.with_name("variables.data-00001-of-00002"))
    (problem,) = check_package(root).problems
    assert problem.file == "model/variables/variables.data-00000-of-00001"


@pytest.mark.parametrize("size", [0, 100])
def test_a_shard_that_is_empty_or_cut_off_is_named(tmp_path: Path, size: int) -> None:
    root = package(tmp_path, "saved_model")
    data = root / "model/variables/variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:size])
    (problem,) = check_package(root).problems
    assert problem.file == "model/variables/variables.data-00000-of-00001"
    assert f"it has {size} bytes" in problem.message


def test_one_model_of_two_kinds(tmp_path: Path) -> None:
    root = package(tmp_path, "saved_model")
    shutil.copy(FIXTURES / "frozen.pb", root / "model" / "frozen.pb")
    assert check_package(root).format == "tensorflow-saved-model"


def test_what_import_leaves_out_is_not_missed(tmp_path: Path) -> None:
    """A frozen graph is skimmed while it streams by; its weights are holes in the local file."""
    path = tmp_path / "large.pb"
    graph = MESSAGES["Graph"].FromString((FIXTURES / "frozen.pb").read_bytes())
    weights = graph.node.add(name=b"weights", op=b"Const")
    weights.attr.add(key=b"value").value.tensor.shape.dim.add(size=50_000)
    weights.attr[0].value.tensor.dtype = 1
    weights.attr[0].value.tensor.MergeFromString(b"\x22\xc0\x9a\x0c" + bytes(200_000))  # field 4: the content
    data = graph.SerializeToString()
    skimmer = skimmer_for("model/large.pb", len(data))
    assert isinstance(skimmer, Skimmer)
    with path.open("wb") as sparse:
        for start in range(0, len(data), 1000):
            for offset, piece in skimmer.feed(data[start : start + 1000]):
                sparse.seek(offset)
                sparse.write(piece)
        offset, rest = skimmer.rest()
        sparse.seek(offset)
        sparse.write(rest)
        sparse.truncate(len(data))
    kept = read_message(path, "model/large.pb", "Graph")
    assert len(kept.SerializeToString()) < 5_000
    assert kept.node[-1].attr[0].value.tensor.shape.dim[0].size == 50_000


def broken(data: st.DataObject, content: bytes) -> bytes:
    """Some bytes changed, and cut off somewhere."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed[: data.draw(st.integers(0, len(changed)))])


@pytest.mark.parametrize(
    ("fixture", "file"),
    [
        ("saved_model", "saved_model.pb"),
        ("saved_model", "variables/variables.index"),
        ("frozen.pb", "frozen.pb"),
    ],
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_broken_files_are_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, fixture: str, file: str, data: st.DataObject
) -> None:
    root = package(tmp_path_factory.mktemp("broken"), fixture)
    path = root / "model" / file
    path.write_bytes(broken(data, path.read_bytes()))
    found = check_package(root)  # a crash of any kind is what must not be
    assert found.problems or found.inspection


@pytest.mark.parametrize(("sizes", "parameters"), [([2**62, 2**62], None), ([1] * 33, 0), ([-1, 2], 0), ([2, 3], 6)])
def test_impossible_constants(tmp_path: Path, sizes: list[int], parameters: int | None) -> None:
    graph = MESSAGES["Graph"]()
    node = graph.node.add(name=b"c", op=b"Const")
    tensor = node.attr.add(key=b"value").value.tensor
    tensor.dtype = 1
    for size in sizes:
        tensor.shape.dim.add(size=size)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "net.pb").write_bytes(graph.SerializeToString())
    (tmp_path / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "TensorFlow"}')
    found = check_package(tmp_path)
    assert (found.inspection.parameter_count if found.inspection else None) == parameters
    assert [problem.rule for problem in found.problems] == (
        [f"at most {2**63 - 1:,} parameters"] if parameters is None else []
    )


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def index_of(entries: bytes, times: int = 1) -> bytes:
    """One block of entries, and the block that points to it, so many times."""
    first = entries + bytes(4)
    handle = varint(0) + varint(len(first))
    second = (bytes([0, 1, len(handle)]) + b"z" + handle) * times + bytes(4)
    footer = (bytes(2) + varint(len(first) + 5) + varint(len(second))).ljust(40, b"\0")
    return first + bytes(5) + second + bytes(5) + footer + (0xDB4775248B80FB57).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (b"".join(varint(number) + b"\1\0k" for number in range(5_000)), "a name has 4,001 bytes"),
        (b"\0\1\0k" * 1_000_001, "more than 1,000,000 entries"),
        (b"\0\1\xff\xff\xff\xff\x0fk", "beyond its block"),
        (b"\1\1\0k", "beyond its block"),
    ],
)
def test_hostile_indexes(tmp_path: Path, entries: bytes, words: str) -> None:
    """Each name may begin as the one before: without a limit, a small file makes names of gigabytes."""
    (tmp_path / "variables.index").write_bytes(index_of(entries))
    with pytest.raises(BadSource, match=words):
        read_index(tmp_path / "variables.index", "variables.index")


def test_a_block_that_is_pointed_at_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "variables.index").write_bytes(index_of(b"\0\1\0k" * 1_000, 10_000))
    with pytest.raises(BadSource, match="lie over each other"):
        read_index(tmp_path / "variables.index", "variables.index")


def test_a_large_lambda_layer_in_the_graph_itself_is_found_also_when_skimmed(tmp_path: Path) -> None:
    """As TensorFlow before 2.5 kept them; padding must not hide one."""
    root = package(tmp_path, "saved_model")
    path = root / "model" / "saved_model.pb"
    saved = read_message(path, "saved_model.pb", "SavedModel")
    hidden = json.dumps({"padding": "a" * 10_000, **LAMBDA}).encode()
    saved.meta_graphs[0].objects.nodes.add().user.metadata = hidden
    data = saved.SerializeToString()
    skimmer = skimmer_for("model/saved_model.pb", len(data))
    assert skimmer is not None
    kept = bytearray(len(data))
    for offset, piece in (*skimmer.feed(data), skimmer.rest()):
        kept[offset : offset + len(piece)] = piece
    for content in (data, bytes(kept)):
        path.write_bytes(content)
        assert [problem.rule for problem in check_package(root).problems] == ["keras-lambda"]
    assert skimmer_for("model/keras_metadata.pb", 2**30) is None
