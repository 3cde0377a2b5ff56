"""Small files that would take a scan minutes or all memory: each is refused, or read in seconds."""

import gzip
import lzma
import struct
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard_formats.format import Entry
from modelyard_formats.kinds.pytorch.archive import _forward
from modelyard_formats.scan.package import scan_package

from .hostile_states import END, P4, call, name

SECONDS = 30
REFUSED = {"pickle-too-large", "pickle-code", "archive-bomb", "archive-unreadable"}


def shared(begin: bytes, step: bytes, times: int = 60) -> bytes:
    """Each is made of the one before it, twice."""
    made = begin + b"q\0"
    for here in range(times):
        made += b"0" + step.replace(b"@", b"h" + bytes([here])) + b"q" + bytes([here + 1])
    return made


TUPLES, LISTS = shared(b"K\x01\x85", b"@@\x86"), shared(b"]", b"](@@e")
ARRAY = b"\x93NUMPY\x01\0" + struct.pack("<H", 118)
ARRAY += b"{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }".ljust(117) + b"\n"


def pax_of_digits() -> bytes:
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.XHDTYPE, 300_032
    return info.tobuf(tarfile.USTAR_FORMAT) + b"1" * 300_032 + bytes(1024)


def again(made: bytes, times: int) -> bytes:
    return gzip.compress(P4 + made * times + b"N.")


LONG = name("sklearn." + ".".join("a" * 400), "A" * 200) + b"q\x000"
CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a shared tuple, looked up": ("m.pkl", lambda: P4 + call(name("numpy", "dtype"), TUPLES) + END),
    "a shared tuple for a generator": (
        "m.pkl", lambda: P4 + call(name("numpy.random._pickle", "__bit_generator_ctor"), TUPLES) + END,
    ),
    "a shared tuple for a method": (
        "m.pkl", lambda: P4 + call(name("builtins", "getattr"), name("builtins", "str"), TUPLES) + END,
    ),
    "a shared list, written out": ("m.pkl", lambda: P4 + call(name("fractions", "Fraction"), LISTS) + END),
    "nested lists, written out": (
        "m.pkl", lambda: P4 + call(name("fractions", "Fraction"), b"]" * 60_000 + b"a" * 59_999) + END,
    ),
    "arrays and pickles in turn": ("m.npy", lambda: (ARRAY + b"N.") * 9_000),
    "a tar header of digits": ("m.tar", pax_of_digits),
    "calls of a long name": ("m.pkl.gz", lambda: gzip.compress(P4 + LONG + b"h\0)R0" * 1_240_000 + b"N.")),
    "codes of extensions": ("m.pkl.gz", lambda: again(b"\x82\x01", 4_900_000)),
    "instances": (
        "m.pkl.gz", lambda: gzip.compress(P4 + name("sklearn.a", "A") + b"q\0" + b"h\0)\x81" * 1_600_000 + END),
    ),
    "ids of what is kept": ("m.pkl.gz", lambda: again(b"P\n", 4_900_000)),
    "large arguments": (
        "m.pkl.gz",
        lambda: gzip.compress(
            P4 + b"(" + b"N" * 9_000 + b"tq\x000" + name("sklearn.tree._tree", "Tree") + b"q\x010"
            + b"h\x01h\0R0" * 1_200_000 + b"N."
        ),
    ),
    "streams of nothing": ("m.xz", lambda: lzma.compress(b"") * 60_000),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_it_is_refused_in_time(what: str, tmp_path: Path) -> None:
    file, make = CASES[what]
    (tmp_path / file).write_bytes(make())
    begin = time.process_time()
    found = scan_package(tmp_path, [Entry(file, (tmp_path / file).stat().st_size)]).findings
    assert time.process_time() - begin < SECONDS
    assert {each.rule for each in found if each.severity == "dangerous"} & REFUSED, found


def test_methods_without_end() -> None:
    begin = time.process_time()
    assert _forward("class M(Module):\n" + "def forward(self:)" * 60_000, "M") == ((), ())
    assert time.process_time() - begin < 1


def test_what_is_nested_too_deep_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deep(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("modelyard_formats.scan.package.look_at", deep)
    (tmp_path / "a").write_bytes(b"x")
    assert [each.rule for each in scan_package(tmp_path, [Entry("a", 1)]).findings] == ["archive-bomb"]
