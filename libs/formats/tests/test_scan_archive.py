"""Archives that hide, escape or explode are refused; what honest writers make passes. Nothing is ever unpacked."""

import gzip
import io
import json
import os
import pickle
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from modelyard_contracts.shapes import ScanReport
from modelyard_formats.format import Entry
from modelyard_formats.package.check import check_package
from modelyard_formats.scan.package import scan_package, wants_content
from modelyard_formats.wire import archive_bytes
from modelyard_testkit import models

FIXTURES = Path(__file__).parent / "fixtures"


class Runs:
    def __reduce__(self):
        return os.system, ("touch was-executed",)


ATTACK = pickle.dumps(Runs(), protocol=2)


def scan(folder: Path, **files: bytes) -> ScanReport:
    named = {name.replace("__", "."): data for name, data in files.items()}
    for name, data in named.items():
        (folder / name).write_bytes(data)
    return scan_package(folder, [Entry(name, len(data)) for name, data in named.items()])


def rules(report: ScanReport, severity: str = "dangerous") -> set[str]:
    return {each.rule for each in report.findings if each.severity == severity}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def torch_like(data: bytes) -> bytes:
    files = {"archive/data.pkl": data, "archive/version": b"3\n", "archive/data/0": b"\0" * 64}
    return zipped(files, zipfile.ZIP_STORED)


def patched(data: bytes, magic: bytes, offset: int, value: bytes) -> bytes:
    """`data` with `value` at `offset` of its first record that begins with `magic`."""
    start = data.index(magic) + offset
    return data[:start] + value + data[start + len(value) :]


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda data: data, "pickle-code"),
        (lambda data: patched(data, LOCAL, 6, b"\x01\x00"), "archive-encrypted"),
        (lambda data: patched(data, CENTRAL, 8, b"\x01\x00"), "archive-encrypted"),
        (lambda data: patched(data, CENTRAL, 16, b"\x00\x00\x00\x00"), "archive-checksum"),
        (lambda data: patched(data, LOCAL, 14, b"\x00\x00\x00\x00"), "archive-inconsistent"),
        (lambda data: patched(data, LOCAL, 30, b"brchive/data.txt"), "archive-inconsistent"),
        (lambda data: patched(data, LOCAL, 8, b"\x08\x00"), "archive-inconsistent"),
        (lambda data: data + ATTACK, "pickle-code"),
        (lambda data: b"leading junk" + data, "pickle-code"),
    ],
)
@pytest.mark.parametrize("name", ["model__pt", "pytorch_model__bin", "weights__dat", "archive"])
def test_a_hostile_torch_archive_is_refused_and_looked_into_whatever_it_says(tmp_path, change, rule, name):
    found = rules(scan(tmp_path, **{name: change(torch_like(ATTACK))}))
    assert {rule, "pickle-code"} <= found
    assert not Path("was-executed").exists()


def nested(levels: int) -> bytes:
    data = ATTACK
    for level in range(levels):
        data = zipped({f"{level}.zip": data})
    return data


def test_nesting_is_followed_and_bounded(tmp_path):
    assert rules(scan(tmp_path, a__zip=nested(3))) == {"pickle-code"}
    assert rules(scan(tmp_path, a__zip=nested(7))) == {"archive-bomb"}


def overlapping() -> bytes:
    """Two members of the directory share one run of bytes."""
    data = zipped({"a": b"\0" * 5000, "b": b"\0" * 5000})
    second = data.index(CENTRAL, data.index(CENTRAL) + 4)
    return data[: second + 42] + struct.pack("<L", 0) + data[second + 46 :]


