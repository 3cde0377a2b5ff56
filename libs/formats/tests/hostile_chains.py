"""Allowed classes that run each other once something iterates, compares or shows what the pickle gives it. Used by
`test_scan_hostile`: ParameterSampler asks a frozen distribution, that one its `dist`, a scorer calls by name.
"""

import pickle
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .hostile import Hostile, pickle_load, zipped
from .hostile_states import END, NONE, NUMPY_TEXT, a_dict, a_list, a_tuple, call, name, new, number, text

P2, TRUE = b"\x80\x02", b"\x88"


def kept(value: Any) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def built(kind: bytes, **state: bytes) -> bytes:
    return new(kind) + a_dict(*((text(key), value) for key, value in state.items())) + b"b"


def chain() -> bytes:
    """Whoever iterates it makes a folder: a pipeline caches what it fits."""
    fits = built(
        name("sklearn.metrics._scorer", "_Scorer"),
        _score_func=name("numpy", "mean"), _sign=number(1), _kwargs=b"}", _response_method=text("fit"),
    )  # fmt: skip
    every = built(
        name("sklearn.metrics._scorer", "_MultimetricScorer"), _scorers=a_dict((text("a"), fits)), _raise_exc=TRUE
    )
    space = built(name("types", "SimpleNamespace"), rvs=every)
    args = a_tuple(
        kept(make_pipeline(StandardScaler(), KMeans(2, n_init=1), memory="executed")),
        kept([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]),
        NONE,
    )
    frozen = built(name("scipy.stats._distn_infrastructure", "rv_frozen"), dist=space, args=args, kwds=b"}")
    return built(
        name("sklearn.model_selection._search", "ParameterSampler"),
        param_distributions=a_list(a_dict((text("k"), frozen))), n_iter=number(1), random_state=number(0),
    )  # fmt: skip


def bunch(**entries: bytes) -> bytes:
    """Whoever asks it for an attribute gets an entry."""
    return new(name("sklearn.utils._bunch", "Bunch")) + a_dict(*((text(k), v) for k, v in entries.items()))[1:]


def stacked(of: bytes, method: str) -> bytes:
    return built(
        name("sklearn.ensemble._stacking", "StackingRegressor"),
        estimators_=a_list(of), stack_method_=a_list(text(method)), estimators=b"]", passthrough=b"\x89",
        final_estimator_=new(name("sklearn.linear_model._base", "LinearRegression")),
    )  # fmt: skip


def replaced() -> bytes:
    """A method of NumPy's vectorize is what the pickle says: it scores, and scoring calls a method by its name."""
    scores = built(
        name("sklearn.linear_model._stochastic_gradient", "_ValidationScoreCallback"),
        estimator=stacked(call(name("pathlib", "PosixPath"), text("executed")), "touch"),
        X_val=kept(0o644), y_val=NONE, sample_weight_val=NONE,
    )  # fmt: skip
    return built(
        name("numpy", "vectorize"),
        pyfunc=kept(np.ones(1)), excluded=b"]", signature=text("x"), _vectorize_call_with_signature=scores,
    )  # fmt: skip


def isotonic(x: bytes, y: bytes) -> bytes:
    """Loading makes arrays of both."""
    return built(
        name("sklearn.isotonic", "IsotonicRegression"),
        increasing_=TRUE, out_of_bounds=text("clip"), X_thresholds_=x, y_thresholds_=y,
    )  # fmt: skip


