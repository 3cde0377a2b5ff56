"""MXNet models as MXNet describes them (fixtures/make_mxnet.py), and every way in which the two files can be wrong."""

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from modelyard_formats.kinds.mxnet.params import Malformed, Stored, read_params
from modelyard_formats.package.check import PackageReport, check_package
from modelyard_formats.package.listing import check_listing

FIXTURES = Path(__file__).parent / "fixtures" / "mxnet"
SAID = json.loads((FIXTURES / "mxnet.json").read_text())
DIGITS = json.loads((FIXTURES / "digits-symbol.json").read_text())
PARAMS = (FIXTURES / "digits-0000.params").read_bytes()


def report(root: Path, symbol: bytes | dict[str, Any], params: bytes = PARAMS) -> PackageReport:
    (root / "model").mkdir(parents=True)
    text = symbol if isinstance(symbol, bytes) else json.dumps(symbol).encode()
    (root / "model" / "m-symbol.json").write_bytes(text)
    (root / "model" / "m-0000.params").write_bytes(params)
    (root / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "MXNet"}')
    return check_package(root)


def test_a_checkpoint_is_what_mxnet_says(tmp_path: Path) -> None:
    found = report(tmp_path, DIGITS)
    assert found.problems == ()
    assert found.model_files == ("model/m-symbol.json", "model/m-0000.params")
    assert found.scan is not None
    assert found.scan.findings == ()
    inspection = found.inspection
    assert inspection is not None
    without = [name for name in SAID["arguments"] if name not in SAID["shapes"]]
    assert [spec.name for spec in inspection.signature.inputs] == without == ["data", "softmax_label"]
    assert [spec.shape for spec in inspection.signature.inputs] == [(None, 1, 8, 8), ("...",)]
    assert [spec.name for spec in inspection.signature.outputs] == SAID["outputs"]
    assert inspection.parameter_count == 18 + 2 + 4 + 720 + 10 + 4
    assert inspection.producer == f"MXNet {SAID['version']}"
    assert inspection.operators == {
        "BatchNorm": 1, "Convolution": 1, "Flatten": 1, "FullyConnected": 1, "SoftmaxOutput": 1,
    }  # fmt: skip


def test_what_gluon_exports(tmp_path: Path) -> None:
    symbol, params = ((FIXTURES / f"gluon-{name}").read_bytes() for name in ("symbol.json", "0000.params"))
    found = report(tmp_path, symbol, params).inspection
    assert found is not None
    assert [spec.name for spec in found.signature.inputs] == SAID["gluon_arguments"][:1]
    assert [spec.name for spec in found.signature.outputs] == SAID["gluon_outputs"]
    assert found.parameter_count == 4 * 3 + 4 + 2 * 4 + 2


def test_stored_arrays() -> None:
    read = {name: (each.dtype, list(each.shape)) for name, each in read_params(BytesIO(PARAMS), len(PARAMS)).items()}
    assert read == {
        f"{'aux' if name in SAID['states'] else 'arg'}:{name}": ("float32", shape)
        for name, shape in SAID["shapes"].items()
    }


def test_sparse_arrays_count_what_they_store() -> None:
    data = (FIXTURES / "sparse.params").read_bytes()
    assert read_params(BytesIO(data), len(data)) == {
        "arg:rows": Stored("float32", (5, 2), 2),
        "arg:csr": Stored("float32", (2, 3), 2),
        "aux:h": Stored("float16", (2,), 2),
    }


def params(*arrays: bytes, names: tuple[bytes, ...] | None = None) -> bytes:
    names = tuple(b"arg:%d" % index for index in range(len(arrays))) if names is None else names
    text = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    head = struct.pack("<QQQ", 0x112, 0, len(arrays))
    return head + b"".join(arrays) + struct.pack("<Q", len(names)) + text


PLACE = struct.pack("<iii", 1, 0, 3)  # on the first CPU, bytes
OLDEST = struct.pack("<III", 2, 1, 3) + PLACE + bytes(3)
OLD = struct.pack("<IIqq", 0xF993FAC8, 2, 1, 3) + PLACE + bytes(3)
NEW = struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, 1, 3) + PLACE + bytes(3)
SCALAR = struct.pack("<Iii", 0xF993FACA, 0, 0) + PLACE + bytes(1)
NOTHING = (struct.pack("<I", 0), struct.pack("<Iii", 0xF993FAC9, 0, 0), struct.pack("<Iii", 0xF993FACA, 0, -1))


