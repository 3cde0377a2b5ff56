"""What is done to values beside calling them: kept as attributes and items, changed, asked for. Used by `rules`."""

import re

from modelyard_formats.pickle import allowed
from modelyard_formats.pickle.arrays import DTYPE, item_of
from modelyard_formats.pickle.calls import is_allowed, is_data, is_own
from modelyard_formats.pickle.source import Torn
from modelyard_formats.pickle.values import RECONSTRUCTOR, Global, Made


def may_be_kept(what: Global) -> bool:
    """Whether that name may be handed around: an attribute, an item, a factory. Somebody will call it then."""
    if not is_allowed(what) or allowed.is_torch_script(what) or str(what) in _KEPT:
        return True
    if allowed.is_value(what):
        return what.name != "memmap"  # it makes files
    named = allowed.is_instance(what) and what.module.partition(".")[0] not in _NEVER_KEPT
    return named or what.module in _KEPT_TYPES


_NEVER_KEPT = allowed.names("numpy scipy types argparse random joblib")
_KEPT_TYPES = allowed.names("collections datetime decimal fractions pathlib numpy.dtypes")
_KEPT = frozenset({"numpy.dtype", "numpy.random.bit_generator.SeedSequence"})


def bad_dtype(target: Made, state: object) -> str:
    """Whether a dtype contradicts itself: NumPy would take numbers for objects."""
    if target.by != DTYPE:
        return ""
    probe = Made(target.by, target.args)
    probe.state, probe.built = state, True
    try:
        item_of(probe)
    except Torn as error:
        return str(error)
    return ""


def takes_items(target: Made) -> bool:
    """Whether it is a list or a set, or somebody's own."""
    return is_own(target.kind) or str(_base(target)) in ("collections.deque", "builtins.list", "builtins.set")


def takes_entries(target: Made) -> bool:
    return is_own(target.kind) or str(_base(target)) in _DICTS or shows_entries(target)


def shows_entries(target: Made) -> bool:
    """Whether its entries are attributes too: whoever asks it for `__array__` gets one."""
    return bool(_SKLEARN_DICTS.fullmatch(str(target.kind)))


def _base(target: Made) -> object:
    """What it is made of: the second argument of `copyreg._reconstructor`."""
    args = target.args
    return args[1] if target.by == RECONSTRUCTOR and isinstance(args, tuple) and len(args) == 3 else target.by


_DICTS = frozenset({"builtins.dict", *(f"collections.{kind}" for kind in ("OrderedDict", "defaultdict", "Counter"))})
_SKLEARN_DICTS = re.compile(r"sklearn\.[\w.]+\.(Bunch|\w*Dict\w*)|scipy\.optimize\._?optimize\.OptimizeResult")


def bad_key(key: object) -> bool:
    """What is kept beside the pickle is a storage; releases before 1.6 of PyTorch made it by calling its type."""
    if isinstance(key, tuple) and len(key) > 1 and isinstance(key[1], Global):
        known = key[1].module.split(".")[0] == "torch" and key[1].name.endswith("Storage") and allowed.is_value(key[1])
        return not (known if key[0] == "storage" else key[0] == "module")
    return not is_data(key)
