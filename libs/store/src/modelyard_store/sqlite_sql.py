"""Queries of the port as SQL over JSON text. Pure; called by `sqlite` and, for the expressions, `sqlite_schema`.

An indexed expression is never NULL (a missing value is minus infinity, which no JSON number is), so that sorting,
paging and equality need no special case and every one of them can run along an index. Unique indexes use the bare
expression instead: SQLite does not compare NULLs there, which is the rule of the port.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from modelyard_store.documents import (
    AnyOf,
    Between,
    Collection,
    Condition,
    Contains,
    Equals,
    Has,
    Index,
    Query,
    Scalar,
    member_indexes,
)
from modelyard_store.documents import Sort as SortBy

_NOTHING = "-9e999"
_TRIGRAM = 3
Clause = tuple[str, list[Scalar]]
Names = Mapping[str, str]
"""Fields that a member table has as columns; see `sqlite_members`."""


def path_of(field: str) -> str:
    return "$." + ".".join(f'"{name}"' for name in field.split("."))


def raw(field: str) -> str:
    return f"json_extract(body,'{path_of(field)}')"


def value_of(field: str) -> str:
    return "id" if field == "id" else f"ifnull({raw(field)},{_NOTHING})"


def member_table(collection: Collection, index: Index) -> str:
    return f"{collection.name} members ({','.join(index.fields)})"


OUTBOX = f"{raw('outbox')}>0"


FEW: Final = 500
"""Documents that hold a text, up to which reading each of them is cheaper than walking along an index."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The rows of all documents for which one of a query's conditions holds."""

    of: Contains
    rows: tuple[int, ...]


def hits(collection: Collection, wanted: Contains) -> Clause:
    """The rows for which it holds; FEW + 1 of them if there are more."""
    name = _text_table(collection)
    text, values = _matches(collection, wanted)
    return f"SELECT rowid FROM {name} WHERE {text} LIMIT {FEW + 1}", values  # noqa: S608 - names are checked


def select(collection: Collection, query: Query, found: Hits | None = None) -> Clause:
    tables, names = _tables(collection, query.where, query.sort, found)
    clauses = _conditions(collection, query.where, names, found)
    if query.after is not None:
        clauses.append(_after(query.order, query.after, names))
    where, values = _all(clauses)
    order = ",".join(f"{_value(by.field, names)}{' DESC' if by.descending else ''}" for by in query.order)
    sql = f"SELECT id,revision,{_content(query.only)} FROM {tables} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - names of ours
    return sql, [*_bound(found), *values, query.limit, query.offset]


def _content(only: tuple[str, ...]) -> str:
    """The body, or an array of the values of `only`: decoding what nobody wants takes longer than finding it."""
    twice = only if len(only) > 1 else only * 2  # SQLite makes an array of two and more
    return f"json_extract(body,{','.join(repr(path_of(field)) for field in twice)})" if only else "body"


def count(collection: Collection, where: Sequence[Condition], found: Hits | None = None) -> Clause:
    tables, names = _tables(collection, where, (), found)
    text, values = _all(_conditions(collection, where, names, found))
    return f"SELECT count(*) FROM {tables} WHERE {text}", [*_bound(found), *values]  # noqa: S608 - names are checked


def _bound(found: Hits | None) -> list[Scalar]:
    return [json.dumps(found.rows)] if found else []


def _tables(
    collection: Collection, where: Sequence[Condition], sort: Sequence[SortBy], found: Hits | None
) -> tuple[str, Names]:
    """What to read from. Few hits come first; else with `Has` its member table, one that also has the order if there
    is one. CROSS JOIN keeps the planner from turning them round."""
    if found:
        return f"(SELECT value AS hit FROM json_each(?)) CROSS JOIN {collection.name} ON row=hit", {}  # noqa: S608 - names of ours
    wanted = next((each for each in where if isinstance(each, Has)), None)
    if wanted is None:
        return collection.name, {}
    order = tuple(by.field for by in sort)
    usable = member_indexes(collection, where, wanted.field)
    behind = {index: (*index.fields[index.fields.index(wanted.field) + 1 :], "id") for index in usable}
    index = next((index for index in usable if behind[index][: len(order)] == order), usable[0])
    names = {"id": "doc", **{field: f"k{number}" for number, field in enumerate(index.fields)}}
    return f'"{member_table(collection, index)}" CROSS JOIN {collection.name} ON row=owner', names


