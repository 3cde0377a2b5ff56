"""Damaged or hostile MindSpore and MXNet files: every inspector answers or refuses, in bounded time and memory."""

import json
import struct
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard_contracts.keeping import misfits
from modelyard_formats.errors import BadSource
from modelyard_formats.kinds.mindspore import mindir_format, om_format
from modelyard_formats.table import read
from modelyard_testkit.processor_time import within

FIXTURES = Path(__file__).parent / "fixtures"
MOST_MEMORY = 48 * 2**20
bounded = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)
cuts = st.floats(0, 1) | st.just(1.0)


def offline_model() -> bytes:
    graph = om_format._schema().messages["Model"](name=b"m").SerializeToString()
    model = om_format._schema().messages["Model"].FromString(graph)
    operators = model.graph.add().operators
    operators.add(name=b"x", type=b"Data").output_desc.add(dtype=1).shape.dim.extend([1, 8])
    operators.add(name=b"out", type=b"NetOutput", input=[b"x:0"]).input_desc.add(dtype=1).shape.dim.extend([1, 8])
    content = model.SerializeToString()
    body = struct.pack("<I", 2) + struct.pack("<III", 0, 0, len(content)) + struct.pack("<III", 1, len(content), 8)
    body += content + bytes(8)
    size = len(body)
    header = (b"IMOD", 256, 1, size, 0, 0, 1, 0, b"m", 0, b"", 0, 1, b"", 0)
    return om_format._HEADER.pack(*header) + body


FILES = {
    "mindir": {"m.mindir": (FIXTURES / "mindspore" / "classifier.mindir").read_bytes()},
    "mindspore-lite": {"m.ms": (FIXTURES / "mindspore" / "lite.ms").read_bytes()},
    "ascend-om": {"model.om": offline_model()},
    "mxnet": {
        "m-symbol.json": (FIXTURES / "mxnet" / "digits-symbol.json").read_bytes(),
        "m-0000.params": (FIXTURES / "mxnet" / "digits-0000.params").read_bytes(),
    },
}
SPARSE = (FIXTURES / "mxnet" / "sparse.params").read_bytes()
EACH = [(name, file) for name, files in FILES.items() for file in files]


def damaged(data: bytes, flipped: list[tuple[float, int]], cut: float) -> bytes:
    changed = bytearray(data)
    for place, value in flipped:
        changed[int(place * len(changed))] = value
    return bytes(changed[: round(cut * len(changed))])


def answers_or_refuses(name: str, files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "model").mkdir()
        for file, data in files.items():
            (Path(folder) / "model" / file).write_bytes(data)
        found: object
        try:
            reading = read(name, Path(folder))
        except BadSource as refused:
            problems, found = refused.problems, [problem.model_dump() for problem in refused.problems]
        else:
            problems = ()
            found = [reading.inspection.model_dump(mode="json"), [each.model_dump() for each in reading.findings]]
            assert 0 <= reading.inspection.parameter_count < 2**63
    assert all(problem.file and problem.rule for problem in problems)
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    assert not list(misfits(found))


@pytest.mark.parametrize(("name", "file"), EACH)
def test_damaged_files(name: str, file: str) -> None:
    @bounded
    @given(flips, cuts)
    @within(3)
    def run(flipped: list[tuple[float, int]], cut: float) -> None:
        answers_or_refuses(name, {**FILES[name], file: damaged(FILES[name][file], flipped, cut)})

    run()


@pytest.mark.parametrize(("name", "file"), EACH)
def test_any_bytes(name: str, file: str) -> None:
    @bounded
    @given(st.binary(max_size=2_000))
    @within(3)
    def run(data: bytes) -> None:
        answers_or_refuses(name, {**FILES[name], file: data})

    run()


@bounded
@given(flips, cuts)
@within(3)
def test_damaged_sparse_arrays(flipped: list[tuple[float, int]], cut: float) -> None:
    answers_or_refuses("mxnet", {**FILES["mxnet"], "m-0000.params": damaged(SPARSE, flipped, cut)})


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800")
inner = leaves | st.lists(leaves, max_size=3) | st.dictionaries(st.text(max_size=5), leaves, max_size=3)
values = inner | st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
PLACES = ("nodes", "heads", "attrs", "op", "name", "inputs", "subgraphs", "__shape__", "__dtype__", "num_outputs")


@bounded
@given(st.sampled_from(PLACES), values, st.integers(0, 14))
@within(3)
def test_any_value_in_a_symbol(place: str, value: object, index: int) -> None:
    symbol = json.loads(FILES["mxnet"]["m-symbol.json"])
    node = symbol["nodes"][index]
    if place in ("nodes", "heads"):
        symbol[place] = value
    elif place.startswith(("__", "num")):
        node["attrs"] = {place: value}
    else:
        node[place] = value
    answers_or_refuses("mxnet", {**FILES["mxnet"], "m-symbol.json": json.dumps(symbol).encode()})