def test_arrays_of_all_releases() -> None:
    data = params(OLDEST, OLD, NEW, SCALAR, *NOTHING)
    found = read_params(BytesIO(data), len(data))
    shape = Stored("uint8", (1, 3), 3)
    assert list(found.values()) == [shape, shape, shape, Stored("uint8", (), 1)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x12", "cut off"),
        (b"\x80\x04" + bytes(30), "does not begin"),
        (struct.pack("<QQQ", 0x112, 0, 2**60), "more than 100,000"),
        (params(NEW)[:-1], "cut off"),
        (params(NEW) + b"a", "1 bytes follow"),
        (params(NEW, names=()), "1 arrays, but 0 different names"),
        (params(NEW, NEW, names=(b"a", b"a")), "2 arrays, but 1 different names"),
        (params(NEW, names=(b"a" * 501,)), "a name has 501 bytes"),
        (params(struct.pack("<I", 2**31)), "axes"),
        (params(struct.pack("<Iii", 0xF993FAC9, 7, 1)), "unknown way 7"),
        (params(struct.pack("<Iiiq", 0xF993FAC9, 0, 1, -3)), "negative size"),
        (params(struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, 2**62, 2**62) + PLACE), "beyond the end"),
        (params(struct.pack("<Iiiqiii", 0xF993FAC9, 0, 1, 1, 1, 0, 99)), "unknown type 99"),
    ],
)
def test_refused_params(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read_params(BytesIO(data), len(data))
    assert words in report(tmp_path, DIGITS, data).problems[0].message


def test_a_list_without_names_is_refused() -> None:
    data = (FIXTURES / "list.params").read_bytes()
    with pytest.raises(Malformed, match="1 arrays, but 0 different names"):
        read_params(BytesIO(data), len(data))


NODES = DIGITS["nodes"]


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ([1], "no nodes or no heads"),
        ({"nodes": NODES}, "no nodes or no heads"),
        ({"nodes": [1], "heads": [[0, 0, 0]]}, "is no MXNet symbol"),
        ({"nodes": [{"op": "null", "name": ["a"]}], "heads": [[0, 0, 0]]}, "has no name or no operator"),
        ({"nodes": NODES, "heads": [[99, 0, 0]]}, "is no MXNet symbol"),
        ({"nodes": NODES, "heads": [[-1, 0, 0]]}, "points to no node"),
        ({"nodes": NODES, "heads": [14]}, "is no MXNet symbol"),
        ({"nodes": [{"op": "null", "name": "a", "attrs": 3}], "heads": [[0, 0, 0]]}, "attributes are no object"),
        ({"nodes": [{"op": "null", "name": "a"}], "heads": [[0, 0, 0]]}, "none of the symbol's parameters"),
        ({"nodes": [*NODES, {"op": "null", "name": "a" * 501}], "heads": [[0, 0, 0]]}, "out of bounds"),
    ],
)
def test_refused_symbols(tmp_path: Path, symbol: Any, words: str) -> None:
    found = report(tmp_path, symbol)
    assert words in found.problems[0].message
    assert found.inspection is None


def test_python_operators_are_shown_also_in_a_loop(tmp_path: Path) -> None:
    body = {"nodes": [{"op": "Custom", "name": "c", "attrs": {"op_type": "mine"}}], "heads": [[0, 0, 0]]}
    loop = {"op": "_foreach", "name": "loop", "inputs": [], "subgraphs": [body]}
    found = report(tmp_path, {"nodes": [*NODES, loop], "heads": [[14, 0, 0], [15, 1, 0]]})
    assert found.problems == ()
    assert found.scan is not None
    assert [(each.severity, each.rule) for each in found.scan.findings] == [("suspicious", "mxnet-custom")]
    assert "'mine'" in found.scan.findings[0].message
    assert found.inspection is not None
    assert found.inspection.operators["Custom"] == 1
    assert [spec.name for spec in found.inspection.signature.outputs] == ["softmax_output", "loop_output1"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a-symbol.json",), "model/a-symbol.json has no a-0000.params beside it"),
        (("a-0000.params",), "model/a-0000.params has no a-symbol.json beside it"),
        (("a-0007.params", "a-symbol.json"), "model/a-symbol.json has no a-0000.params beside it"),
        (("notes.md",), "no model file in model/; it needs one *-symbol.json and its *-0000.params"),
        (
            ("a-symbol.json", "a-0000.params", "b-symbol.json", "b-0000.params"),
            "2 models in one package: model/a-symbol.json, model/b-symbol.json",
        ),
    ],
)
def test_hints(names: tuple[str, ...], message: str) -> None:
    listed = [("model/config.json", 10), *((f"model/{name}", 10) for name in names)]
    assert [problem.message for problem in check_listing(listed, "MXNet")] == [message]
