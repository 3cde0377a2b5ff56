"""What a broken rule is called where people read it: the rules of pydantic, and every pattern of what people write.

A pattern says nothing to whoever typed a space. Used by the gateway, by the rules of config.json, and for dead letters.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelyard_contracts.calls.templates import TEMPLATE_NAME
from modelyard_contracts.calls.version.aliases import ALIAS
from modelyard_contracts.calls.version.register import NAME, TEXT, VERSION
from modelyard_contracts.package import PLAIN

_NAMES: Final = "letters, digits, Chinese characters, '-' and '_'"
_NAME_SIGN: Final = r"[A-Za-z0-9\u4e00-\u9fff_-]"
_NO_MARKS: Final = "none of & ! ' \" < > ="
_MOST_SHOWN: Final = 20  # signs of a number that is given


@dataclass(frozen=True, slots=True)
class Words:
    """`sign` matches each character that may be there, where the rule is about characters."""

    rule: str
    sign: str | None = None
    longest: int | None = None

    def of(self, given: Any) -> str:
        """With what is wrong about `given`, if it can be told."""
        if not isinstance(given, str):
            return self.rule
        if self.longest is not None and len(given) > self.longest:
            return f"{self.rule}; it has {len(given):,} characters"
        wrong = next((each for each in given if self.sign and not re.fullmatch(self.sign, each)), None)
        return self.rule if wrong is None else f"{self.rule}; {wrong!r} is not one that fits"


PATTERNS: Final[Mapping[str, Words]] = {
    NAME: Words(f"1 to 64 {_NAMES}", _NAME_SIGN, 64),
    TEMPLATE_NAME: Words(f"1 to 64 {_NAMES}", _NAME_SIGN, 64),
    VERSION: Words("three numbers from 0 to 99 with dots between and no zeros in front, like 1.0.12"),
    TEXT: Words(_NO_MARKS, r"[^&!'\"<>=]"),
    PLAIN: Words(f"no Chinese characters and {_NO_MARKS}", r"[^&!'\"<>=\u4e00-\u9fff]"),
    r"^[A-Za-z]" + PLAIN[1:]: Words(
        f"it begins with a letter and has no Chinese characters and {_NO_MARKS}", r"[^&!'\"<>=\u4e00-\u9fff]"
    ),
    ALIAS: Words(f"1 to 32 {_NAMES}, beginning with a letter or a Chinese character", _NAME_SIGN, 32),
    r"^[A-Za-z\u4e00-\u9fff].{0,47}$": Words(
        "1 to 48 characters on one line, beginning with a letter or a Chinese character", None, 48
    ),
    r"^[A-Za-z\u4e00-\u9fff_][A-Za-z0-9\u4e00-\u9fff_./-]{0,63}$": Words(
        f"1 to 64 {_NAMES}, '.' and '/', beginning with a letter, a Chinese character or '_'",
        r"[A-Za-z0-9\u4e00-\u9fff_./-]",
        64,
    ),
    r"^V\d{3,6}$": Words("V and 3 to 6 digits, like V001"),
    r"^V\d{4,6}$": Words("V and 4 to 6 digits, like V0001"),
    r"^[a-z][a-z0-9_]{0,63}$": Words(
        "1 to 64 small letters, digits and '_', beginning with a letter", r"[a-z0-9_]", 64
    ),
    r"^(model|calibration_data)/([A-Za-z0-9_-]+/)*$": Words(
        "a folder in model/ or calibration_data/ of letters, digits, '-' and '_', with '/' at its end"
    ),
    r"^([A-Za-z0-9_-]+/)+$": Words("a folder of letters, digits, '-' and '_', with '/' at its end"),
    r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$": Words("system/processor in small letters, like linux/amd64"),
    r"^/": Words("a path that begins with '/'"),
    r"^/[^\s?#]*$": Words("a path that begins with '/', without spaces, '?' and '#'", r"[^\s?#]"),
    r"^[0-9a-f]{64}$": Words("64 hexadecimal digits in small letters", r"[0-9a-f]", 64),
    r"^sha256:[0-9a-f]{64}$": Words("sha256: and 64 hexadecimal digits in small letters"),
    r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,899}$": Words(
        "s3://bucket/some/folder/: a bucket of 3 to 63 small letters, digits, '.' and '-', then 1 to 899 characters"
    ),
    r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,643}/[^/]{1,255}$": Words(
        "s3://bucket/some/folder/config.json: a bucket of 3 to 63 small letters, digits, '.' and '-', at least one "
        "folder (643 characters), then a name (255)"
    ),
    r"^((s3://|obs://|/)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,899}|https://[^/?#@]+/[^?#]{1,1100})$": Words(
        "s3://bucket/folder, obs://bucket/folder, /bucket/folder or https://bucket.host/folder: a bucket of 3 to 63 "
        "small letters, digits, '.' and '-', then 1 to 899 characters"
    ),
    r"^[a-z0-9][a-z0-9-]{0,62}$": Words(
        "1 to 63 small letters, digits and '-', not beginning with '-'", r"[a-z0-9-]", 63
    ),
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": Words(
        "1 to 64 letters, digits, '_', '.' and '-', beginning with a letter or a digit", r"[A-Za-z0-9_.-]", 64
    ),
}


def in_words(error: Mapping[str, Any]) -> str:
    """One of pydantic's findings; with the `input` and `ctx` that it has, in words and with what was given."""
    said, context = str(error["msg"]).removeprefix("Value error, "), error.get("ctx", {})
    words = _RULES.get(error["type"])
    if words is None:
        return said
    try:
        return words(context, error.get("input")) or said
    except KeyError:  # it was put into words before
        return said


