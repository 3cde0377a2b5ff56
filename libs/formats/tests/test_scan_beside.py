"""Code that is no pickle: in PyTorch's archives, Keras's JSON, graphs of any framework, and beside a model."""

import json
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from modelyard_contracts.shapes import ScanReport
from modelyard_formats.format import Entry
from modelyard_formats.scan.package import scan_package

from .hostile import zipped


def scan(folder: Path, files: dict[str, bytes], known: frozenset[str] = frozenset()) -> ScanReport:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return scan_package(folder, [Entry(name, len(data)) for name, data in files.items()], known)


def rules(report: ScanReport, severity: str = "dangerous") -> set[str]:
    return {each.rule for each in report.findings if each.severity == severity}


def script(code: str) -> dict[str, bytes]:
    return {"m/code/__torch__.py": code.encode(), "m/data.pkl": b"\x80\x02N."}


SAVED = (
    "torch.save(x, f)", "torch.save (x, f)", "torch . save(x, f)", "torch.save\\\n(x, f)", "(torch.save)(x, f)",
    "ops.aten .save(x, f)", "(torch # a\n.save)(x, f)", "a = '#'; torch.save(x, f)", "t = torch\nt.save(x, f)",
    "s, = (ops.aten,)\ns.save(x, f)", "torch\\\n.from_file(f)",
)  # fmt: skip


@pytest.mark.parametrize("code", SAVED)
def test_code_that_saves_files_however_it_is_written(code: str, tmp_path: Path) -> None:
    assert rules(scan(tmp_path, {"m.pt": zipped(script(code))})) == {"torchscript-file-access"}


@pytest.mark.parametrize("code", ["x = torch.add(a, b)  # torch", "y = (self).save(x)", "torch.saved(x)", "z = a.aten"])
def test_other_code_is_no_such(code: str, tmp_path: Path) -> None:
    assert rules(scan(tmp_path, {"m.pt": zipped(script(code))})) == set()


def test_the_lite_interpreter_has_no_code_to_read(tmp_path: Path) -> None:
    operators = b"\x80\x02(X\n\0\0\0aten::saveX\0\0\0\0t."
    assert rules(scan(tmp_path, {"m.ptl": zipped({"m/bytecode.pkl": operators})})) == {"torchscript-file-access"}
    assert rules(scan(tmp_path, {"m.ptl": zipped({"m/bytecode.pkl": operators.replace(b"save", b"relu")})})) == set()


def test_a_flatbuffer_of_torchscript(tmp_path: Path) -> None:
    plain = b"\x10\0\0\0PTMF" + bytes(2**20)
    found = scan(tmp_path, {"a.ff": plain, "b.ff": plain + b"aten::save\0", "c.bin": plain * 17 + b"aten::save\0"})
    assert {(each.file, each.rule) for each in found.findings} == {
        ("a.ff", "torch-flatbuffer"), ("b.ff", "torch-flatbuffer"), ("b.ff", "torchscript-file-access"),
        ("c.bin", "torch-flatbuffer"), ("c.bin", "torchscript-file-access"),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["m.wrapper.so", "m.so", "m.wrapper.cpp", "m.wrapper_compile_flags.json", "m.o"])
def test_what_aotinductor_loads_or_compiles(name: str, tmp_path: Path) -> None:
    data = zipped({"m/archive_format": b"pt2", f"m/data/aotinductor/model/{name}": b"{}"})
    assert rules(scan(tmp_path, {"m.pt2": data})) == {"torch-compiled"}


def test_an_unpacked_package_of_torch(tmp_path: Path) -> None:
    files = {"model/m/.data/extern_modules": b"", "model/m/a.py": b"x = 1"}
    assert rules(scan(tmp_path, files)) == {"torch-package"}


def test_an_archive_before_half_an_end(tmp_path: Path) -> None:
    """Python takes the last four bytes for the end, PyTorch the record before them."""
    made = BytesIO(b"#" * 64)
    with zipfile.ZipFile(made, "a") as archive:
        for name, data in script("torch.save(x, f)").items():
            archive.writestr(name, data)
    assert "archive-unreadable" in rules(scan(tmp_path, {"m.bin": made.getvalue() + b"PK\x05\x06"}))
    assert rules(scan(tmp_path, {"m.bin": b"#" * 64 + b"PK\x05\x06" * 20})) == set()