LINE = kept([0.0, 1.0])
LINK = new(name("sklearn.model_selection._search", "ParameterSampler"))
"""Enough of the chain: what its state holds does not matter to who iterates it."""
FRAME, BASES = name("pandas.core.frame", "DataFrame"), name("pandas.core.indexes.base", "_new_Index")
INTERVALS = "pandas.core.indexes.interval"
STARTS = {
    "pandas' categories": call(name("pandas", "CategoricalDtype"), LINK),
    "pandas' categories in a list": call(name("pandas", "CategoricalDtype"), a_list(a_tuple(LINK))),
    "an ordered dict's values": call(
        name("pandas", "CategoricalDtype"), call(name("collections", "OrderedDict"), a_list(a_tuple(text("a"), LINK)))
    ),
    "an array's items": call(
        name("pandas", "CategoricalDtype"),
        call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), a_tuple(number(0)), b"C\x01b")
        + a_tuple(number(1), a_tuple(number(1)), NONE, b"\x89", a_list(LINK))
        + b"b",
    ),
    "pandas, behind what PyTorch may hold": built(
        name("torch.nn.modules.linear", "Linear"),
        a=call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), a_tuple(number(0)), b"C\x01b")
        + a_tuple(
            number(1), a_tuple(number(1)), NONE, b"\x89", a_list(new(name("torch.nn.modules.linear", "Linear")))
        )
        + b"bq\x63",
    )
    + b"0"
    + call(name("pandas", "CategoricalDtype"), b"h\x63"),
    "pandas' index": call(BASES, name("pandas.core.indexes.base", "Index"), a_dict((text("data"), LINK))),
    "pandas' intervals": call(
        name(INTERVALS, "_new_IntervalIndex"), name(INTERVALS, "IntervalIndex"), a_dict((text("left"), LINK))
    ),
    "a data frame's index": built(FRAME, _mgr=new(name("types", "SimpleNamespace")), index=LINK),
    "a data frame's manager": built(FRAME, _mgr=new(name("types", "SimpleNamespace"))),
    "a data frame's class": new(FRAME) + a_dict((NUMPY_TEXT, FRAME)) + b"b",
    "pandas' old blocks": new(name("pandas._libs.internals", "BlockManager"))
    + a_tuple(NONE, NONE, NONE, a_dict((text("0.14.1"), a_dict((text("axes"), a_list(LINK))))))
    + b"b",
    "PyTorch's sparse tensors": call(
        name("torch._utils", "_rebuild_sparse_tensor"), name("torch", "sparse_coo"), LINK
    ),
    "PyTorch's optimizers": built(name("torch.optim.sgd", "SGD"), param_groups=LINK, defaults=b"}"),
    "PyTorch's recurrent layers": built(name("torch.nn.modules.rnn", "LSTM"), _flat_weights_names=LINK),
    "a generator's state": call(name("numpy.random._pickle", "__bit_generator_ctor"), text("MT19937"))
    + a_dict((text("state"), a_dict((text("key"), LINK))))
    + b"b",
    "a masked array's filling": call(
        name("numpy.ma.core", "_mareconstruct"),
        name("numpy.ma", "MaskedArray"), name("numpy", "ndarray"), a_tuple(number(0)), text("b"),
    )
    + a_tuple(number(1), a_tuple(), NONE, b"\x89", b"C\0", b"C\0", LINK)
    + b"b",
    "LightGBM's text": built(name("lightgbm.basic", "Booster"), handle=new(name("types", "SimpleNamespace"))),
    "a version that is written out": built(
        name("sklearn.preprocessing._data", "StandardScaler"), _sklearn_version=LINK
    ),
    "a scorer's method": built(name("sklearn.metrics._scorer", "_Scorer"), _response_method=text("fit")),
    "an estimator that is stacked, by any method": stacked(
        new(name("scipy.stats._continuous_distns", "norm_gen")), "__setstate__"
    ),
    "a method that is replaced": built(name("numpy", "vectorize"), _vectorize_call=LINK),
    "an estimator's method that is replaced": built(
        name("sklearn.linear_model._base", "LinearRegression"), predict=LINK
    ),
    "an entry that says what is an array": bunch(__array__=LINK),
    "an entry that says where memory is": bunch(__array_interface__=kept({"typestr": "<f8", "data": (4096, True)})),
    "what is interpolated": isotonic(LINE, LINK),
    "a distribution that is none": built(
        name("scipy.stats._distn_infrastructure", "rv_frozen"), dist=new(name("types", "SimpleNamespace"))
    ),
}  # fmt: skip
CHAINS = {
    "iterated by bytearray": Hostile("m.pkl", P2 + call(name("builtins", "bytearray"), chain()) + END, pickle_load),
    "iterated by a random state": Hostile(
        "m.pkl", P2 + new(name("random", "Random")) + a_tuple(number(2), chain(), NONE) + b"b.", pickle_load
    ),
    "made an array by an isotonic regression": Hostile(
        "m.pkl", P2 + isotonic(LINE, bunch(__array__=replaced(), z=number(1))) + END, pickle_load
    ),
    **{f"iterated by {what}": Hostile("m.pkl", P2 + data + END, None) for what, data in STARTS.items()},
}

FLY = b"cantigravity\nfly\n\xff"
MAIN = b"cunittest.__main__\nmain\nand so on\n"
SHELL = text("os") + text("system") + b"\x93" + text("touch executed") + b"\x85R."
ATTRIBUTES = {
    "without protocol": SHELL,
    "short texts": b"\x8c\x02os\x8c\x06system\x93" + text("touch executed") + b"\x85R.",
    "protocol 1": b"\x80\x01" + SHELL,
    "INST": b"(S'touch executed'\nios\nsystem\n.",
    "behind a letter": b"ccos\nsystem\n(S'touch executed'\ntR.",
}
IMPORTED = {
    **{
        f"only imported, as {file}": Hostile(file, FLY, None)
        for file in (
            "m.safetensors", "m.onnx", "m.gguf", "m.txt", "m.json", "m.csv", "m.md", "m.tflite", "m.params", "m.png",
            "m.parquet", "m.pb", "m.bin", "m.mindir",
        )
    },
    "only imported, a module of a package": Hostile("m.txt", MAIN, None),
    "only imported, names as texts": Hostile("m.onnx", b"\x80\x04" + name("antigravity", "fly") + b"\xff", None),
    "only imported, in a zip": Hostile("m.zip", zipped({"a.txt": FLY}), None),
    "only imported, large": Hostile("m.safetensors", FLY + bytes(2**21), None),
    "only imported, larger": Hostile("m.bin", FLY + bytes(17 * 2**20), None),
    **{
        f"called by {module}.{function}": Hostile("m.pkl", P2 + call(name(module, function), text("x")) + END, None)
        for module, function in (
            ("srsly", "pickle_loads"), ("srsly.cloudpickle", "loads"), ("blosc2", "unpack"), ("numcodecs", "get_codec"),
        )
    },
    **{
        f"HDF5, {what}": Hostile("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(99) + data + bytes(9), None)
        for what, data in ATTRIBUTES.items()
    },
    "HDF5, megabytes between key and value": Hostile(
        "m.h5", b'\x89HDF\r\n\x1a\n{"class_name":' + b" " * 3_000_000 + b'"Lambda", "config": {}}', None
    ),
}  # fmt: skip
