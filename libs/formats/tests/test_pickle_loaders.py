"""Pickles that run code in one real loader or another, each by a way of its own; every one is refused.

Each is first given to the real loaders, in a process that refuses what it does: one that does nothing proves nothing.
"""

import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from modelyard_formats.format import Entry
from modelyard_formats.pickle.rules import is_allowed
from modelyard_formats.pickle.values import Global
from modelyard_formats.scan.package import scan_package

COMMAND = "modelyard-must-not-run"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw if len(raw) < 256 else b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def entries(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(key.replace("dunder_", "__")) + value for key, value in values.items()) + b"u"


def framed(body: bytes, more: int = 0) -> bytes:
    return b"\x95" + struct.pack("<Q", len(body) + more) + body


SYSTEM = name("os", "system")
TO = text(COMMAND)
RUN = call(SYSTEM, TO)
P4 = b"\x80\x04"
SPACE = call(name("types", "SimpleNamespace"))
NAMESPACE = name("argparse", "Namespace") + b")\x81"
WRAPPER = name("joblib.numpy_pickle", "NumpyArrayWrapper")
ARRAY = {"subclass": name("numpy", "ndarray"), "order": text("C"), "allow_mmap": b"\x89"}


def dtype(code: str = "u1", flags: int = 0, size: int = -1) -> bytes:
    state = b"K\x03" + text("|") + b"NNN" + struct.pack("<ci", b"J", size) + b"J\xff\xff\xff\xffK" + bytes([flags])
    return call(name("numpy", "dtype"), text(code), b"\x89", b"\x88") + b"(" + state + b"tb"


def array(made: bytes = WRAPPER + b")\x81", **changed: bytes) -> bytes:
    state = ARRAY | {"shape": b"K\x00\x85", "dtype": dtype(), "numpy_array_alignment_bytes": b"N"} | changed
    return made + entries(**state) + b"b"


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in members:
            archive.writestr(path, data)
    return out.getvalue()