def _value(field: str, names: Names) -> str:
    return names.get(field) or value_of(field)


def _all(clauses: Sequence[Clause]) -> Clause:
    return " AND ".join(text for text, _ in clauses) or "1", [value for _, values in clauses for value in values]


def _conditions(collection: Collection, where: Sequence[Condition], names: Names, found: Hits | None) -> list[Clause]:
    """The first `Has` starts from its table, if there is one; others look into the documents at hand."""
    first = next((each for each in where if isinstance(each, Has) and each.field in names), None)
    return [
        (f"{names[first.field]}=?", [first.text]) if first and each is first else condition(collection, each, names)
        for each in where
        if not (found and each is found.of)
    ]


def condition(collection: Collection, wanted: Condition, names: Names) -> Clause:
    match wanted:
        case Equals(field, value):
            return _equals(field, value, names)
        case AnyOf(field, values):
            return _any_of(field, values, names)
        case Contains():
            matching, texts = _matches(collection, wanted)
            return f"row IN (SELECT rowid FROM {_text_table(collection)} WHERE {matching})", texts  # noqa: S608 - names of ours
        case Between(field, low, high):
            return _between(_value(field, names), low, high)
        case Has(field, text):
            return f"EXISTS (SELECT 1 FROM json_each(body,'{path_of(field)}') WHERE value=?)", [text]  # noqa: S608 - names of ours


def _equals(field: str, value: Scalar, names: Names) -> Clause:
    same = f"{_value(field, names)}={_NOTHING if value is None else '?'}"
    values: list[Scalar] = [] if value is None else [value]
    # json_extract gives 1 for true: only these few values need a second look.
    if isinstance(value, bool):
        return f"({same} AND json_type(body,'$.{field}')='{str(value).lower()}')", values
    if field != "id" and isinstance(value, int | float) and value in (0, 1):
        return f"({same} AND json_type(body,'$.{field}') IN ('integer','real'))", values
    return same, values


def _any_of(field: str, wanted: tuple[Scalar, ...], names: Names) -> Clause:
    if all(isinstance(value, str) for value in wanted):
        return f"{_value(field, names)} IN ({','.join('?' * len(wanted))})", list(wanted)
    text, values = zip(*(_equals(field, value, names) for value in wanted), strict=True)
    return f"({' OR '.join(text)})", [value for each in values for value in each]


def _text_table(collection: Collection) -> str:
    return f"{collection.name}__text"


def _matches(collection: Collection, wanted: Contains) -> Clause:
    column = f"c{collection.substrings.index(wanted.field)}"
    if len(wanted.text) < _TRIGRAM:  # too short for trigrams: read all the texts, which are far less than the documents
        return f"instr(lower_text({column}),lower_text(?))>0", [wanted.text]
    phrase = wanted.text.replace('"', '""')
    return f"{_text_table(collection)} MATCH ?", [f'{column}:"{phrase}"']


def _between(value: str, low: str | int | float | None, high: str | int | float | None) -> Clause:
    texts = isinstance(low, str) or isinstance(high, str)
    least, most = ("''", "x''") if texts else (_NOTHING, "''")  # SQLite orders numbers < texts < blobs
    above = f"{value}>=?" if low is not None else f"{value}{'>=' if texts else '>'}{least}"
    below = f"{value}<=?" if high is not None else f"{value}<{most}"
    ends: list[Scalar] = [end for end in (low, high) if end is not None]
    return f"{above} AND {below}", ends


def _after(order: Sequence[SortBy], position: Sequence[Scalar], names: Names) -> Clause:
    """Everything behind a position. The first, redundant bound is the one that an index can start from."""
    values: list[Scalar] = [float("-inf") if value is None else value for value in position]
    text, used = "0", list[Scalar]()
    for by, value in reversed(list(zip(order, values, strict=True))):
        field, than = _value(by.field, names), "<" if by.descending else ">"
        text, used = f"({field}{than}? OR ({field}=? AND {text}))", [value, value, *used]
    first = order[0]
    return f"{_value(first.field, names)}{'<=' if first.descending else '>='}? AND {text}", [values[0], *used]
