"""What both document adapters refuse, so that a body or query that one database takes never fails on the other."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from modelyard_contracts import codes
from modelyard_contracts.failures import FailureKind, NotStorable
from modelyard_contracts.keeping import dotted, misfits, too_deep
from modelyard_store.documents import (
    Body,
    Collection,
    Condition,
    Contains,
    Has,
    Measures,
    Query,
    Sort,
    member_indexes,
    number_index,
    value_at,
)

MAX_BYTES = 8 << 20  # of JSON; MongoDB takes 16 MiB of BSON, which can be larger than the same JSON
_INT64 = range(-(1 << 63), 1 << 63)
_NO_NAME = re.compile(r'[.$"]')
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def to_json(collection: Collection, body: Body) -> str:
    """The body as it is stored. Raises NotStorable."""
    if too_deep(body):
        raise _misfitting(collection, body)
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError) as error:
        raise _misfitting(collection, body, str(error)) from error
    if size > MAX_BYTES:
        message, rule = f"{collection.name}: {size} bytes of JSON", f"at most {MAX_BYTES} bytes"
        raise NotStorable(FailureKind.TOO_LARGE, codes.TOO_LARGE, message, field=collection.name, rule=rule)
    if _NUL.search(text):
        raise _misfitting(collection, body)
    for name in collection.members:
        value = value_at(body, name)
        if value is not None and not (isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)):
            raise _not_storable(collection, name, "it must hold a list of texts", "a list of texts")
    for name in collection.numbers:
        if wrong := _no_numbers(value_at(body, name)):
            raise _not_storable(collection, name, wrong, "a map of names to numbers")
    for name in collection.fields.difference(collection.members, collection.numbers):
        if isinstance(value_at(body, name), dict | list | tuple):
            raise _not_storable(collection, name, "an indexed field must hold a scalar", "a text, a number or nothing")
    return text


def _no_numbers(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        return "it must hold a map"
    if odd := [name for name in value if not name or _NO_NAME.search(name)]:
        return f"the name {odd[0]!r} is empty or holds one of . $ and a quotation mark"
    held = (isinstance(number, int | float) and not isinstance(number, bool) for number in value.values())
    return None if all(held) else "it must hold numbers only"


def _misfitting(collection: Collection, body: Body, otherwise: str = "") -> NotStorable:
    path, message, rule = next(misfits(body), ((), f"not JSON: {otherwise}", "plain JSON"))
    return _not_storable(collection, dotted(path), message, rule)


def _not_storable(collection: Collection, field: str, message: str, rule: str) -> NotStorable:
    shown = f"{collection.name}: {field}: {message}" if field else f"{collection.name}: {message}"
    return NotStorable(FailureKind.INVALID, codes.PARAMETER_INVALID, shown, field=field or collection.name, rule=rule)


def from_json(text: str) -> Body:
    """Raises NotStorable for an integer beyond 64 bits."""
    body: Body = json.loads(text, parse_int=_int64)
    return body


def check_declared(collection: Collection, where: Sequence[Condition], sort: Iterable[Sort] = ()) -> None:
    """Raises ValueError for a field without a declared index, which would make the store read everything."""
    allowed = collection.fields.difference(collection.members, collection.numbers) | {"id"}
    measured = {each.path for each in where if isinstance(each, Measures)}
    for part in (*where, *sort):
        if isinstance(part, Measures):
            if number_index(collection, where, part.field) is None or _NO_NAME.search(part.name):
                raise ValueError(f"{collection.name}: Measures on {part.path}, which no index declares behind equals")
            continue
        if isinstance(part, Sort) and part.field in measured:
            continue
        if isinstance(part, Has):
            if not member_indexes(collection, where, part.field):
                raise ValueError(f"{collection.name}: Has on {part.field}, which no index declares behind equal fields")
            continue
        if part.field not in (collection.substrings if isinstance(part, Contains) else allowed):
            raise ValueError(f"{collection.name}: {type(part).__name__} on {part.field}, which no index declares")


def check_query(collection: Collection, query: Query) -> None:
    """Raises ValueError for an undeclared field, or a position that another sort gave."""
    check_declared(collection, query.where, query.sort)
    if query.after is not None and len(query.after) != len(query.order):
        raise ValueError(f"{collection.name}: the page position belongs to another sort")


def _int64(digits: str) -> Any:
    number = int(digits)
    if number not in _INT64:
        message, rule = f"the integer {digits[:30]} is beyond 64 bits", "64-bit integer"
        raise NotStorable(FailureKind.INVALID, codes.PARAMETER_INVALID, message, field="document", rule=rule)
    return number
