"""What both document adapters refuse, so that a body or query that one database takes never fails on the other."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from modelyard_store.documents import (
    Body,
    Collection,
    Condition,
    Contains,
    Has,
    NotStorable,
    Query,
    Sort,
    member_indexes,
    value_at,
)

MAX_BYTES = 8 << 20  # of JSON; MongoDB takes 16 MiB of BSON, which can be larger than the same JSON
_INT64 = range(-(1 << 63), 1 << 63)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def to_json(collection: Collection, body: Body) -> str:
    """The body as it is stored. Raises NotStorable."""
    try:
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable(f"{collection.name}: not JSON: {error}") from error
    if size > MAX_BYTES:
        raise NotStorable(f"{collection.name}: {size} bytes of JSON, at most {MAX_BYTES} are allowed")
    if _NUL.search(text):
        raise NotStorable(f"{collection.name}: the character NUL cannot be stored")
    for name in collection.members:
        value = value_at(body, name)
        if value is not None and not (isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)):
            raise NotStorable(f"{collection.name}: the member field {name} must hold a list of texts")
    for name in collection.fields.difference(collection.members):
        if isinstance(value_at(body, name), dict | list | tuple):
            raise NotStorable(f"{collection.name}: the indexed field {name} must hold a scalar")
    return text


def from_json(text: str) -> Body:
    """Raises NotStorable for an integer beyond 64 bits."""
    body: Body = json.loads(text, parse_int=_int64)
    return body


def check_declared(collection: Collection, where: Sequence[Condition], sort: Iterable[Sort] = ()) -> None:
    """Raises ValueError for a field without a declared index, which would make the store read everything."""
    allowed = collection.fields.difference(collection.members) | {"id"}
    for part in (*where, *sort):
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
        raise NotStorable(f"the integer {digits} is beyond 64 bits")
    return number
