"""`where` of a list: `accuracy > 0.9 and label = nightly and created >= 2026-11-01`, read into comparisons.

A field that is none of the known ones is the name of a metric, with or without `metrics.` before it.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from modelyard_version.errors import BadWhere

MOST: Final = 20  # conditions
METRICS: Final = "metrics."
TAG: Final = "tag."
_DATES: Final = ("created",)
_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("model_name", "= ~"),
    "version": ("model_version", "="),
    "status": ("model_status", "="),
    "type": ("model_type", "="),
    "workspace": ("workspace_id", "="),
    "author": ("created_by", "="),
    "label": ("labels", "="),
    "alias": ("aliases", "="),
    "description": ("description", "~"),
    "created": ("create_at", "< <= = >= >"),
    "size": ("model_size", "< <= = >= >"),
}
"""What people write → the field of a version, and what it can be compared by."""
OTHERS: Final = ", ".join((*_FIELDS, f"{TAG}KEY"))
_LARGEST: Final = 2**62
_MEASURED: Final = "< <= = >= >"
_BYTES: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<operator><=|>=|!=|==|<|>|=|~)|(?P<word>[^\s<>=!~"']+)|(?P<odd>\S))"""
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field` of a version, `metrics` with the metric's `name`, or `tags` with the tag's. Numbers are ranges: both ends
    are included, `None` leaves one open; instants in ms since 1970 UTC, sizes in bytes. A `text`, which ranges have
    none of, is to be equal or to be contained.
    """

    field: str
    name: str = ""
    text: str | None = None
    contained: bool = False
    low: float | None = None
    high: float | None = None


def comparisons(where: str) -> tuple[Comparison, ...]:
    """Raises BadWhere."""
    tokens = list(_tokens(where))
    found: list[Comparison] = []
    place = 0
    while True:
        field, operator, value = (*tokens[place : place + 3], *[("end", "")] * 3)[:3]
        found.append(_comparison(field, operator, value))
        place += 3
        if place >= len(tokens):
            break
        if tokens[place][0] != "word" or tokens[place][1].casefold() != "and":
            raise BadWhere(f"{tokens[place][1]!r} stands where 'and' belongs")
        place += 1
    if len(found) > MOST:
        raise BadWhere(f"it has {len(found)} conditions, at most {MOST}")
    return tuple(_met(found))


def _met(found: Sequence[Comparison]) -> Iterator[Comparison]:
    """Ranges of one thing are one range: a store starts from what lies between both ends."""
    ranges: dict[tuple[str, str], Comparison] = {}
    for each in found:
        if each.text is not None:
            yield each
            continue
        known = ranges.get((each.field, each.name), each)
        low = max((end for end in (known.low, each.low) if end is not None), default=None)
        high = min((end for end in (known.high, each.high) if end is not None), default=None)
        ranges[each.field, each.name] = replace(each, low=low, high=high)
    yield from ranges.values()


def _tokens(where: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(where):
        kind = str(match.lastgroup)
        text = match[kind]
        if kind == "odd":
            raise BadWhere(f"{text!r} cannot stand there; put a value with spaces or signs between quotation marks")
        yield kind, text[1:-1] if kind == "quoted" else text


def _comparison(field: tuple[str, str], operator: tuple[str, str], value: tuple[str, str]) -> Comparison:
    if field[0] not in ("word", "quoted") or operator[0] != "operator" or value[0] not in ("word", "quoted"):
        broken = " ".join(text for kind, text in (field, operator, value) if kind != "end") or "nothing"
        raise BadWhere(f"{broken!r} is no condition")
    name, sign, text = field[1], {"==": "="}.get(operator[1], operator[1]), value[1]
    if name.startswith(TAG):
        _allowed(name, sign, "=")
        return Comparison("tags", name=name.removeprefix(TAG), text=text)
    if name in _FIELDS:
        known, signs = _FIELDS[name]
        _allowed(name, sign, signs)
        if name in _DATES:
            return _range(known, sign, *_instants(text))
        if name == "size":
            size = _size(text)
            return _range(known, sign, size, size)
        return Comparison(known, text=text, contained=sign == "~")
    _allowed(name, sign, _MEASURED)
    number = _number(name, text)
    low, high = _ends(sign, number, number, math.nextafter(number, -math.inf), math.nextafter(number, math.inf))
    return Comparison("metrics", name=name.removeprefix(METRICS), low=low, high=high)


def _allowed(name: str, sign: str, signs: str) -> None:
    if sign not in signs.split():
        known = name in _FIELDS or name.startswith(TAG)
        hint = "" if known else f"; it is taken for a metric, for it is none of {OTHERS}"
        raise BadWhere(f"{name!r} can be compared by {signs.replace(' ', ', ')}, not by {sign!r}{hint}")


def _range(field: str, sign: str, first: int, last: int) -> Comparison:
    if not -_LARGEST < first <= last < _LARGEST:
        raise BadWhere(f"the value of {field!r} is out of all bounds")
    low, high = _ends(sign, first, last, first - 1, last + 1)
    return Comparison(field, low=low, high=high)


def _ends(sign: str, first: float, last: float, before: float, after: float) -> tuple[float | None, float | None]:
    ends: dict[str, tuple[float | None, float | None]] = {
        "<": (None, before),
        "<=": (None, last),
        "=": (first, last),
        ">=": (first, None),
        ">": (after, None),
    }
    return ends[sign]


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadWhere(f"{name!r} is taken for a metric and {text!r} is no number; other fields are {OTHERS}")
    return number


def _instants(text: str) -> tuple[int, int]:
    """The first and the last ms: of a day, or of one moment. Without a zone it is UTC."""
    if text.isascii() and text.isdigit():
        return int(text), int(text)
    day = re.fullmatch(r"(\d{4}-?\d\d-?\d\d)(Z|[+-]\d\d:\d\d)?", text)
    try:
        moment = datetime.fromisoformat(f"{day[1]}T00:00{day[2] or ''}" if day else text)
    except ValueError:
        raise BadWhere(f"{text!r} is no time like 2026-11-22, 2026-11-22T10:00 or ms since 1970") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    first = round(moment.timestamp() * 1000)
    length = timedelta(days=1) if day else timedelta(milliseconds=1)
    return first, first + round(length.total_seconds() * 1000) - 1


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
    if match is None or match[2].casefold() not in _BYTES:
        raise BadWhere(f"{text!r} is no size like 500, 5MB or 2GiB")
    return int(Decimal(match[1]) * _BYTES[match[2].casefold()])
