"""Broken or hostile model files: the scan and every inspector answer or refuse, in bounded time and memory."""

import io
import json
import pickletools
import random
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard_contracts.keeping import misfits
from modelyard_formats.errors import BadSource
from modelyard_formats.format import Entry
from modelyard_formats.pickle.reader import Allowance, Machine, Source, TooMuch, Unreadable
from modelyard_formats.pickle.rules import Audit
from modelyard_formats.scan.package import scan_package
from modelyard_formats.table import read
from modelyard_testkit.processor_time import within

FIXTURES = Path(__file__).parent / "fixtures"
FORMATS = {
    "state_dict.pth": "pytorch", "legacy.pth": "pytorch", "whole_module.pt": "pytorch", "exported.pt2": "pytorch",
    "script.pt": "pytorch", "forest.m": "sklearn", "pipeline_zlib.joblib": "sklearn", "pipeline_lzma.joblib": "sklearn",
    "linear.pkl": "sklearn", "pipeline.skops": "skops", "xgboost.json": "xgboost", "xgboost.ubj": "xgboost",
    "xgboost.pkl": "xgboost", "xgboost_old.model": "xgboost", "lightgbm.txt": "lightgbm", "lightgbm.json": "lightgbm",
    "lightgbm.pkl": "lightgbm",
}  # fmt: skip
BYTES = {name: (FIXTURES / name).read_bytes() for name in FORMATS}
bounded = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)
cuts = st.floats(0, 1) | st.just(1.0)


def damaged(data: bytes, flipped: list[tuple[float, int]], cut: float) -> bytes:
    changed = bytearray(data)
    for place, value in flipped:
        changed[int(place * len(changed))] = value
    return bytes(changed[: round(cut * len(changed))])


def answers_or_refuses(name: str, data: bytes) -> None:
    with TemporaryDirectory() as folder:
        model = Path(folder, "model")
        model.mkdir()
        (model / name).write_bytes(data)
        (model / "customize_service.py").touch()
        report = scan_package(Path(folder), [Entry(f"model/{name}", len(data))])
        problems = ()
        found: object = None
        try:
            found = read(FORMATS[name], Path(folder)).inspection.model_dump(mode="json")
        except BadSource as refused:
            problems = refused.problems
            found = [problem.model_dump() for problem in problems]
    assert all(problem.file and problem.rule for problem in problems)
    for each in (found, report.model_dump(mode="json")):
        json.dumps(each, allow_nan=False, ensure_ascii=False).encode()
        assert not list(misfits(each))


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(name):
    @bounded
    @given(flips, cuts)
    @within(3)
    def run(flipped, cut):
        answers_or_refuses(name, damaged(BYTES[name], flipped, cut))

    run()


@pytest.mark.parametrize("name", ["state_dict.pth", "script.pt", "exported.pt2", "pipeline.skops"])
def test_damaged_members_of_sound_archives(name):
    """The archive itself stays whole, so that every change reaches the readers of its members."""
    with zipfile.ZipFile(FIXTURES / name) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    inside = sorted(each for each in members if each.endswith((".pkl", ".json", ".py", ".npy")))

    @bounded
    @given(st.sampled_from(inside), flips, cuts)
    @within(3)
    def run(member, flipped, cut):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for each, data in members.items():
                archive.writestr(each, damaged(data, flipped, cut) if each == member else data)
        answers_or_refuses(name, buffer.getvalue())

    run()