LAMBDA = json.dumps({"class_name": "Sequential", "config": {"layers": [{"class_name": "__lambda__"}]}}).encode()


@pytest.mark.parametrize("name", ["a.json", "a.txt", "a.cfg", "model_json", "a.yaml", "a.md"])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_layers_in_json_of_any_name(name: str, code: str, tmp_path: Path) -> None:
    assert rules(scan(tmp_path, {name: LAMBDA.decode().encode(code)})) == {"keras-lambda"}


def test_json_that_is_not_read_to_its_end_is_not_clean(tmp_path: Path) -> None:
    files = {
        "config.json": LAMBDA + b" " * 17_000_000,
        "broken.json": LAMBDA + b"}",
        "deep.json": b"[" * 99_999 + LAMBDA,
    }
    found = scan(tmp_path, files)
    assert {(each.file, each.rule) for each in found.findings} == {
        ("config.json", "not-read"), ("broken.json", "schema-unreadable"), ("deep.json", "schema-unreadable"),
    }  # fmt: skip
    assert scan(tmp_path, {"config.json": files["config.json"]}, frozenset({"config.json"})).findings == ()


def test_json_of_too_many_items(tmp_path: Path) -> None:
    assert rules(scan(tmp_path, {"m.zip": zipped({"a.json": b"[" + b"{}," * 3_000_000 + b"{}]"}, 8)})) == {
        "archive-bomb"
    }


def with_path(name: str, other: str) -> bytes:
    info, path = zipfile.ZipInfo(name), other.encode()
    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(path), 1, zlib.crc32(name.encode())) + path
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(info, LAMBDA.replace(b"__lambda__", b"Dense"))
    return made.getvalue()


def test_a_member_with_another_name_for_newer_readers(tmp_path: Path) -> None:
    assert rules(scan(tmp_path, {"m.keras": with_path("c.txt", "config.json")})) == {"archive-inconsistent"}
    assert rules(scan(tmp_path, {"m.zip": with_path("c.txt", "c.txt"), "n.zip": with_path("é.txt", "è.txt")})) == set()


def node(name: str, tag: bytes = b"\x12") -> bytes:
    return b"\x0a\x01a" + tag + bytes([len(name)]) + name.encode()


GRAPHS = {
    "m.pb": node("WriteFile"), "sub/saved_model.pb": node("ReadFile"), "sub/m.onnx": node("PyOp", b"\x22"),
    "m.tflite": b"\x09\0\0\0FlexWriteFile".replace(b"\x09", b"\x0d"), "net.caffemodel": node("Python"),
    "net.prototxt": b'layer { name: "a" type: "Python" }', "m.pbtxt": b'node { op: "WriteFile" }',
    "graph.bin": node("WriteFile"), "p.pb": b"\x0a\x0doutput_stream\x12\x0b\x12\x09file:///a",
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_operators_that_run_code_wherever_they_are(name: str, tmp_path: Path) -> None:
    assert rules(scan(tmp_path, {name: GRAPHS[name]})) == {"graph-code"}
    assert scan(tmp_path, {name: GRAPHS[name]}, frozenset({name})).findings == ()  # its inspector tells


def test_operators_without_harm(tmp_path: Path) -> None:
    files = {"a.pb": node("ReadFileV3"), "b.pb": node("Conv"), "c.txt": b"WriteFile PyOp", "d.pb": node("PyFunc")}
    found = scan(tmp_path, files)
    assert {(each.file, each.severity) for each in found.findings} == {("d.pb", "suspicious")}


def test_what_lies_beside_a_model_is_told(tmp_path: Path) -> None:
    files = {
        "modeling_x.py": b"x = 1", "m.mar": zipped({"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"x = 1"}),
        "q.db": b"SQLite format 3\0", "cache": b"SQLite format 3\0", "s.dir": b"'a', (0, 5)", "other.pb": bytes(2**21),
    }  # fmt: skip
    found = scan(tmp_path, files)
    assert {(each.file, each.severity, each.rule) for each in found.findings} == {
        ("modeling_x.py", "suspicious", "program"), ("m.mar", "suspicious", "program"),
        ("q.db", "suspicious", "database"), ("cache", "suspicious", "database"), ("s.dir", "suspicious", "database"),
        ("other.pb", "info", "not-read"),
    }  # fmt: skip
