"""TFLite: read as its own interpreter describes it, and refused when hostile or cut off."""

import json
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard_formats.errors import BadSource
from modelyard_formats.package.check import PackageReport, check_package
from modelyard_formats.table import inspect

FIXTURES = Path(__file__).parent / "fixtures" / "tflite"
SAID = json.loads((FIXTURES / "tflite.json").read_text())
DTYPES = {"bytes_": "object"}  # the interpreter's name for texts


def package(root: Path, content: bytes) -> Path:
    (root / "model").mkdir(parents=True)
    (root / "model" / "net.tflite").write_bytes(content)
    (root / "model" / "config.json").write_text('{"model_algorithm": "classifier", "model_type": "TFLite"}')
    return root


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.tflite").read_bytes()


def report(root: Path, name: str) -> PackageReport:
    return check_package(package(root, fixture(name)))


def refused(root: Path, content: bytes) -> str:
    with pytest.raises(BadSource) as caught:
        inspect("tflite", package(root, content))
    (problem,) = caught.value.problems
    assert problem.file == "model/net.tflite"
    return problem.message


def place(content: bytes, number: int) -> int:
    """Where an aligned word is this number, the first time."""
    return next(at for at in range(0, len(content) - 3, 4) if struct.unpack_from("<I", content, at) == (number,))


@pytest.mark.parametrize("name", sorted(SAID))
def test_a_model_is_what_the_interpreter_says(tmp_path: Path, name: str) -> None:
    found = inspect("tflite", package(tmp_path, fixture(name)))
    signatures = SAID[name]["signatures"]
    said = signatures[min(signatures)]
    for part in ("inputs", "outputs"):
        read = {spec.name: [spec.dtype, [axis or -1 for axis in spec.shape]] for spec in getattr(found.signature, part)}
        assert read == {name: [DTYPES.get(dtype, dtype), shape] for name, (dtype, shape) in said[part].items()}
    assert {each.removeprefix("custom::"): count for each, count in found.operators.items()} == SAID[name]["operators"]
    assert found.details.get("signatures") == ", ".join(sorted(signatures))
    assert (found.opsets, found.producer) == ({"tflite": 3}, "MLIR Converted.")


@pytest.mark.parametrize(
    ("name", "parameters", "quantisation"),
    [
        ("float", 36 + 192 + 3 + 4, "none"),  # the converter adds a bias to the convolution
        ("dynamic", 36 + 192 + 3 + 4, "none"),
        ("signatures", 8, "none"),
        ("weights8", 64 * 32, "int8 weights"),
        ("weights16", 36 + 192 + 3 + 4, "float16 weights"),
        ("int8", 36 + 192 + 3 + 4, "int32 weights, int8 activations, int8 weights"),
    ],
)
def test_parameters_and_quantisation(tmp_path: Path, name: str, parameters: int, quantisation: str) -> None:
    found = report(tmp_path, name)
    assert found.problems == ()
    assert found.scan is not None
    assert found.scan.findings == ()
    assert found.inspection is not None
    assert found.inspection.parameter_count == parameters
    assert found.inspection.details["quantisation"] == quantisation
    assert found.model_files == ("model/net.tflite",)


@pytest.mark.parametrize(
    ("name", "said"), [("custom", "AsString (1×) is no builtin"), ("flex", "FlexAsString (1×) is Tensor")]
)
def test_operators_that_need_code_of_their_own_are_shown(tmp_path: Path, name: str, said: str) -> None:
    found = report(tmp_path, name)
    assert found.problems == ()
    assert found.scan is not None
    (finding,) = found.scan.findings
    assert (finding.file, finding.severity, finding.rule) == ("model/net.tflite", "suspicious", "custom-operator")
    assert said in finding.message


@pytest.mark.parametrize(("name", "operator"), [("reader", "FlexReadFile"), ("printer", "FlexPrintV2")])
def test_a_graph_that_touches_the_hosts_files_is_refused(tmp_path: Path, name: str, operator: str) -> None:
    found = report(tmp_path, name)
    (problem,) = found.problems
    assert problem.rule == "tensorflow-file-access"
    assert operator in problem.message


def test_other_bytes_are_no_model(tmp_path: Path) -> None:
    sound = fixture("float")
    assert "identifier TFL3" in refused(tmp_path / "onnx", b"\x08\x07\x12\x04test" * 9)
    assert "is empty" in refused(tmp_path / "empty", b"")
    for size in (3, 7, 20, 900, len(sound) - 4):
        assert "truncated or no TFLite model" in refused(tmp_path / str(size), sound[:size])


def test_a_constant_that_is_not_all_there(tmp_path: Path) -> None:
    """64 × 3 weights of 4 bytes: their buffer says so, and their tensor's shape."""
    sound = fixture("float")
    at = place(sound, 64 * 3 * 4)
    changed = sound[:at] + struct.pack("<I", 64 * 3 * 4 - 4) + sound[at + 4 :]
    assert "has 764 bytes" in refused(tmp_path / "shorter", changed)
    changed = sound[:at] + struct.pack("<I", 2**31) + sound[at + 4 :]
    assert "outside of the file" in refused(tmp_path / "longer", changed)


def test_another_version_of_the_schema(tmp_path: Path) -> None:
    sound = fixture("float")
    table = struct.unpack_from("<I", sound)[0]
    vtable = table - struct.unpack_from("<i", sound, table)[0]
    version = table + struct.unpack_from("<H", sound, vtable + 4)[0]
    changed = sound[:version] + struct.pack("<I", 4) + sound[version + 4 :]
    assert "version 4" in refused(tmp_path, changed)


def test_large_weights_are_not_read(tmp_path: Path) -> None:
    """A constant grows by 64 MiB, as does the file; TFLite takes one that is larger than its shape."""
    sound, more = fixture("float"), 2**26
    at = place(sound, 64 * 3 * 4)
    root = package(tmp_path, sound[:at] + struct.pack("<I", 64 * 3 * 4 + more) + sound[at + 4 :])
    with (root / "model" / "net.tflite").open("r+b") as file:
        file.truncate(len(sound) + more)
    tracemalloc.start()
    try:
        assert inspect("tflite", root).parameter_count == 36 + 192 + 3 + 4
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["int8", "signatures", "flex", "printer"])
@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_broken_files_are_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    changed = bytearray(fixture(name))
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    found = check_package(package(tmp_path_factory.mktemp("broken"), bytes(changed)))
    assert found.problems or found.inspection
    json.dumps(found.model_dump(mode="json"), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [0, 1, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_every_word_of_a_model_as_something_huge(tmp_path: Path, value: int) -> None:
    """Every offset, count and number in turn: answered or refused, in bounded memory."""
    sound = fixture("signatures")
    root = package(tmp_path, sound)
    path = root / "model" / "net.tflite"
    tracemalloc.start()
    try:
        for at in range(0, len(sound) - 3, 4):
            path.write_bytes(sound[:at] + struct.pack("<I", value) + sound[at + 4 :])
            with suppress(BadSource):
                inspect("tflite", root)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