def _pattern(context: Mapping[str, Any], given: Any) -> str | None:
    known = PATTERNS.get(context["pattern"])
    return None if known is None else known.of(given)


def _one_of(expected: str, given: Any) -> str:
    return f"one of {expected.replace(' or ', ', ')}, not {_kind(given)}"


def _kind(given: Any) -> str:
    """What was given: itself where it is short."""
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    if isinstance(given, dict):
        return "an object"
    if isinstance(given, list | tuple):
        return "a list"
    text = repr(given)
    return text if len(text) <= _MOST_SHOWN * 2 else f"{text[: _MOST_SHOWN * 2]}…"


def _length(words: str, bound: str, one: str) -> Callable[[Mapping[str, Any], Any], str]:
    def said(context: Mapping[str, Any], given: Any) -> str:
        count = context.get("actual_length")
        count = len(given) if count is None and hasattr(given, "__len__") else count
        limit = context[bound]
        rule = f"{words} {limit:,} {one if limit == 1 else one + 's'}"
        return rule if count is None else f"{rule}, not {count:,}"

    return said


def _bound(words: str, bound: str) -> Callable[[Mapping[str, Any], Any], str]:
    def said(context: Mapping[str, Any], given: Any) -> str:
        shown = str(given)[:_MOST_SHOWN] if isinstance(given, int | float) else None
        limit = context[bound]
        limit = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
        return f"{words} {limit}" + (f", not {shown}" if shown else "")

    return said


_RULES: Final[Mapping[str, Callable[[Mapping[str, Any], Any], str | None]]] = {
    "extra_forbidden": lambda _context, _given: "there is no such field",
    "literal_error": lambda context, given: _one_of(context["expected"], given),
    "enum": lambda context, given: _one_of(context["expected"], given),
    "string_type": lambda _context, given: f"a text, not {_kind(given)}",
    "int_type": lambda _context, given: f"a whole number, not {_kind(given)}",
    "int_parsing": lambda _context, given: f"a whole number, not {_kind(given)}",
    "int_from_float": lambda _context, given: f"a whole number, not {_kind(given)}",
    "float_type": lambda _context, given: f"a number, not {_kind(given)}",
    "float_parsing": lambda _context, given: f"a number, not {_kind(given)}",
    "finite_number": lambda _context, given: f"a finite number, not {_kind(given)}",
    "bool_type": lambda _context, given: f"true or false, not {_kind(given)}",
    "bool_parsing": lambda _context, given: f"true or false, not {_kind(given)}",
    "list_type": lambda _context, given: f"a list, not {_kind(given)}",
    "tuple_type": lambda _context, given: f"a list, not {_kind(given)}",
    "dict_type": lambda _context, given: f"an object, not {_kind(given)}",
    "model_type": lambda _context, given: f"an object, not {_kind(given)}",
    "model_attributes_type": lambda _context, given: f"an object, not {_kind(given)}",
    "missing": lambda _context, _given: "this field is required",
    "string_pattern_mismatch": _pattern,
    "string_too_long": _length("at most", "max_length", "character"),
    "string_too_short": _length("at least", "min_length", "character"),
    "too_long": _length("at most", "max_length", "item"),
    "too_short": _length("at least", "min_length", "item"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("less than", "lt"),
    "greater_than_equal": _bound("at least", "ge"),
    "greater_than": _bound("more than", "gt"),
}
