"""Which imports and calls of a pickle are harmless, odd, or an attack. Called by `scan.pickles`.

A list of forbidden names never ends: the maintained one in picklescan had to grow in nearly every release. So
three rules stand around it: what these formats are known to need is allowed by name; of the standard library and of
pickle tools nothing else is; and of the libraries that a model server has installed no other function may be called.
What remains, a class or function of somebody's own, is recorded.
"""

import io
import logging
import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterable
from importlib.metadata import version
from typing import Literal, NamedTuple

from modelyard_formats.pickle.reader import TooMuch
from modelyard_formats.pickle.values import Global, Made, Persistent

Severity = Literal["info", "suspicious", "dangerous"]
MAX_NAMES = 10_000
_SHOWN = 8


class Verdict(NamedTuple):
    severity: Severity
    rule: str
    message: str


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STORAGES = (
    "DoubleStorage FloatStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage "
    "ByteStorage BoolStorage ComplexDoubleStorage ComplexFloatStorage QUInt8Storage QInt8Storage QInt32Storage "
    "QUInt4x2Storage QUInt2x4Storage"
)
_TORCH_DTYPES = (
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex64 complex128 "
    "complex32 quint8 qint8 qint32 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu"
)
ALLOWED: dict[str, frozenset[str]] = {
    "builtins": _names("set frozenset object list dict tuple int float bool str bytes bytearray complex slice range"),
    "collections": _names("OrderedDict defaultdict deque Counter"),
    "copyreg": _names("_reconstructor __newobj__ __newobj_ex__"),
    "_codecs": _names("encode"),
    "datetime": _names("date datetime time timedelta timezone"),
    "decimal": _names("Decimal"),
    "fractions": _names("Fraction"),
    "argparse": _names("Namespace"),
    "types": _names("SimpleNamespace"),
    "pathlib": _names("PosixPath PurePosixPath WindowsPath PureWindowsPath Path"),
    "random": _names("Random"),
    "re": _names("_compile"),
    "numpy": _names(
        "dtype ndarray matrix bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 "
        "longdouble complex64 complex128 str_ bytes_ void object_ datetime64 timedelta64"
    ),
    "numpy.core.multiarray": _names("_reconstruct scalar"),
    "numpy._core.multiarray": _names("_reconstruct scalar"),
    "numpy.core.numeric": _names("_frombuffer"),
    "numpy._core.numeric": _names("_frombuffer"),
    "numpy.ma.core": _names("MaskedArray _mareconstruct"),
    "numpy.random._pickle": _names("__randomstate_ctor __bit_generator_ctor __generator_ctor"),
    "numpy.random.bit_generator": _names("__pyx_unpickle_SeedSequence SeedSequence"),
    "numpy.random.mtrand": _names("RandomState"),
    "numpy.random._mt19937": _names("MT19937"),
    "numpy.random._pcg64": _names("PCG64 PCG64DXSM"),
    "numpy.random._philox": _names("Philox"),
    "numpy.random._sfc64": _names("SFC64"),
    "joblib.numpy_pickle": _names("NumpyArrayWrapper"),
    "sklearn.feature_selection._univariate_selection": _names("f_classif f_oneway f_regression r_regression chi2"),
    "pandas.core.frame": _names("DataFrame"),
    "pandas.core.series": _names("Series"),
    "pandas.core.internals.managers": _names("BlockManager SingleBlockManager"),
    "pandas._libs.internals": _names("_unpickle_block BlockManager"),
    "pandas.core.indexes.base": _names("Index _new_Index"),
    "pandas.core.indexes.range": _names("RangeIndex"),
    "xgboost.core": _names("Booster"),
    "lightgbm.basic": _names("Booster"),
    "torch": _names(f"Size Tensor device dtype {_STORAGES} {_TORCH_DTYPES}"),
    "torch.storage": _names("TypedStorage UntypedStorage"),
    "torch.serialization": _names("_get_layout"),
    "torch.nn.parameter": _names("Parameter Buffer"),
    "torch._utils": _names(
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
        "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage _rebuild_nested_tensor "
        "_rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor"
    ),
    "torch._tensor": _names("_rebuild_from_type_v2"),
    "torch.jit._pickle": _names("build_intlist build_tensorlist build_doublelist build_boollist restore_type_tag"),
}
# Classes that only hold data: the libraries' own models, and what those are made of.
_CLASSES = re.compile(
    r"(sklearn\.(?!.*(?:_testing|tests|externals|datasets))[\w.]+\._?[A-Z]\w*"
    r"|sklearn\.[\w.]+\.(?:newObj|__pyx_unpickle_\w+)"
    r"|xgboost\.sklearn\.XGB\w+|lightgbm\.sklearn\.LGBM\w+"
    r"|torch\.nn\.modules\.\w+\.[A-Z]\w*"
    r"|numpy\.dtypes\.[A-Z]\w*"
    r"|scipy\.sparse\._?\w+\.(?:csr|csc|coo|bsr|dia|dok|lil)_(?:matrix|array)"
    r"|__torch__(?:\.\w+)*)"
)
_INSTALLED = _names(
    "numpy scipy pandas torch torchvision torchaudio sklearn joblib xgboost lightgbm catboost tensorflow keras jax "
    "onnx onnxruntime openvino skops dill cloudpickle transformers matplotlib PIL yaml requests urllib3 "
    "pip setuptools pkg_resources wheel distutils"
)
_PICKLE_TOOLS = _names("dill cloudpickle pip setuptools pkg_resources distutils wheel")
_OWN = _names("__main__ __torch__ __mp_main__")
_MAKE_TEXT = _names("builtins.str copyreg._reconstructor copyreg.__newobj__ copyreg.__newobj_ex__ builtins.object")
_STANDARD = sys.stdlib_module_names | _names("commands httplib urllib2 cPickle copy_reg __builtin__ nt imp asyncore")