def npy(body: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


END = RUN + b"."
SKIPPED = b"\xff" * 63 + b"."
NUMBERS = {
    f"number {odd!r}": odd + b"\n0" + END
    for odd in (
        b"I0x10", b"I010", b"I 5", b"I5 ", b"I1_0", b"I5\0x", b"I+5", b"I0b1", b"I0o7", b"I\t5",
        b"I99999999999999999999",
        b"L0x10L", b"L 7L", b"L1_0L", b"L0b1", b"L5\0xL", b"F1_0.5", b"F 1.5", b"F1\0x", b"Finf", b"L" + b"0" * 4_000,
    )
}  # fmt: skip
TEXTS = {
    "latin-1 in a STRING": b"S'\xe9'\n0" + END,
    "names in STRINGs with escapes": b"S'\\x6f\\163'\nS\"s\\x79stem\"\n\x93" + TO + b"\x85R.",
    "names in UNICODE with escapes": b"V\\u006fs\nVsy\\u0073tem\n\x93" + TO + b"\x85R.",
    "names in BINSTRINGs": b"T\x02\0\0\0osU\x06system\x93" + TO + b"\x85R.",
    "names in BINUNICODE8": b"\x8d"
    + struct.pack("<Q", 2)
    + b"os\x8d"
    + struct.pack("<Q", 6)
    + b"system\x93"
    + TO
    + b"\x85R.",
    "a long UNICODE line": b"V" + b"x" * 200_000 + b"\n0" + END,
    "a long STRING line": b"S'" + b"x" * 200_000 + b"'\n0" + END,
    "a surrogate": b"X\x03\0\0\0\xed\xa0\x800" + END,
    "a BYTEARRAY8": b"\x96" + struct.pack("<Q", 3) + b"abc0" + END,
    "a read-only buffer": b"\x96" + struct.pack("<Q", 3) + b"abc\x980" + END,
}
NAMES = {
    "a name that is computed": P4
    + text("os")
    + call(name("_codecs", "encode"), text("flfgrz"), text("rot13"))
    + b"\x93"
    + TO
    + b"\x85R.",
    "a dotted name over 1 KiB": P4 + name("os", "system" + ".__call__" * 150) + TO + b"\x85R.",
    "an import without its last line end": b"(" + TO + b"ios\nsystemX",
    "a path through a library": P4 + call(name("sklearn.base", "warnings.sys.modules.get"), text("os")) + b".",
    "a class by a path": P4 + call(name("sklearn.utils.parallel", "joblib.Memory")) + b".",
    "Python 2's name": b"\x80\x02ccommands\ngetoutput\n" + TO + b"\x85R.",
    "Python 2's built-in": b"\x80\x02c__builtin__\neval\n" + TO + b"\x85R.",
    "names from the memo, in odd places": P4
    + text("os")
    + b"r\xff\xff\x01\x000"
    + text("system")
    + b"p0_77\n0j\xff\xff\x01\x00g077\n\x93"
    + TO
    + b"\x85R.",
    "a memo place of many digits": P4
    + text("os")
    + b"p"
    + b"0" * 1500
    + b"7\n0g7\n"
    + text("system")
    + b"\x93"
    + TO
    + b"\x85R.",
    "memoised over a gap": P4 + text("os") + b"q\x05" + text("system") + b"\x9400h\x05h\x01\x93" + TO + b"\x85R.",
    "an entry set in a list": b"]Na" + b"K\x00" + TO + b"s0" + END,
}
CALLS = {
    "INST": b"(" + TO + b"ios\nsystem\n.",
    "OBJ": b"(" + SYSTEM + TO + b"o.",
    "arguments in a list": SYSTEM + b"](" + TO + b"eR.",
    "arguments in a dict": SYSTEM + b"}" + TO + b"NsR.",
    "arguments in a set": SYSTEM + b"\x8f(" + TO + b"\x90R.",
    "a function that is copied": SYSTEM + b"20" + TO + b"\x85R.",
    "marks taken off": b"((0" + SYSTEM + b"(" + TO + b"tR.",
    "no protocol": END,
    "protocol 0 said twice": b"\x80\0\x80\x02" + END,
    "cut off behind the call": P4 + RUN,
    "broken behind the call": P4 + RUN + b"\xff\xff",
    "a list of calls": P4
    + call(name("builtins", "list"), call(name("builtins", "map"), SYSTEM, b"](" + TO + b"e"))
    + b".",
    "a new object of a class that is code": P4 + name("subprocess", "Popen") + b")\x81.",
    "__newobj__": P4 + call(name("copyreg", "__newobj__"), name("subprocess", "Popen")) + b".",
}
FRAMES = {
    "a name across the end of a frame": P4 + framed(b"cos\nrepla") + b"system\n" + TO + b"\x85R.",
    "a number across the end of a frame": P4 + framed(b"N0J\x05") + b"\0\0\0\x000" + END,
    "a frame in a frame": P4 + framed(b"N0" + framed(b"N0"), 4) + END,
    "a frame beyond the end": P4 + framed(END, 2**30),
    "a second pickle inside of the frame": P4 + framed(b"N.", 2) + b"N." + P4 + END,
}
JOBLIB = {
    "array bytes behind the frame": P4
    + framed(array(shape=b"K\x40\x85") + b"0N" * 8)
    + b"\xff" * 48
    + b"."
    + b"\xff" * 15
    + b"0"
    + END,
    "an empty array in a frame too long": P4 + framed(array() + END, 2**30),
    "a shape that is a list": P4 + array(shape=b"](K\x40e") + b"." + b"\xff" * 63 + b"0" + END,
    "a dtype that says it holds objects": P4 + array(dtype=dtype("u1", flags=63), shape=b"K\x40\x85") + P4 + END,
    "a dtype that is no dtype": P4 + array(dtype=NAMESPACE + entries(hasobject=b"\x88") + b"b") + P4 + END,
    "an item of two sizes": P4 + array(dtype=dtype("V1", size=64), shape=b"K\x01\x85") + SKIPPED + b"0" + END,
    "padding that is announced by False": P4
    + array(numpy_array_alignment_bytes=b"\x89")
    + b"\x40"
    + SKIPPED
    + b"0"
    + END,
    "an array of objects": P4 + array(dtype=dtype("O8", flags=63), shape=b"K\x01\x85") + P4 + END,
    "a wrapper with a reader of its own": P4 + array(read=SYSTEM) + b".",
    "a wrapper built twice": P4 + WRAPPER + b")\x81\x94" + entries(a=b"N")[:-1] + b"0" + END,
    "a wrapper made by a call": P4
    + call(WRAPPER, name("numpy", "ndarray"), b"K\x08\x85", text("C"), dtype())
    + b"}b"
    + b"\0"
    + b"\xff" * 8
    + b"0"
    + END,
    "an old array from another file": P4
    + name("joblib.numpy_pickle", "NDArrayWrapper")
    + b")\x81"
    + entries(filename=text("/etc/passwd"), subclass=name("numpy", "ndarray"), allow_mmap=b"\x89")
    + b"b0"
    + END,
}
THROUGH = {
    "a generator's constructor": call(name("numpy.random._pickle", "__generator_ctor"), TO, SYSTEM),
    "a random state's constructor": call(
        name("numpy.random._pickle", "__randomstate_ctor"), TO, name("timeit", "timeit")
    ),
    "a generator and a library's function": call(
        name("numpy.random._pickle", "__generator_ctor"), TO, name("numpy.testing", "measure")
    ),
    "a generator and joblib": call(name("numpy.random._pickle", "__generator_ctor"), TO, name("joblib", "load")),
    "scikit-learn's wrapper of functions": call(call(name("sklearn.utils.parallel", "_FuncWrapper"), SYSTEM), TO),
    "a new __setstate__": SPACE + entries(dunder_setstate__=SYSTEM) + b"b" + TO + b"b",
    "a new __setstate__ of a slot": SPACE + b"N" + entries(dunder_setstate__=SYSTEM) + b"\x86b" + TO + b"b",
    "a new extend": NAMESPACE + entries(extend=SYSTEM) + b"b(" + TO + b"e",
    "a new append": NAMESPACE + entries(append=SYSTEM) + b"b" + TO + b"a",
    "a new add": NAMESPACE + entries(add=SYSTEM) + b"b(" + TO + b"\x90",
    "a new add of an estimator": name("sklearn.linear_model._base", "LinearRegression")
    + b")\x81"
    + entries(add=SYSTEM)
    + b"b("
    + TO
    + b"\x90",
    "a state in an ordered dict": NAMESPACE
    + call(name("collections", "OrderedDict"))
    + text("extend")
    + SYSTEM
    + b"sb("
    + TO
    + b"e",
    "a new __dict__": SPACE + b"N}" + text("__dict__") + entries(extend=SYSTEM) + b"s\x86b(" + TO + b"e",
    "isotonic regression's own builder": name("sklearn.isotonic", "IsotonicRegression")
    + b")\x81"
    + entries(X_thresholds_=TO, y_thresholds_=b"N", _build_f=name("builtins", "eval"))
    + b"b",
    "a distribution's constructor": b"\x80\x04" + name("scipy.stats._continuous_distns", "norm_gen") + b")R.",
    "a distribution's template": name("scipy.stats._continuous_distns", "norm_gen")
    + b")\x81"
    + entries(_parse_arg_template=text("import os\nos.system('x')"))
    + b"b",
    "partial": call(call(name("functools", "partial"), SYSTEM, TO)),
    "a method by its name": call(
        call(name("operator", "methodcaller"), text("system"), TO), call(name("builtins", "__import__"), text("os"))
    ),
    "a reconstructed base": call(
        name("copyreg", "_reconstructor"), name("builtins", "object"), name("builtins", "object"), b"N"
    )
    + RUN,
    "another codec": call(name("_codecs", "encode"), b"C\x01x", text("zlib_codec")) + b"0" + RUN,
    "a module that is changed": name("os", "path") + entries(sep=b"N") + b"b",
    "a class that is changed": name("collections", "OrderedDict") + b"N" + entries(fromkeys=SYSTEM) + b"\x86b",
}
LIBRARIES = {
    f"{module}.{function}": call(name(module, function), TO)
    for module, function in (
        ("timeit", "timeit"), ("_testcapi", "run_in_subinterp"), ("cProfile", "run"),
        ("pdb", "run"), ("code", "InteractiveInterpreter"),
        ("runpy", "run_path"),
        ("pydoc", "locate"), ("pkgutil", "resolve_name"), ("ctypes", "CDLL"), ("webbrowser", "open"),
        ("pickle", "loads"),
        ("numpy", "load"), ("numpy", "fromfile"), ("numpy", "memmap"), ("numpy.testing", "measure"), ("joblib", "load"),
        ("joblib", "Memory"), ("scipy.io", "loadmat"), ("sklearn.datasets", "load_files"),
        ("matplotlib.pyplot", "imread"),
        ("PIL.Image", "open"), ("yaml", "unsafe_load"), ("cloudpickle", "loads"), ("psutil", "Popen"),
        ("requests", "get"),
        ("uvicorn.importer", "import_from_string"), ("pytest", "main"), ("pip", "main"), ("onnx", "load"),
        ("modelyard_formats.package.check", "check_package"), ("setuptools", "setup"), ("click", "launch"),
    )
}  # fmt: skip
FILES: dict[str, tuple[str, bytes]] = {
    **{what: ("weights.bin", P4 + data) for what, data in (NUMBERS | TEXTS).items()},
    **{f"{what}, without protocol": ("data", b"N0" + data) for what, data in (NUMBERS | TEXTS).items()},
    **{what: ("weights.bin", data) for what, data in (NAMES | CALLS | FRAMES).items()},
    **{what: ("m.joblib", data) for what, data in JOBLIB.items()},
    **{what: ("weights.bin", P4 + data + b".") for what, data in (THROUGH | LIBRARIES).items()},
    "a second pickle": ("m.pkl", P4 + b"N." + P4 + b"L0x10L\n0" + END),
    "a third pickle without protocol": ("m.pkl", P4 + b"N." + b"N." + b"I010\n0" + END),
    "an array of objects in .npy": ("a.npy", npy(P4 + END)),
    "arrays of objects in .npz": ("a.npz", zipped(("a.npy", npy(P4 + END)))),
    "an archive of PyTorch": ("m.pt", zipped(("archive/data.pkl", b"\x80\x02I0x10\n0" + END))),
    "compressed": ("m.joblib", zlib.compress(P4 + b"I5 \n0" + END)),
}  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What the real loaders found and were refused, by the file's number."""
    folder = tmp_path_factory.mktemp("loaded")
    for number, (file, data) in enumerate(FILES.values()):
        (folder / f"{number:03}-{file}").write_bytes(data)
    command = [sys.executable, "-m", "modelyard_testkit.pickles.loading", str(folder)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return {int(entry["file"][:3]): entry for entry in map(json.loads, told.stdout.splitlines())}


@pytest.mark.parametrize("what", FILES)
def test_what_runs_is_refused(tmp_path, loaded, what):
    file, data = FILES[what]
    did = loaded[list(FILES).index(what)]
    found = [each for each in did["names"] if not is_allowed(Global(*each))]
    assert did["events"] or found, "no loader did anything"
    (tmp_path / file).write_bytes(data)
    report = scan_package(tmp_path, [Entry(file, len(data))])
    assert "dangerous" in {each.severity for each in report.findings}
    assert not Path(COMMAND).exists()
