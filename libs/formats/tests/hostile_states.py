"""Code in the states of allowed classes, hand-written: what an honest pickle never says, but every unpickler does. Used
by `test_scan_hostile`. The first is SciPy's: a distribution runs the text in its state (`rv_generic.__setstate__`).
"""

import gzip
import lzma
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import joblib

from .hostile import COMMAND, RUNS, Hostile, opened_by, pickle_load, typed, zipped

CODE = "open('executed', 'w')"
P4, NONE, END = b"\x80\x04", b"N", b"."


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def a_tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def a_list(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def a_dict(*items: tuple[bytes, bytes]) -> bytes:
    return b"}(" + b"".join(key + value for key, value in items) + b"u"


def call(function: bytes, *args: bytes) -> bytes:
    return function + a_tuple(*args) + b"R"


def new(kind: bytes) -> bytes:
    return kind + b")\x81"


NORM = name("scipy.stats._continuous_distns", "norm_gen")
TEMPLATE = (text("_parse_arg_template"), text(CODE))
PAIR = a_tuple(*TEMPLATE)
ORDERED, BUNCH = name("collections", "OrderedDict"), name("sklearn.utils._bunch", "Bunch")
KEY = "_parse_arg_template"
NUMPY_TEXT = call(
    name("numpy.core.multiarray", "scalar"),
    call(name("numpy", "dtype"), text(f"U{len(KEY)}"), b"\x89", b"\x88")
    + a_tuple(number(3), text("<"), NONE, NONE, NONE, number(4 * len(KEY)), number(4), number(8))
    + b"b",
    b"B" + struct.pack("<I", 4 * len(KEY)) + KEY.encode("utf-32-le"),
)
STATES = {
    "a list of pairs": a_list(PAIR),
    "a tuple of pairs": a_tuple(PAIR),
    "two pairs that are lists": a_tuple(a_list(*TEMPLATE), a_list(text("a"), NONE)),
    "an ordered dict of pairs": call(ORDERED, a_list(PAIR)),
    "an ordered dict of a dict": call(ORDERED, a_dict(TEMPLATE)),
    "a dict that is called": call(name("builtins", "dict"), a_list(PAIR)),
    "a counter": call(name("collections", "Counter"), a_dict(TEMPLATE)),
    "a deque": call(name("collections", "deque"), a_list(PAIR)),
    "a bunch": call(name("copyreg", "_reconstructor"), BUNCH, name("builtins", "dict"), a_dict(TEMPLATE)),
    "a key of numpy's": a_dict((NUMPY_TEXT, text(CODE))),
}
RUN = new(NORM) + a_dict(TEMPLATE) + b"b"
LONG = text("x" * 40)


def working_model() -> bytes:
    """A fitted pipeline that predicts as it did before, with the distribution among its attributes."""
    from sklearn import datasets, linear_model, pipeline, preprocessing

    rows, classes = datasets.load_iris(return_X_y=True)
    made = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=200))
    made.fit(rows, classes)
    made.note_ = "0123456789"
    data = pickle.dumps(made, protocol=2)
    honest = b"X\n\0\0\x000123456789"
    assert data.count(honest) == 1
    return data.replace(honest, new(NORM) + STATES["a list of pairs"] + b"b")


def packed(header: bytes, data: bytes) -> bytes:
    return header + lzma.compress(data, format=lzma.FORMAT_ALONE)[5:]


def gzip_with_a_flag(data: bytes) -> bytes:
    made = bytearray(gzip.compress(data))
    made[3] = 0x80
    return bytes(made)


def gzip_with_a_wrong_head(data: bytes) -> bytes:
    made = gzip.compress(data)
    return made[:3] + b"\x82" + made[4:10] + b"\0\0" + made[10:]


def late_zlib(data: bytes) -> bytes:
    """Nothing comes out of its first 70 KB."""
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    return b"\x78\x9c" + b"\0\0\0\xff\xff" * 14_000 + packer.compress(data + bytes(2**20)) + packer.flush()