def test_bombs_are_refused_before_they_go_off(tmp_path):
    layer = zipped({str(number): zipped({"zeros": b"\0" * 2**22}) for number in range(8)})
    bomb = zipped({str(number): layer for number in range(40)})
    assert rules(scan(tmp_path, a__zip=zipped({"a": b"\0" * 2**26}))) == {"archive-bomb"}
    assert "archive-bomb" in rules(scan(tmp_path, a__zip=overlapping()))
    assert rules(scan(tmp_path, a__zip=zipped({f"{n}": b"" for n in range(20_001)}))) == {"archive-unreadable"}
    assert len(bomb) < 2**20
    report = scan(tmp_path, a__zip=bomb)
    assert rules(report) == {"archive-bomb"}


def test_packed_zeros_do_not_fill_the_disk(tmp_path, monkeypatch):
    import lzma

    zeros = b"\0" * 2**26
    for pack in (gzip.compress, lzma.compress):
        assert rules(scan(tmp_path, a__gz=pack(zeros))) == {"archive-bomb"}
    monkeypatch.setattr("modelyard_formats.scan.search.MAX_UNPACKED", 2**20)
    noise = os.urandom(2**19)
    assert rules(scan(tmp_path, a__gz=gzip.compress(noise * 3))) == {"archive-bomb"}
    assert "archive-bomb" in rules(scan(tmp_path, a__zip=zipped({str(n): noise for n in range(3)})))


def test_a_head_without_an_end_is_not_waited_for(tmp_path):
    """gzip's names may be of any length, and Python's reader, which keeps none of them, gets to what follows."""
    for flags in (b"\x08", b"\xe8"):
        head = b"\x1f\x8b\x08" + flags + bytes(6)
        body = gzip.compress(ATTACK)[10:]
        long, longer = (head + b"n" * size + b"\0" + body for size in (2**16, 2 * archive_bytes.MAX_GZIP_HEAD))
        assert gzip.decompress(longer) == ATTACK
        assert "pickle-code" in rules(scan(tmp_path, a__bin=long))
        assert rules(scan(tmp_path, a__bin=longer)) == {"archive-bomb"}


@pytest.mark.parametrize(
    "name", ["../escaped", "/etc/cron.d/x", "a/../../b", "..\\escaped", "C:/x", "a\nb", "\\\\host\\share"]
)
def test_paths_that_lead_out_are_refused(tmp_path, name):
    assert rules(scan(tmp_path, a__zip=zipped({name: b"x"}))) == {"archive-path"}
    assert rules(scan(tmp_path, a__tar=tarred({name: b"x"}))) == {"archive-path"}