def nested_attributes(depth: int) -> bytes:
    """An output whose type is a tuple of a tuple of …"""
    attribute = b""
    for _ in range(depth):
        attribute = b"\x8a\x01" + _varint(len(attribute)) + attribute  # field 17
    value = b"\x2a" + _varint(len(attribute)) + attribute
    node, output = b"\x0a\x05\x22\x03Add", b"\x32" + _varint(len(value)) + value
    return b"\x3a" + _varint(len(node + output)) + node + output


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def many_parameters(count: int) -> bytes:
    model = mindir_format._schema().messages["Model"](producer=b"MindSpore")
    model.graph.node.add(op_type=b"Add")
    model.graph.output.add(name=b"y")
    content = model.graph.SerializeToString() + b"\x1a\x02\x0a\x00" * count
    return b"\x3a" + _varint(len(content)) + content


def lite_with(vector: int, count: int) -> bytes:
    """The model, its first vector of that many elements said to have `count`."""
    data = FILES["mindspore-lite"]["m.ms"]
    return data.replace(struct.pack("<I", vector), struct.pack("<I", count), 1)


HUGE = struct.pack("<Q", 2**62)
HOSTILE: list[tuple[str, str, bytes]] = [
    ("mindir", "m.mindir", b"\x3a\xff\xff\xff\xff\x07" + bytes(100)),
    ("mindir", "m.mindir", nested_attributes(90)),
    ("mindir", "m.mindir", nested_attributes(5_000)),
    ("mindir", "m.mindir", many_parameters(100_000)),
    ("mindir", "m.mindir", b"\x3a\x00" * 500_000),
    ("mindspore-lite", "m.ms", lite_with(2, 2**31)),
    ("mindspore-lite", "m.ms", lite_with(3, 2**30)),
    ("mindspore-lite", "m.ms", lite_with(4, 2**29)),
    ("mindspore-lite", "m.ms", b"\x08\0\0\0MSL2" + b"\x04\0\xff\xff" * 100_000),
    ("ascend-om", "model.om", FILES["ascend-om"]["model.om"][:256] + struct.pack("<I", 2**32 - 1) + bytes(1_000)),
    ("mxnet", "m-0000.params", struct.pack("<QQQ", 0x112, 0, 100_000) + bytes(400_000)),
    ("mxnet", "m-0000.params", struct.pack("<QQ", 0x112, 0) + HUGE),
    ("mxnet", "m-0000.params", struct.pack("<QQQIiI", 0x112, 0, 1, 0xF993FAC9, 0, 2**31) + HUGE * 10),
    ("mxnet", "m-symbol.json", b"[" * 1_000_000),
    ("mxnet", "m-symbol.json", b'{"nodes":' + b"[" * 900 + b"]" * 900 + b',"heads":[[0,0]]}'),
    ("mxnet", "m-symbol.json", b'{"nodes":[' + b'{"op":"a","name":"b"},' * 40_000 + b"1]" + b',"heads":[[0,0]]}'),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_huge_declarations_and_deep_nesting_cost_little(number: int) -> None:
    name, file, data = HOSTILE[number]
    answers_or_refuses(name, FILES[name])  # what is imported and made once is not counted
    tracemalloc.start()
    try:
        answers_or_refuses(name, {**FILES[name], file: data})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY


def test_bulk_is_never_read(tmp_path: Path) -> None:
    """Files of 256 MiB, most of it a hole on disk: weights, as every one of these formats keeps them."""
    bulk = 2**28
    (tmp_path / "model").mkdir()
    raw = b"\x0a\x04" + _varint(bulk // 4) + b"\x10\x01\x4a" + _varint(bulk)
    parameter = b"\x1a" + _varint(len(raw) + bulk) + raw
    graph = b"\x0a\x05\x22\x03Add\x32\x03\x0a\x01y" + parameter
    head = struct.pack("<QQQ", 0x112, 0, 1) + struct.pack("<Iiiqiii", 0xF993FAC9, 0, 1, bulk // 4, 1, 0, 0)
    tail = struct.pack("<QQ", 1, 3) + b"a:w"
    for name, before, after in (
        ("m.mindir", b"\x3a" + _varint(len(graph) + bulk) + graph, b""),
        ("m-0000.params", head, tail),
    ):
        with (tmp_path / "model" / name).open("wb") as file:
            file.write(before)
            file.seek(bulk, 1)
            file.write(after)
            file.truncate(len(before) + bulk + len(after))
    symbol = {"nodes": [{"op": "null", "name": "a:w"}], "heads": [[0, 0, 0]]}
    (tmp_path / "model" / "m-symbol.json").write_text(json.dumps(symbol))
    for name in ("mindir", "mxnet"):
        tracemalloc.start()
        try:
            found = read(name, tmp_path).inspection
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found.parameter_count == bulk // 4
        assert peak < MOST_MEMORY
