"""Attributes that loading itself uses, or that say what a harmless class calls: what they may be. Used by `calls`."""

import re
from functools import lru_cache

from modelyard_formats.pickle.allowed import is_instance, names
from modelyard_formats.pickle.quiet import are_quiet
from modelyard_formats.pickle.values import Global, Made

TEMPLATE = "_parse_arg_template"
CALLED_WHILE_LOADING = names("_build_f _attach_methods _attach_argparser_methods")
"""Methods that a `__setstate__` of SciPy or scikit-learn calls: none of them is ever an attribute."""
_BAD_KEYS = names("append extend add")
_TEMPLATE = re.compile(
    r"\s*def _parse_args\(self, (?P<s>(?:\w+, )*)\s*(?P<l>loc=0(?:, scale=1)?)\):\n"
    r"\s+return \((?P=s)\), loc, (?:scale|1)\n\s*"
    r"def _parse_args_rvs\(self, (?P=s)\s*(?P=l), size=None\):\n"
    r"\s+return self\._argcheck_rvs\((?P=s)\s*loc, (?:scale|1), size=size\)\n\s*"
    r"def _parse_args_stats\(self, (?P=s)\s*(?P=l), moments='mv'\):\n"
    r"\s+return \((?P=s)\), loc, (?:scale|1), moments\s*"
)
_RESPONSES = names("predict predict_proba predict_log_proba decision_function transform score_samples score default")
_BYTES = frozenset({Global("builtins", "bytearray"), Global("_codecs", "encode"), Global("builtins", "bytes")})
_PLAIN = (str, bytes, int, float, type(None))
_METHODS = names(
    "fit fit_transform fit_predict predict predict_proba predict_log_proba decision_function transform score"
)
"""Of scikit-learn's estimators: an attribute of such a name is called in their place."""
_OF_VECTORIZE = names(
    "pyfunc cache signature otypes excluded _ufunc _in_and_out_core_dims _doc __name__ __doc__ __module__ __qualname__"
)
_INTERPOLATED = names("X_thresholds_ y_thresholds_ _necessary_X_ _necessary_y_ increasing_ out_of_bounds")


def bad_attribute(key: str, value: object, kind: object) -> str:
    """Why an instance of `kind` may not get it."""
    if key == TEMPLATE and not is_template(value):
        return f"code in its attribute {TEMPLATE!r}"
    wrong = (
        key in CALLED_WHILE_LOADING
        or ((key in _BAD_KEYS or key[:2] == "__") and not isinstance(value, _PLAIN))
        # A warning about another version writes it out.
        or (key == "_sklearn_version" and not isinstance(value, str))
        # scikit-learn calls the method of this name.
        or (key in ("_response_method", "stack_method_") and not _is_response(value))
        or (key in _METHODS and _is_of(kind, "sklearn.") and _may_be_called(value))
        or (_is_of(kind, "numpy", "vectorize") and key not in _OF_VECTORIZE)
        # Loading makes arrays of them, which asks an instance for what it says it holds.
        or (key in _INTERPOLATED and _is_of(kind, "sklearn.isotonic") and not are_quiet(value))
        or (key in ("dist", "_dist") and _is_of(kind, "scipy.stats") and not _is_distribution(value))
        # What stands for text or bytes is asked to encode itself.
        or (key in ("_handle", "handle") and not _is_bytes(value))
    )
    return f"its attribute {key[:40]!r}" if wrong else ""


def is_template(value: object) -> bool:
    """As SciPy itself writes the code that its distributions run."""
    return isinstance(value, str) and _fits_template(value)


@lru_cache(1024)
def _fits_template(text: str) -> bool:
    return bool(_TEMPLATE.fullmatch(text))


def _is_response(value: object) -> bool:
    listed = value if isinstance(value, list | tuple) else (value,)
    return all(each is None or (isinstance(each, str) and each in _RESPONSES) for each in listed)


def _is_of(kind: object, library: str, name: str = "") -> bool:
    return isinstance(kind, Global) and kind.module.startswith(library) and name in ("", kind.name)


def _may_be_called(value: object) -> bool:
    """scikit-learn itself has numbers of such names, and what it knows of each method's arguments."""
    kind = value.kind if isinstance(value, Made) else value
    return isinstance(kind, Global) and kind.name != "MethodMetadataRequest" and not are_quiet(value)


def _is_distribution(value: object) -> bool:
    """The class of an allowed distribution makes it, and nobody else."""
    kind = value.kind if isinstance(value, Made) else None
    return isinstance(kind, Global) and kind.module.startswith("scipy.stats.") and is_instance(kind)


def _is_bytes(value: object) -> bool:
    return isinstance(value, _PLAIN) or (isinstance(value, Made) and value.by in _BYTES)