def tarred(files: dict[str, bytes], mode: str = "w", **links: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def test_links_in_archives_are_refused(tmp_path):
    assert rules(scan(tmp_path, a__tar=tarred({"a": b"x"}, link="/etc/passwd"))) == {"archive-link"}
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert rules(scan(tmp_path, a__zip=buffer.getvalue())) == {"archive-link"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_archives_are_looked_into(tmp_path, mode):
    assert rules(scan(tmp_path, a__tar=tarred({"inner/data": ATTACK}, mode))) == {"pickle-code"}
    assert scan(tmp_path, a__tgz=tarred({"a.txt": b"text", "b/c": b""}, mode)).findings == ()
    old = tarred({"storages": b"x", "pickle": ATTACK})
    assert rules(scan(tmp_path, old__pt=old)) == {"pickle-code", "archive-unreadable"}


def test_tar_headers_are_bounded(tmp_path):
    header = tarfile.TarInfo("a").tobuf()
    huge = tarfile.TarInfo("b")
    huge.type, huge.size = tarfile.XHDTYPE, 2**30
    assert rules(scan(tmp_path, a__tar=huge.tobuf() + header)) == {"archive-unreadable"}
    assert rules(scan(tmp_path, a__tar=b"no tar")) == {"archive-unreadable"}


@pytest.mark.parametrize(
    "magic", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"]
)
def test_archives_that_cannot_be_looked_into_are_refused(tmp_path, magic):
    assert rules(scan(tmp_path, a__pkl=magic + b"\0" * 100)) == {"archive-unreadable"}


def test_duplicate_members_are_refused(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", "x")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", "y")
    assert rules(scan(tmp_path, a__zip=buffer.getvalue())) == {"archive-inconsistent"}


def keras(layers: list[dict]) -> bytes:
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}
    return zipped({"config.json": json.dumps(config).encode(), "metadata.json": b"{}", "model.weights.h5": b""})


CODE = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None, "closure": None}}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"module": "keras.layers", "class_name": "Dense", "config": {"activation": "relu"}}, (set(), set())),
        ({"module": "keras.layers", "class_name": "Lambda", "config": {"function": CODE}}, ({"keras-lambda"}, set())),
        ({"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}, ({"keras-lambda"}, set())),
        ({"class_name": "Lambda", "config": {"function": "double"}}, (set(), {"keras-lambda"})),
        ({"module": "os", "class_name": "function", "config": "system"}, ({"keras-import"}, set())),
        ({"module": "builtins", "class_name": "function", "config": "eval"}, ({"keras-import"}, set())),
        ({"module": "builtins", "class_name": "function", "config": "relu"}, (set(), set())),
        ({"module": "acme.layers", "class_name": "Attention", "config": {}}, (set(), {"keras-import"})),
        ({"module": "keras.src.activations", "class_name": "function", "config": "relu"}, (set(), set())),
        ({"module": "keras.utils", "class_name": "get_file", "config": {}}, ({"keras-import"}, set())),
        (
            {"module": "keras.src.utils.file_utils", "class_name": "function", "config": "urlretrieve"},
            ({"keras-import"}, set()),
        ),
        ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}}, ({"keras-import"}, set())),
        (
            {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
            ({"keras-import"}, set()),
        ),
        ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": ["a"]}}, (set(), set())),
    ],
)
def test_keras_archives(tmp_path, layer, expected):
    report = scan(tmp_path, model__keras=keras([layer]))
    assert (rules(report), rules(report, "suspicious")) == expected


def test_a_crowd_of_odd_layers_hides_no_attack(tmp_path):
    layers = [{"module": "acme.layers", "class_name": f"Own{number}", "config": {}} for number in range(6)]
    attack = {"module": "subprocess", "class_name": "function", "config": "run"}
    assert rules(scan(tmp_path, model__keras=keras([*layers, attack]))) == {"keras-import"}


def test_many_starts_of_pickles_in_hdf5_are_not_all_read(tmp_path):
    start = b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    assert rules(scan(tmp_path, a__h5=start + b"\x80\x02N" * 20_000)) == {"pickle-too-large"}


def test_keras_hdf5_is_odd_and_a_lambda_in_it_refused(tmp_path):
    start = b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    assert rules(scan(tmp_path, a__h5=start), "suspicious") == {"hdf5-unchecked"}
    layer = json.dumps({"class_name": "Lambda", "config": {}}).encode()
    assert rules(scan(tmp_path, a__h5=start + b"\0" * (2**20 - 120) + layer)) == {"keras-lambda"}
    assert rules(scan(tmp_path, a__keras=zipped({"config.json": b"{" * 9, "metadata.json": b"{}"}))) == {
        "schema-unreadable"
    }


@pytest.mark.parametrize(
    ("node", "severity"),
    [
        (
            {"__module__": "scipy.stats._continuous_distns", "__class__": "norm_gen", "_parse_arg_template": {}},
            "dangerous",
        ),
        ({"__module__": "builtins", "__class__": "getattr", "__loader__": "FunctionNode"}, "dangerous"),
        ({"__module__": "numpy", "__class__": "memmap", "__loader__": "TypeNode"}, "suspicious"),
        ({"__module__": "sklearn.isotonic", "__class__": "IsotonicRegression", "_build_f": {}}, "dangerous"),
        ({"__module__": "sklearn.linear_model", "__class__": "Ridge"}, None),
    ],
)
def test_what_skops_sets_and_names(tmp_path, node, severity):
    schema = {"__loader__": "ObjectNode", **node}
    found = scan(tmp_path, m__skops=zipped({"schema.json": json.dumps(schema).encode()})).findings
    assert {each.severity for each in found} == ({severity} if severity else set())