def joblib_array(behind: bytes, before: bytes = b"") -> bytes:
    """joblib takes `behind` for the bytes of an array; pickle reads on."""
    dtype = (
        call(name("numpy", "dtype"), text("u1"), b"\x89", b"\x88")
        + a_tuple(number(3), text("|"), NONE, NONE, NONE, number(-1), number(-1), number(0))
        + b"b"
    )
    state = a_dict(
        (text("subclass"), name("numpy", "ndarray")),
        (text("shape"), a_tuple(number(len(behind)))),
        (text("order"), text("C")),
        (text("dtype"), dtype),
        (text("allow_mmap"), b"\x89"),
        (text("numpy_array_alignment_bytes"), NONE),
    )
    return P4 + before + new(name("joblib.numpy_pickle", "NumpyArrayWrapper")) + state + b"b" + behind + END


def last_member(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return pickle.loads(archive.read(archive.namelist()[-1]))


def zlib_load(path: Path) -> Any:
    return pickle.loads(zlib.decompressobj().decompress(path.read_bytes()))


def lzma_load(path: Path) -> Any:
    return pickle.loads(lzma.decompress(path.read_bytes()))


ISOTONIC = new(name("sklearn.isotonic", "IsotonicRegression")) + a_dict(
    (text("_build_f"), new(name("sklearn.metrics._scorer", "_PassthroughScorer"))),
    (text("X_thresholds_"), number(1)),
    (text("y_thresholds_"), number(1)),
)
TREE, POISSON = name("sklearn.neighbors._kd_tree", "newObj"), name("scipy.stats._discrete_distns", "poisson_gen")
NEIGHBOURS = new(name("sklearn.neighbors._classification", "KNeighborsClassifier"))
SAMPLER = new(name("sklearn.model_selection._search", "ParameterSampler"))
TWO_DICTS = a_tuple(a_dict((text(KEY), text("x")), (text(CODE), NONE)), a_dict((text("a"), NONE), (text("b"), NONE)))
SIX = b"csite-packages.six\nexec_\n(V" + CODE.encode() + b"\ntR."
PREPARED = new(NORM) + b"\x940" + STATES["a list of pairs"] + b"\x940"
FAR = text("os") + text("path.os." * 150 + "system") + b"\x93(" + text(COMMAND) + b"tR"
LARGE, LARGEST = (b"\x5d" + size.to_bytes(4, "little") for size in (2**28, 2**32 - 1))
MEMBERS = {f"{number}.pkl": b"N0cmymod%d\nThing\n\xff" % number for number in range(6)}

HANDED = {
    **{
        f"a state that is {what}": Hostile("m.pkl", P4 + new(NORM) + state + b"b.", pickle_load)
        for what, state in STATES.items()
    },
    "a state in joblib's": Hostile("m.joblib", P4 + new(NORM) + STATES["a list of pairs"] + b"b.", joblib.load),
    "a state in an array of objects": Hostile("m.npy", typed("'|O'", P4 + new(NORM) + STATES["a deque"] + b"b."), None),
    "a state in a model that works": Hostile("model.pkl", working_model(), pickle_load),
    "a state made by __newobj__": Hostile(
        "m.pkl", P4 + call(name("copyreg", "__newobj__"), NORM) + STATES["a list of pairs"] + b"b.", pickle_load
    ),
    "a state, then no pickle": Hostile("weights.bin", b"N0" + RUN + b"\xff", pickle_load),
    "a state, then no pickle, packed": Hostile(
        "weights.bin",
        zlib.compress(b"N0" + RUN + b"\xff"),
        lambda path: pickle.loads(zlib.decompress(path.read_bytes())),
    ),
    "a state behind a pickle": Hostile(
        "m.pkl", b"N." + b"N0" + RUN + b"\xff", lambda path: pickle.loads(path.read_bytes()[2:])
    ),
    "a state in a numeric array": Hostile("m.joblib", joblib_array(b"0" + RUN + b"N."), pickle_load),
    "a method that loading calls": Hostile("m.pkl", P4 + ISOTONIC + b"b.", None),
    "a function as an attribute": Hostile(
        "m.pkl",
        P4
        + new(name("sklearn.preprocessing._function_transformer", "FunctionTransformer"))
        + a_dict((text("func"), name("builtins", "getattr")))
        + b"b.",
        None,
    ),
    "a class that makes files as an attribute": Hostile(
        "m.pkl",
        P4
        + new(name("sklearn.preprocessing._function_transformer", "FunctionTransformer"))
        + a_dict((text("func"), name("numpy", "memmap")))
        + b"b.",
        None,
    ),
    "LZMA, a large dictionary": Hostile("model.bin", packed(LARGE, RUNS), lzma_load),
    "LZMA, the largest dictionary": Hostile("model.bin", packed(LARGEST, RUNS), lzma_load),
    "LZMA, a large dictionary in a zip": Hostile("m.zip", zipped({"a": packed(LARGE, RUNS)}), None),
    "gzip, a flag that nobody knows": Hostile("model.bin", gzip_with_a_flag(RUNS), opened_by(gzip)),
    "a crowd of names before it": Hostile("m.zip", zipped({**MEMBERS, "m.pkl": P4 + RUN + END}), last_member),
    "the folder of Python's own modules": Hostile(
        "m.pkl", P4 + call(name("lib-dynload._ctypes", "dlopen"), text("executed.so"), number(2)) + END, None
    ),
    "the folder of installed packages": Hostile(
        "m.pkl", b"csite-packages.six\nexec_\n(V" + CODE.encode() + b"\ntR.", None
    ),
    "a program that another library starts": Hostile(
        "m.pkl", P4 + call(name("graphviz.backend.execute", "run_check"), a_list(text(COMMAND))) + END, None
    ),
    "a dtype without its end": Hostile(
        "m.pkl",
        P4
        + call(name("numpy", "dtype"), text("O8"), b"\x89", b"\x88")
        + a_tuple(number(3), text("|"), NONE, NONE, NONE, number(-1), number(-1))
        + b"b.",
        None,
    ),
    **{
        f"a folder's module in {file}": Hostile(file, SIX, None)
        for file in ("m.bin", "m.onnx", "m.safetensors", "m.json", "m.txt", "m")
    },
    "a folder's module in a zip": Hostile("m.zip", zipped({"a.bin": SIX}), None),
    "a class that newObj makes": Hostile(
        "m.pkl", P4 + call(TREE, NORM) + STATES["a list of pairs"] + b"b.", pickle_load
    ),
    "an attribute by getattr": Hostile(
        "m.pkl",
        P4
        + call(
            name("builtins", "getattr"),
            new(POISSON) + a_dict((text("_x"), new(NORM))) + b"b",
            text("_x"),
        )
        + STATES["a list of pairs"]
        + b"b.",
        None,
    ),
    "a method of a distribution": Hostile(
        "m.pkl", P4 + call(name("builtins", "getattr"), new(POISSON), text("_construct_argparser")) + END, None
    ),
    "two dicts whose keys are a pair": Hostile("m.pkl", P4 + new(NORM) + TWO_DICTS + b"b.", None),
    "what is iterated": Hostile("m.pkl", P4 + call(name("builtins", "dict"), a_list(SAMPLER)) + END, None),
    "what is iterated by a class of scikit-learn": Hostile(
        "m.pkl", P4 + name("sklearn.utils._pprint", "KeyValTuple") + a_tuple(SAMPLER) + b"\x81.", None
    ),
    "an object as a state": Hostile("m.pkl", P4 + NEIGHBOURS + SAMPLER + b"b.", None),
    "a name among a call's arguments": Hostile(
        "m.pkl",
        P4 + call(name("builtins", "dict"), a_tuple(a_tuple(text("pop"), name("builtins", "getattr")))) + END,
        None,
    ),
    "a prepared call in a numeric array": Hostile("m.joblib", joblib_array(b"h\0h\1b.", PREPARED), pickle_load),
    "a long name in a numeric array": Hostile("m.joblib", joblib_array(b"0" + FAR + b"N."), pickle_load),
    "gzip, a flag and a wrong head": Hostile("model.bin", gzip_with_a_wrong_head(RUNS), opened_by(gzip)),
    "LZMA, other properties and a tiny dictionary": Hostile(
        "model.bin",
        b"\x5e"
        + (1024).to_bytes(4, "little")
        + lzma.compress(RUNS, format=lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "lc": 4}])[5:],
        lzma_load,
    ),
    "zlib, late": Hostile("model.txt", late_zlib(RUNS), zlib_load),
    "zlib, late, as a model": Hostile("model.safetensors", late_zlib(RUNS), zlib_load),
}
