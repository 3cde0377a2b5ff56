"""What people keep in a pickle beside the plainest models: none of it is refused, and what calls still is."""

import collections
import functools
import ipaddress
import operator
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import interpolate, optimize, stats
from sklearn import datasets, preprocessing
from sklearn.cluster import BisectingKMeans
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next name importable
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV

from modelyard_formats.format import Entry
from modelyard_formats.scan.package import scan_package

from .hostile_states import END, a_tuple, call, name, new, number, text

FUNCTIONS = (
    np.flip, np.hstack, np.unique, np.cumprod, np.tile, np.reshape, np.digitize, np.sort, np.transpose, np.invert,
    np.float_power, np.linalg.norm, np.concatenate, stats.zscore,
)  # fmt: skip
ROWS = datasets.load_iris().data
MADE: dict[str, Callable[[], Any]] = {
    **{each.__name__: lambda each=each: preprocessing.FunctionTransformer(each) for each in FUNCTIONS},
    "an iterative imputer": lambda: IterativeImputer(max_iter=2).fit(ROWS),
    "a tree of clusters": lambda: BisectingKMeans(2, n_init=1).fit(ROWS),
    "a tuned threshold": lambda: TunedThresholdClassifierCV(LogisticRegression()).fit(ROWS[:100], [0, 1] * 50),
    "vectorized functions": lambda: [np.vectorize(np.add, otypes=[float]), np.vectorize(np.sum, signature="(n)->()")],
    "Akima": lambda: interpolate.Akima1DInterpolator([1, 2, 3], [1, 2, 3]),
    "a regular grid": lambda: interpolate.RegularGridInterpolator(([1, 2], [1, 2]), np.eye(2)),
    "a result": lambda: optimize.OptimizeResult(x=np.ones(2), success=True),
    "dicts": lambda: [collections.UserDict(a=1), collections.ChainMap({"a": 1}, {"b": 2})],
    "addresses": lambda: [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1")],
}


def dangerous(folder: Path, data: bytes, file: str = "m.pkl") -> set[str]:
    (folder / file).write_bytes(data)
    return {each.message for each in scan_package(folder, [Entry(file, len(data))]).findings if each.severity != "info"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", MADE)
def test_it_is_not_refused(what: str, tmp_path: Path) -> None:
    for protocol in range(2, 6):
        assert dangerous(tmp_path, pickle.dumps(MADE[what](), protocol)) == set()


def of_old_format(module: str, kind: str) -> bytes:
    """PyTorch's before 1.6 keeps the class of a module beside it, with its source."""
    return (
        a_tuple(text("module"), name(module, kind), text("a.py"), text("class"))
        + b"Q)\x81}"
        + text("a")
        + number(1)
        + b"sb"
    )


def test_a_module_of_the_old_format(tmp_path: Path) -> None:
    assert dangerous(tmp_path, b"\x80\x02" + of_old_format("torch.nn.modules.container", "Sequential") + END) == set()
    assert dangerous(tmp_path, b"\x80\x02" + of_old_format("subprocess", "Popen") + END)
    relu = new(name("torch.nn.modules.transformer", "TransformerEncoderLayer")) + b"}" + text("activation")
    assert dangerous(tmp_path, b"\x80\x02" + relu + name("torch.nn.functional", "relu") + b"sb.") == set()


@pytest.mark.parametrize(
    "kept", [functools.partial(np.clip, a_min=0), operator.itemgetter(0), operator.attrgetter("a")]
)
def test_what_calls_is_still_refused(kept: Any, tmp_path: Path) -> None:
    assert dangerous(tmp_path, pickle.dumps(preprocessing.FunctionTransformer(kept), 2))


def test_new_names_may_not_be_called(tmp_path: Path) -> None:
    for module, function in (("torch.nn.functional", "relu"), ("numpy", "reshape"), ("scipy.stats", "zscore")):
        assert dangerous(tmp_path, b"\x80\x02" + call(name(module, function), number(1)) + END)