def test_skops_types_that_skops_does_not_trust(tmp_path):
    (found,) = scan(tmp_path, odd__skops=(FIXTURES / "odd.skops").read_bytes()).findings
    untrusted = json.loads((FIXTURES / "boosted.json").read_text())["untrusted"]
    assert found.rule == "skops-untrusted"
    assert all(name in found.message for name in untrusted)
    own = {"__module__": "acme", "__class__": "Own", "__loader__": "ObjectNode"}
    report = scan(tmp_path, own__skops=zipped({"schema.json": json.dumps(own).encode()}))
    assert (rules(report), rules(report, "suspicious")) == (set(), {"skops-untrusted"})


def test_programs_and_notebooks_are_recorded(tmp_path):
    windows = b"MZ" + b"\0" * 58 + struct.pack("<L", 64) + b"PE\0\0" + b"\0" * 60
    report = scan(
        tmp_path,
        elf=b"\x7fELF" + b"\0" * 60,
        windows=windows,
        script=b"#!/bin/sh\necho\n",
        run__sh=b"echo",
        work__ipynb=b"{}",
        customize_service__py=b"",
        large__weights=b"",
    )
    found = {(each.file, each.severity, each.rule) for each in report.findings}
    assert found == {
        ("elf", "suspicious", "program"), ("windows", "suspicious", "program"), ("script", "suspicious", "program"),
        ("run.sh", "suspicious", "program"), ("work.ipynb", "suspicious", "notebook"),
        ("customize_service.py", "info", "custom-code"),
    }  # fmt: skip


def test_what_is_too_large_to_read_says_so(tmp_path):
    big = 16 * 2**20 + 1
    for name in ("a.bin", "b.onnx"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(big)
    report = scan_package(tmp_path, [Entry("a.bin", big), Entry("b.onnx", big)])
    assert [(each.file, each.rule) for each in report.findings] == [("a.bin", "not-read"), ("b.onnx", "not-read")]
    assert scan_package(tmp_path, [Entry("a.bin", big)], frozenset({"a.bin"})).findings == ()


@pytest.mark.parametrize(
    ("path", "size", "wanted"),
    [
        ("model/a.pkl", 2**40, True), ("model/a.PT", 2**40, True), ("model/a.pt2", 1, True), ("model/x/a.npz", 1, True),
        ("model/a.skops", 1, True), ("model/a.keras", 1, True), ("model/a.tar", 1, True), ("model/a.m", 1, True),
        ("model/pytorch_model.bin", 2**20, True), ("model/weights.bin", 2**30, False), ("model/a.dat", 5, True),
        ("model/a.onnx", 5, True), ("model/config.json", 2**24, True), ("model/a.png", 2**21, False),
        ("model/a.onnx", 2**21, False), ("model/lib.so", 5, True),
        ("model/none", 5, True), ("model/none", 2**30, False),
    ],
)  # fmt: skip
def test_which_files_must_be_fetched(path, size, wanted):
    assert wants_content(path, size) is wanted


def test_a_dangerous_finding_refuses_the_package(tmp_path):
    root = models.package(tmp_path)
    (root / "model" / "notes.pkl").write_bytes(ATTACK)
    (root / "model" / "run.sh").write_text("echo")
    found = check_package(root)
    assert found.scan
    assert {each.rule for each in found.scan.findings} == {"pickle-code", "program"}
    (problem,) = found.problems
    assert (problem.file, problem.rule) == ("model/notes.pkl", "pickle-code")
    assert "posix.system" in problem.message
    failure = found.failure()
    assert failure
    assert failure.code == "ModelArts.3017"
