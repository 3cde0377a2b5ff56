"""What may be handed to code that iterates, indexes or compares it while a model is loaded. Used by `calls`, `rules`.

Allowed classes run what other ones hold once somebody asks them for their items: ParameterSampler asks a distribution,
that one its `dist`, a scorer calls a method by its name. So whatever looks into what it is given may only be given data
and instances that its own library brings.
"""

import re
from collections.abc import Iterator

from modelyard_formats.pickle.allowed import is_instance, is_recorded, names
from modelyard_formats.pickle.libraries import is_installed, is_standard
from modelyard_formats.pickle.values import Global, Made, OddKey

_ASKS_NOBODY = re.compile(r"pandas\..*|joblib\.numpy_pickle\.NumpyArrayWrapper|zoneinfo\.ZoneInfo|uuid\.UUID")
_COPIES = names("_reconstruct")  # NumPy's arrays: a list that was given them is of no importance later
_ALSO = {"scipy": names("scipy numpy"), "torchvision": names("torchvision torch"), "timm": names("timm torch")}


def parts_of(value: object, family: frozenset[str] = frozenset()) -> Iterator[object]:
    """It and what it is made of, as far as that was not looked at before. `family`: libraries whose instances were."""
    waiting, seen = [value], set[int]()
    while waiting:
        item = waiting.pop()
        yield item
        if not isinstance(item, Made | dict | list | tuple) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting.extend(item.values())
            waiting.extend(key.key for key in item if isinstance(key, OddKey))
        elif not isinstance(item, Made):
            waiting.extend(item)
        elif not (item.settled or _is_foreign(item.kind) or _first(item.kind) in family):
            waiting.extend((item.args, item.state, item.items, item.entries))


def are_quiet(values: object, family: frozenset[str] = frozenset()) -> bool:
    arrays = []
    for item in parts_of(values, family):
        if isinstance(item, Made) and not _is_quiet(item, family):
            return False
        if isinstance(item, Made) and item.built and isinstance(item.by, Global) and item.by.name in _COPIES:
            arrays.append(item)
    for array in () if family else arrays:  # elsewhere that library's instances are not as harmless
        array.settled = True
    return True


def family_of(kind: object) -> frozenset[str]:
    first = _first(kind)
    return _ALSO.get(first, frozenset({first}))


def _is_quiet(made: Made, family: frozenset[str]) -> bool:
    kind = made.kind
    if not isinstance(kind, Global):
        return True  # a zone of time: nothing else that was made is ever called
    if _first(kind) in family:
        return True
    if kind == Global("builtins", "getattr"):
        return "scipy" in family or str(made.args[0] if isinstance(made.args, tuple) else "").startswith("zoneinfo")
    return bool(_ASKS_NOBODY.fullmatch(str(kind))) or not (is_instance(kind) or is_recorded(kind))


def _first(kind: object) -> str:
    return kind.module.partition(".")[0] if isinstance(kind, Global) else ""


def _is_foreign(kind: object) -> bool:
    """Of no known library: what it does is not known either."""
    first = _first(kind)
    return bool(first) and not (is_standard(first) or is_installed(first))
