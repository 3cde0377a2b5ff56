"""Calls that real pickles make, and the arguments they make them with. Used by `pickle.rules`.

Many harmless functions call what they are given or import what they are told: `numpy.random._pickle.__generator_ctor`,
`copyreg._reconstructor`, `_codecs.encode`. So each is allowed only with arguments as its library writes them.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from modelyard_formats.pickle import allowed, attributes
from modelyard_formats.pickle.arrays import DTYPE, RECORDS, is_wrapper
from modelyard_formats.pickle.quiet import are_quiet, family_of
from modelyard_formats.pickle.values import Global, Left, Made, OddKey, Persistent

Args = tuple[object, ...]
Check = Callable[[Args], bool]
_PLAIN = (str, bytes, int, float, type(None))
_DTYPE = re.compile(r"[<>=|]?(?:[biufcmMOSUV]\d{0,9}|[?bhilqpBHILQPefdgFDGOSUV])(?:\[\w{1,5}\])?")
_BITS = allowed.names("MT19937 PCG64 PCG64DXSM Philox SFC64")
_BASES = allowed.names("object dict list tuple set frozenset int float str bytes bytearray complex")
_FACTORIES = {
    "builtins": allowed.names("int float bool str list dict tuple set frozenset"),
    "collections": allowed.names("OrderedDict defaultdict Counter deque"),
}
_RANDOM = "numpy.random._pickle"


def is_plain(value: object) -> bool:
    return isinstance(value, _PLAIN)


def is_text(value: object, known: frozenset[str]) -> bool:
    """One of those: a tuple of tuples of tuples takes for ever to be looked up."""
    return isinstance(value, str) and value in known


def is_data(value: object) -> bool:
    """Numbers, texts, what is made of them, and arrays: nothing that could be called."""
    waiting, seen = [value], set[int]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, list | tuple | dict):
            if id(item) not in seen:
                waiting.extend(item.values() if isinstance(item, dict) else item)
                waiting.extend(key.key for key in item if isinstance(key, OddKey))
                seen.add(id(item))
        elif not is_plain(item) and not _is_array(item):
            return False
    return are_quiet(value)


def _is_array(value: object) -> bool:
    if not isinstance(value, Made):
        return False
    by = value.by
    return is_wrapper(value) or (isinstance(by, Global) and (by.module, by.name) in _ARRAYS)


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ARRAYS = frozenset(
    {
        *((module, name) for module in _MULTIARRAY for name in ("_reconstruct", "scalar")),
        ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"), ("numpy", "dtype"),
        ("numpy.ma.core", "_mareconstruct"), ("_codecs", "encode"),
        ("builtins", "bytearray"), ("builtins", "slice"), ("torch", "Size"), ("builtins", "bytes"),
        ("torch", "device"),
    }
)  # fmt: skip


def _all(*kinds: type | tuple[type, ...]) -> Check:
    """As many arguments at most, each of its kind."""
    return lambda args: len(args) <= len(kinds) and all(map(isinstance, args, kinds))


def _plain(args: Args) -> bool:
    return all(map(is_plain, args))


def _data(args: Args) -> bool:
    return is_data(args)


def _none(args: Args) -> bool:
    return args == ()


def _encode(args: Args) -> bool:
    return len(args) == 2 and isinstance(args[0], str | Left) and args[1] in ("latin1", "latin-1")


def _bytearray(args: Args) -> bool:
    encoded = len(args) == 1 and isinstance(args[0], Made) and args[0].by == Global("_codecs", "encode")
    return encoded or _all(bytes)(args) or (len(args) == 2 and isinstance(args[0], str | Left) and args[1] == "latin-1")


def _defaultdict(args: Args) -> bool:
    factory = args[0] if args else None
    known = isinstance(factory, Global) and factory.name in _FACTORIES.get(factory.module, ())
    return len(args) <= 1 and (factory is None or known or is_own(factory))


def is_own(value: object) -> bool:
    """A name that is recorded wherever it is met, not one that is allowed for another use."""
    return isinstance(value, Global) and not is_allowed(value)


def _dtype(args: Args) -> bool:
    if args and isinstance(args[0], Global) and args[0] in RECORDS:
        return _plain(args[1:])
    return bool(args) and isinstance(args[0], str) and bool(_DTYPE.fullmatch(args[0])) and _plain(args)


def _reconstruct(args: Args) -> bool:
    array = args[0] if args else None
    known = isinstance(array, Global) and (is_own(array) or array.name in _ARRAY_CLASSES)
    return known and is_data(args[1:])


_ARRAY_CLASSES = allowed.names("ndarray matrix recarray memmap MaskedArray")


def _masked(args: Args) -> bool:
    return len(args) == 4 and _reconstruct(args[:1]) and _reconstruct(args[1:])


def _fraction(args: Args) -> bool:
    """Text with an exponent could take for ever."""
    text = args[0] if len(args) == 1 and isinstance(args[0], str) else ""
    return _all(int, int)(args) or bool(re.fullmatch(r"-?\d+(/\d+)?", text))


def _scalar(args: Args) -> bool:
    known = bool(args) and isinstance(args[0], Made) and args[0].by == DTYPE
    return known and len(args) <= 2 and all(is_plain(each) or _is_array(each) for each in args)


def _bit_generator(args: Args) -> bool:
    what = args[0] if args else "MT19937"
    known = isinstance(what, Global) and what.module.startswith("numpy.random._") and what.name in _BITS
    return len(args) <= 1 and (known or is_text(what, _BITS))


def _generator(args: Args) -> bool:
    first = args[0] if args else "MT19937"
    made = isinstance(first, Made) and str(first.by) == f"{_RANDOM}.__bit_generator_ctor"
    known = made or (isinstance(first, str) and first in _BITS)
    return known and (len(args) == 1 or args[1:] in ((), (Global(_RANDOM, "__bit_generator_ctor"),)))


def _ufunc(args: Args) -> bool:
    known = len(args) == 2 and isinstance(args[0], str) and isinstance(args[1], str)
    return known and allowed.is_value(Global(str(args[0]), str(args[1])))


def _instance_of(args: Args) -> bool:
    """`newObj(cls)`, `__pyx_unpickle_Name(cls, checksum, state)` of compiled classes."""
    known = bool(args) and isinstance(args[0], Global) and bool(_COMPILED.fullmatch(str(args[0])))
    return known and is_data(args[1:])


_SKLEARN_COMPILED = r"sklearn\.[\w.]+\.(\w*(KDTree|BallTree)\w*|\w*(Distance|DistanceMetric)\d*|Cy\w+)"
_COMPILED = re.compile(rf"{_SKLEARN_COMPILED}|numpy\.random\.bit_generator\.SeedSequence")


def _may_be_new(what: Global) -> bool:
    return allowed.is_instance(what) or what == Global("numpy.random.bit_generator", "SeedSequence")


def _reconstructor(args: Args) -> bool:
    if len(args) != 3 or not isinstance(args[0], Global) or not isinstance(args[1], Global):
        return False
    base = args[1].module == "builtins" and args[1].name in _BASES
    match args[1].name:
        case "object":
            state = args[2] is None
        case "dict":
            state = _entries(args[2:])
        case "list" | "tuple" | "set" | "frozenset" if isinstance(args[2], list | tuple):
            state = True
        case _:
            state = is_data(args[2])
    return base and state and (_may_be_new(args[0]) or is_own(args[0]))


def _entries(args: Args) -> bool:
    """What a dict may be made of: a dict, or pairs that the pickle writes as such. Anything else would be iterated."""
    if not args or isinstance(args[0], dict):
        return len(args) <= 1
    pairs = args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else (None,)
    return all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)


def _newobj(args: Args) -> bool:
    return bool(args) and isinstance(args[0], Global) and may_call(args[0], args[1:], new=True)


def _newobj_ex(args: Args) -> bool:
    return len(args) == 3 and isinstance(args[0], Global) and may_call(args[0], args[1:], new=True)


def _of_pandas(args: Args) -> bool:
    """`_new_Index(cls, attributes)`, `__pyx_unpickle_NDArrayBacked(cls, checksum, state)`."""
    known = bool(args) and isinstance(args[0], Global) and args[0].module.split(".")[0] == "pandas"
    return known and all(map(_is_known, args[:1])) and _no_functions(args[1:])


def _is_known(value: object) -> bool:
    return isinstance(value, Global) and (allowed.is_value(value) or allowed.is_instance(value))


def _method(args: Args) -> bool:
    """`getattr(distribution, "_entropy")`: SciPy keeps methods of its discrete distributions. And what makes zones of
    time again."""
    owner = args[0].kind if len(args) == 2 and isinstance(args[0], Made) else None
    if args == ZONE or (len(args) == 2 and args[0] == _TEXT and is_text(args[1], _OF_TEXTS)):
        return True
    known = isinstance(owner, Global) and owner.module in _DISTRIBUTIONS and allowed.is_instance(owner)
    method = known and is_text(args[1], _METHODS)
    return method and isinstance(args[0], Made) and args[1] not in args[0].attributes()


_METHODS = allowed.names("_entropy _cdf_single _ppf_single _cdfvec _ppfvec _pmf _logpmf _cdf _sf _isf _stats")
_TEXT, _OF_TEXTS = Global("builtins", "str"), allowed.names("split lower upper strip casefold splitlines")
ZONE = (Global("zoneinfo", "ZoneInfo"), "_unpickle")
_ZONE_KEY = re.compile(r"[A-Za-z][\w+-]*(/[A-Za-z][\w+-]*){0,2}")


def makes_zone(by: object, args: object) -> bool:
    """`getattr(ZoneInfo, "_unpickle")(key, from_cache)`."""
    if not isinstance(by, Made) or by.by != Global("builtins", "getattr") or by.args != ZONE:
        return False
    key = args[0] if isinstance(args, tuple) and len(args) == 2 else None
    return isinstance(key, str) and bool(_ZONE_KEY.fullmatch(key))


def _no_functions(args: Args) -> bool:
    """Data, storages, and what was checked when it was made and asks nobody else for what it holds."""
    waiting, seen = list(args), set[int]()
    while waiting:
        item = waiting.pop()
        if isinstance(item, list | tuple | dict):
            if id(item) not in seen:
                waiting.extend(item.values() if isinstance(item, dict) else item)
                seen.add(id(item))
        elif isinstance(item, Global) and not (is_own(item) or allowed.is_value(item)):
            return False
    return are_quiet(args)


def _with_state(args: Args) -> bool:
    return len(args) == 4 and _no_functions(args[:3]) and not bad_state(args[3])


def _of_type(args: Args) -> bool:
    """`_rebuild_from_type_v2(function, type, arguments, state)`."""
    if len(args) != 4 or not isinstance(args[0], Global) or not isinstance(args[2], tuple):
        return False
    inner = args[0].module == "torch._utils" and may_call(args[0], args[2], new=False)
    kind = isinstance(args[1], Global) and (is_own(args[1]) or allowed.is_value(args[1]))
    return inner and kind and not bad_state(args[3])


_REBUILD = (
    "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_qtensor _rebuild_sparse_tensor "
    "_rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_device_tensor_from_numpy "
    "_rebuild_device_tensor_from_cpu_tensor _rebuild_sparse_csr_tensor"
)


def _triplet(args: Args) -> bool:
    """A tuple with names: it only keeps the estimator."""
    kept = args[2] if len(args) == 3 else None
    return isinstance(kept, Made) and is_data(args[:2]) and isinstance(kept.kind, Global) and is_allowed(kept.kind)


_NUMBERS = (int, float, type(None), Made)
_DTYPES_OF_PANDAS = (
    ("pandas", "pandas.core.dtypes.dtypes"),
    ("PeriodDtype", "DatetimeTZDtype", "IntervalDtype", "CategoricalDtype", "SparseDtype"),
)
CALLS: dict[str, Check] = {
    "sklearn.impute._iterative._ImputerTriplet": _triplet,
    **{f"ipaddress.IPv{version}Address": _all((int, str)) for version in (4, 6)},
    **{f"ipaddress.IPv{version}Network": _all(str) for version in (4, 6)},
    "builtins.bytes": _none,
    "builtins.getattr": _method,
    "builtins.object": _none,
    "builtins.bytearray": _bytearray,
    "builtins.complex": _all((int, float), (int, float)),
    "builtins.slice": _all(_NUMBERS, _NUMBERS, _NUMBERS),
    "builtins.range": _all(int, int, int),
    **{f"builtins.{kind}": _all((list, tuple, dict)) for kind in ("set", "frozenset", "list", "tuple")},
    "builtins.dict": _entries,
    "collections.OrderedDict": _entries,
    "collections.defaultdict": _defaultdict,
    "collections.Counter": _all(dict),
    "collections.deque": _all((list, tuple), (int, type(None))),
    "copyreg._reconstructor": _reconstructor,
    "copyreg.__newobj__": _newobj,
    "copyreg.__newobj_ex__": _newobj_ex,
    "_codecs.encode": _encode,
    "datetime.date": _all((bytes, str, int, Made), int, int),
    "datetime.time": _all((bytes, str, int, Made), (int, Made), int, int, Made),
    "datetime.datetime": _all((bytes, str, int, Made), (int, Made), int, int, int, int, int, Made),
    "datetime.timedelta": _all(int, int, int),
    "datetime.timezone": _all(Made, str),
    "decimal.Decimal": _all(str),
    "fractions.Fraction": _fraction,
    **{f"pathlib.{kind}Path": _plain for kind in ("Posix", "PurePosix", "Windows", "PureWindows", "")},
    "re._compile": _all((str, bytes), int),
    "numpy.dtype": _dtype,
    **{f"{module}._reconstruct": _reconstruct for module in _MULTIARRAY},
    **{f"{module}.scalar": _scalar for module in _MULTIARRAY},
    "numpy.core.numeric._frombuffer": _data,
    "numpy._core.numeric._frombuffer": _data,
    "numpy.core._ufunc_reconstruct": _ufunc,
    "numpy._core._ufunc_reconstruct": _ufunc,
    "numpy.ma.core._mareconstruct": _masked,
    f"{_RANDOM}.__bit_generator_ctor": _bit_generator,
    f"{_RANDOM}.__generator_ctor": _generator,
    f"{_RANDOM}.__randomstate_ctor": _generator,
    "numpy.random.__RandomState_ctor": _none,
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence": _instance_of,
    "sklearn.tree._tree.Tree": _data,
    "pandas.core.indexes.base._new_Index": _of_pandas,
    "pandas.core.indexes.datetimes._new_DatetimeIndex": _of_pandas,
    "pandas.core.indexes.period._new_PeriodIndex": _of_pandas,
    "pandas.core.indexes.interval._new_IntervalIndex": _of_pandas,
    "pandas.core.indexes.timedeltas._new_TimedeltaIndex": _of_pandas,
    **{f"pandas{inner}.Interval": _no_functions for inner in ("", "._libs.interval")},
    **{f"pandas{inner}.Period": _no_functions for inner in ("", "._libs.tslibs.period")},
    "pandas._libs.tslibs.period._unpickle": _no_functions,
    "pandas._libs.sparse.IntIndex": _data,
    "pandas._libs.sparse.BlockIndex": _data,
    "uuid.SafeUUID": _plain,
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked": _of_pandas,
    "pandas._libs.internals._unpickle_block": _no_functions,
    "pandas._libs.internals.BlockManager": _no_functions,
    "pandas.core.internals.managers.BlockManager": _no_functions,
    "pandas._libs.tslibs.timestamps._unpickle_timestamp": _no_functions,
    "pandas._libs.tslibs.nattype._nat_unpickle": _plain,
    "pandas._libs.tslibs.nattype.__nat_unpickle": _plain,
    "pandas._libs.tslibs.timedeltas.Timedelta": _plain,
    "pandas._libs.tslibs.timedeltas._timedelta_unpickle": _plain,
    "pandas.StringDtype": _no_functions,
    **{f"{module}.{name}": _no_functions for module in _DTYPES_OF_PANDAS[0] for name in _DTYPES_OF_PANDAS[1]},
    "pandas.core.arrays.string_.StringDtype": _no_functions,
    "torch.Size": _all((tuple, list)),
    "torch.device": _plain,
    "torch.serialization._get_layout": _plain,
    "torch.nn.parameter.Parameter": _no_functions,
    **{f"torch._utils.{name}": _no_functions for name in _REBUILD.split()},
    "torch._utils._rebuild_parameter_with_state": _with_state,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    **{f"torch.jit._pickle.build_{kind}list": _no_functions for kind in ("int", "tensor", "double", "bool")},
    "torch.jit._pickle.restore_type_tag": _no_functions,
}
_PATTERNS = (
    (re.compile(r"sklearn\.[\w.]+\.(newObj|__pyx_unpickle_\w+)"), _instance_of),
    (re.compile(r"sklearn\._loss\._loss\.Cy\w+|sklearn\.linear_model\._?sgd_fast\.[A-Z]\w+"), _data),
    (re.compile(r"sklearn\.neighbors\._?\w+\.(KDTree|BallTree)|sklearn\.[\w.]*\w*dist_metrics\.\w+Distance\d*"), _data),
    (re.compile(r"sklearn\.ensemble\._gb_losses\.\w+|sklearn\.ensemble\._?gradient_boosting\.\w+"), _data),
    (re.compile(r"numpy\.dtypes\.[A-Z]\w+DType"), _plain),
    (re.compile(r"pandas\._libs\.tslibs\.offsets\.[A-Z]\w*"), _no_functions),
    (re.compile(r"builtins\.[A-Z]\w*(Error|Exception|Warning)"), _plain),
    (re.compile(r"transformers\.(trainer_utils|training_args)\.\w+(Strategy|Type|Names|Mode)"), _plain),
)


@lru_cache(allowed.KNOWN)
def check_of(what: Global) -> Check | None:
    """How it may be called, if it may."""
    if "." in what.name:
        return None
    known = CALLS.get(str(what))
    return known or next((check for pattern, check in _PATTERNS if pattern.fullmatch(str(what))), None)


@lru_cache(allowed.KNOWN)
def is_allowed(what: Global) -> bool:
    known = allowed.is_value(what) or allowed.is_instance(what) or allowed.is_torch_script(what)
    return known or check_of(what) is not None


_DISTRIBUTIONS = (
    "scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.stats._levy_stable",
    "scipy.stats._distn_infrastructure",
)  # fmt: skip


def may_call(what: Global, args: object, *, new: bool) -> bool:
    """Whether that name, which is allowed, may be called so; others are judged by their name alone."""
    if allowed.is_torch_script(what) or not (is_allowed(what) or allowed.is_recorded(what)):
        return True
    check = check_of(what)
    if check is not None and isinstance(args, tuple) and check(args):
        return True
    if args in ((), ((), {})):
        compiles = what.module in _DISTRIBUTIONS and not new  # its constructor; pickle makes one without that
        return (allowed.is_instance(what) and not compiles) or (new and allowed.is_recorded(what))
    named_tuple = new and isinstance(args, tuple) and allowed.is_instance(what) and what.module.startswith("sklearn.")
    return named_tuple and isinstance(args, tuple) and is_data(args)


def bad_state(state: object, kind: object = None) -> str:
    """What makes a new state of a `kind` more than attributes: names that loading itself calls, and code that it runs.

    A `__setstate__` that updates its `__dict__` takes whatever `dict` takes, so only a dict that the pickle writes as
    one can be judged.
    """
    takes_attributes = _takes_attributes(kind)
    known = not is_own(kind) or (isinstance(kind, Global) and allowed.is_recorded(kind))
    if isinstance(state, Made | Global | Persistent) and known:
        return "a state that is no data of the pickle"
    if looks_inside(kind) and not are_quiet(state, family_of(kind)):
        return "something among its state that may run what it is given"
    if _is_masked(kind) and isinstance(state, tuple) and not is_data(state[-1:]):
        return "what stands for its missing items is no data"
    parts = state if isinstance(state, tuple) and len(state) == 2 and not _sets_itself(kind) else (state,)
    if not all(part is None or isinstance(part, dict) for part in parts):
        return "a state that is no attributes" if takes_attributes else ""
    if len(parts) == 2 and not _no_functions((parts[1],)):
        return "functions among what is set by a setter"
    items = (item for part in parts if isinstance(part, dict) for item in part.items())
    return next((reason for key, value in items if (reason := _bad_attribute(key, value, kind))), "")


def _bad_attribute(key: object, value: object, kind: object) -> str:
    if isinstance(key, OddKey) and not (is_own(kind) and is_data(key.key)):
        return "an attribute by a computed name"
    return attributes.bad_attribute(key, value, kind) if isinstance(key, str) else ""


_OWN_STATES = re.compile(rf"random\.Random|scipy\.spatial\.[\w.]*KDTree|pandas\.[\w.]+|{_SKLEARN_COMPILED}")


_LOOKS_INSIDE = re.compile(
    r"(random|pandas|torch|torchvision|torchaudio|timm|transformers|scipy|numpy\.random|numpy\.polynomial|catboost|keras"
    rf"|tensorflow|xgboost\.core|lightgbm\.(basic|engine))\.[\w.]+|{_SKLEARN_COMPILED}"
)


def looks_inside(kind: object) -> bool:
    """Whether its library iterates, indexes or compares what is in a state; scikit-learn only keeps it."""
    known = isinstance(kind, Global) and (is_allowed(kind) or allowed.is_recorded(kind))
    return known and bool(_LOOKS_INSIDE.fullmatch(str(kind)))


def _is_masked(kind: object) -> bool:
    return isinstance(kind, Global) and str(kind) == "numpy.ma.core._mareconstruct"


def runs_its_state(kind: object) -> bool:
    """Whether a state of it is code: no chance then, wherever it stands."""
    return isinstance(kind, Global) and kind.module in (*_DISTRIBUTIONS, "sklearn.isotonic")


def _sets_itself(kind: object) -> bool:
    """Whether its library gives it a `__setstate__` of its own: two dicts are not attributes and slots to that."""
    return isinstance(kind, Global) and kind.module.startswith(("scipy.stats", "sklearn."))


def _takes_attributes(kind: object) -> bool:
    """Whether instances are given their attributes, and nothing else, as a dict."""
    return isinstance(kind, Global) and allowed.is_instance(kind) and not _OWN_STATES.fullmatch(str(kind))