class Audit:
    """Collects what the pickles of one file would do; `verdicts` judges it."""

    def __init__(self) -> None:
        self._imported: set[Global] = set()
        self._called: set[Global] = set()
        self._dynamic: set[str] = set()
        self._changed: set[str] = set()

    def imports(self, what: Global) -> None:
        if len(self._imported) >= MAX_NAMES:
            raise TooMuch(f"more than {MAX_NAMES:,} different imports")
        self._imported.add(Global(what.module, what.name))

    def calls(self, what: object) -> None:
        if isinstance(what, Global):
            self._called.add(what)
        elif not is_known_data(what):
            self._dynamic.add(_shown(what))

    def may_be_text(self, what: object) -> bool:
        """Told of a name that only loading makes; it stops there if that cannot be text."""
        if is_known_data(what) and not (isinstance(what, Made) and str(what.by) in _MAKE_TEXT):
            return False
        self._dynamic.add("an import by a computed name")
        return True

    def changes(self, what: object) -> None:
        if isinstance(what, Global):
            self._changed.add(str(what))

    def verdicts(self, *, only_dangerous: bool = False) -> list[Verdict]:
        """At most one of each rule. `only_dangerous` where odd names may be chance: in bytes that may be no pickle."""
        known = [what for what in self._imported if not is_allowed(what)]
        dangerous = {what for what in known if is_attack(what, called=what in self._called)} | _listed(known)
        found = []
        if dangerous:
            message = f"loading it runs {_some(dangerous)}; save the model without it"
            found.append(Verdict("dangerous", "pickle-code", message))
        if self._dynamic:
            message = f"loading it calls what only loading makes ({_some(self._dynamic)})"
            found.append(Verdict("dangerous", "pickle-computed-call", message))
        if self._changed:
            message = f"loading it changes {_some(self._changed)} itself"
            found.append(Verdict("dangerous", "pickle-changes-import", message))
        if (odd := set(known) - dangerous) and not only_dangerous:
            message = f"loading it imports {_some(odd)}, not known to be harmless"
            found.append(Verdict("suspicious", "pickle-unknown-import", message))
        return found


def is_allowed(what: Global) -> bool:
    what = _today(what)
    errors = what.module == "builtins" and re.fullmatch(r"[A-Z]\w*(Error|Exception|Warning)", what.name)
    return bool(what.name in ALLOWED.get(what.module, ()) or errors or _CLASSES.fullmatch(str(what)))


def is_known_data(what: object) -> bool:
    """Whether it is plain data, or comes from something allowed: neither text nor a function with a will of its own."""
    for _ in range(10):
        if not isinstance(what, Made):
            break
        what = what.by
    return is_allowed(what) if isinstance(what, Global) else not isinstance(what, Made | Persistent)


def is_attack(what: Global, *, called: bool) -> bool:
    """By the rules above; the list of known names is asked by `Audit`."""
    what = _today(what)
    first = what.module.partition(".")[0]
    path = [*what.module.split("."), *what.name.split(".")]
    if first in _STANDARD - _OWN or first in _PICKLE_TOOLS:
        return True
    if any(part in _STANDARD for part in what.name.split(".")) or any(_is_inner(part) for part in path):
        return True
    return called and first in _INSTALLED and not re.match(r"_*[A-Z]", path[-1])


def _is_inner(part: str) -> bool:
    return part.startswith("__") and part.endswith("__") and part not in _OWN


def _today(what: Global) -> Global:
    """As Python 3 finds what Python 2 wrote."""
    renamed = NAME_MAPPING.get((what.module, what.name))
    return Global(*renamed) if renamed else Global(IMPORT_MAPPING.get(what.module, what.module), what.name)


def _listed(names: Iterable[Global]) -> set[Global]:
    """Those that picklescan knows to be dangerous. It is asked with a pickle of nothing but imports."""
    asked = {each: name for name in names for each in (name, _today(name))}
    if not asked:
        return set()
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes  # type: ignore[import-untyped]  # ships no types

    logging.getLogger("picklescan").setLevel(logging.CRITICAL)
    texts = (part.encode(errors="surrogatepass") for each in asked for part in (each.module, each.name))
    strings = [b"X" + len(text).to_bytes(4, "little") + text for text in texts]
    question = b"\x80\x04" + b"".join(a + b + b"\x93" for a, b in zip(strings[::2], strings[1::2], strict=True)) + b"."
    answer = scan_pickle_bytes(io.BytesIO(question), "names").globals
    dangerous = {(each.module, each.name) for each in answer if each.safety is SafetyLevel.Dangerous}
    return {name for each, name in asked.items() if (each.module, each.name) in dangerous}


def scanner_version() -> str:
    return version("picklescan")


def _shown(what: object) -> str:
    if isinstance(what, Made):
        return f"the result of {what.by if isinstance(what.by, Global) else 'a call'}"
    return "something kept beside it" if isinstance(what, Persistent) else f"a {type(what).__name__}"


def _some(names: Iterable[object]) -> str:
    texts = sorted(str(name)[:80].encode(errors="backslashreplace").decode() for name in names)
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