OPERATIONS = sorted(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
pieces = st.sampled_from(OPERATIONS) | st.sampled_from([
    b"\x8c\x02os", b"cos\nsystem\n", b"K\x01", b"h\x00", b"\x94", b"}", b"]", b")", b"N", b"(", b"X\x01\x00\x00\x00a",
    b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n", b"\x81", b"b", b"R", b"t", b"u", b"e", b"Q",
])  # fmt: skip


@settings(bounded, max_examples=400)
@given(st.lists(pieces | st.binary(max_size=6), max_size=60))
@within(3)
def test_any_operations(operations):
    data = b"".join(operations)
    with suppress(Unreadable, TooMuch):
        Machine(Source(io.BytesIO(data), len(data)), Audit(), Allowance(), arrays=True).run()
    answers_or_refuses("linear.pkl", data)


@bounded
@given(st.binary(max_size=2_000), st.sampled_from(sorted(FORMATS)))
@within(3)
def test_any_bytes(data, name):
    answers_or_refuses(name, data)


def nested_tar(depth: int) -> bytes:
    data = b""
    for level in range(depth):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo(f"{level}.tar")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        data = buffer.getvalue()
    return data


HUGE = struct.pack("<Q", 2**62)
HUGE_DECLARED = {
    "linear.pkl": [
        b"\x80\x04\x8d" + HUGE, b"\x80\x05\x8e" + HUGE, b"\x80\x05\x96" + HUGE, b"\x80\x04\x8b\xff\xff\xff\x7f",
        b"\x80\x04\x95" + HUGE, b"L" + b"9" * 70_000 + b"L\n", b"(" * 100_000, b"]" * 100_000 + b"a" * 100_000 + b".",
        b"\x80\x04" + b")\x85" * 50_000 + b".", b"r\xff\xff\xff\x7f", b"p99999999999999999999\n", nested_tar(12),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': '|O'", b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118,
        b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(X\x05\x00\x00\x00shapeJ\xff\xff\xff\x7f\x85"
        b"X\x05\x00\x00\x00dtypecnumpy\ndtype\nX\x04\x00\x00\x00f999\x85Rub.",
    ],
    "xgboost.ubj": [
        b"{L" + HUGE, b"{i\x01a[$i#L" + b"\x3f" + b"\xff" * 7, b"{i\x01a[#L" + b"\x3f" + b"\xff" * 7,
        b"{#L" + b"\x3f" + b"\xff" * 7, b"{i\x01a" + b"[" * 100_000, b"{i\x01aSL" + b"\x3f" + b"\xff" * 7,
    ],
    "xgboost.json": [b"{" + b'"a":[' * 100_000, b'{"learner":' + b"[" * 200_000, b"{" + b" " * 1_000_000],
    "lightgbm.txt": [b"tree\n" + b"a" * 2_000_000, b"tree\n" + b"a=b\n" * 300_000,
        b"tree\nmax_feature_idx=" + b"9" * 9_000,
    ],
    "xgboost_old.model": [b"binf" + b"\xff" * 136 + HUGE, b"\xff" * 136 + b"\x05" + b"\0" * 7 + b"\xff" * 9],
    "state_dict.pth": [b"PK\x03\x04" + b"\0" * 26 + b"PK\x05\x06" + b"\xff" * 18, b"PK\x05\x06" + b"\0" * 18],
}  # fmt: skip
CASES = [(name, number) for name, all_data in HUGE_DECLARED.items() for number in range(len(all_data))]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_huge_declarations_and_deep_nesting_cost_nothing(name, number):
    data = HUGE_DECLARED[name][number]
    tracemalloc.start()
    try:
        answers_or_refuses(name, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 * 2**20


def test_memory_of_a_pickle_grows_with_its_operations_at_most():
    """5 million are allowed; what each may cost bounds what the whole can."""
    for operations in (b"]\x94", b"\x8c\x01a\x94", b"h\x00)\x81}b\x94", b"K\x01K\x02\x86"):
        start = b"\x80\x04ccollections\nOrderedDict\n\x94" if operations[:1] == b"h" else b"\x80\x04"
        data = start + operations * 30_000 + b"."
        steps = sum(1 for _ in pickletools.genops(data))
        tracemalloc.start()
        try:
            Machine(Source(io.BytesIO(data), len(data)), Audit(), Allowance(), arrays=False).run()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 200 * steps


def test_a_child_with_little_memory_reads_every_hostile_file(tmp_path):
    """The real limit that the inspecting process runs under, only much lower."""
    entries = []
    for name, number in CASES:
        data = HUGE_DECLARED[name][number]
        (tmp_path / f"{number}-{name}").write_bytes(data)
        entries.append((f"{number}-{name}", len(data)))
    noise = random.Random(0).randbytes(2**16)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 2**25)
        archive.writestr("noise", noise)
    entries.append(("bomb.zip", (tmp_path / "bomb.zip").stat().st_size))
    code = (
        "import resource, sys, json\n"
        "from pathlib import Path\n"
        "from modelyard_formats.format import Entry\n"
        "from modelyard_formats.scan.package import scan_package\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "entries = [Entry(*each) for each in json.load(sys.stdin)]\n"
        "report = scan_package(Path.cwd(), entries)\n"
        "status = Path('/proc/self/status')\n"
        "lines = status.read_text().splitlines() if status.exists() else []\n"
        "peak = [line.split()[1] for line in lines if line.startswith('VmHWM')]\n"  # getrusage counts the parent's too
        "print(len(report.findings), *peak)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(entries),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    findings, *peak = map(int, done.stdout.split())
    assert findings > 10
    assert all(kilobytes < 300 * 1024 for kilobytes in peak)
