"""Queries of the port as SQL over JSON text. Pure; called by `sqlite` and, for the expressions, `sqlite_schema`.

An indexed expression is never NULL (a missing value is minus infinity, which no JSON number is), so that sorting,
paging and equality need no special case and every one of them can run along an index. Unique indexes use the bare
expression instead: SQLite does not compare NULLs there, which is the rule of the port.
"""

from collections.abc import Iterable, Sequence

from modelyard_store.documents import AnyOf, Between, Collection, Condition, Contains, Equals, Query, Scalar
from modelyard_store.documents import Sort as SortBy

_NOTHING = "-9e999"
_TRIGRAM = 3
Clause = tuple[str, list[Scalar]]


def raw(field: str) -> str:
    path = ".".join(f'"{name}"' for name in field.split("."))
    return f"json_extract(body,'$.{path}')"


def value_of(field: str) -> str:
    return "id" if field == "id" else f"ifnull({raw(field)},{_NOTHING})"


OUTBOX = f"{raw('outbox')}>0"


def select(collection: Collection, query: Query) -> Clause:
    clauses = [condition(collection, each) for each in query.where]
    if query.after is not None:
        clauses.append(_after(query.order, query.after))
    where, values = _all(clauses)
    order = ",".join(f"{value_of(by.field)}{' DESC' if by.descending else ''}" for by in query.order)
    sql = f"SELECT id,revision,body FROM {collection.name} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
    return sql, [*values, query.limit, query.offset]


def count(collection: Collection, where: Iterable[Condition]) -> Clause:
    text, values = _all([condition(collection, each) for each in where])
    return f"SELECT count(*) FROM {collection.name} WHERE {text}", values  # noqa: S608 - names are checked


def _all(clauses: Sequence[Clause]) -> Clause:
    return " AND ".join(text for text, _ in clauses) or "1", [value for _, values in clauses for value in values]


def condition(collection: Collection, wanted: Condition) -> Clause:
    match wanted:
        case Equals(field, value):
            return _equals(field, value)
        case AnyOf(field, values):
            return _any_of(field, values)
        case Contains(field, text):
            return _contains(collection, field, text)
        case Between(field, low, high):
            return _between(field, low, high)


def _equals(field: str, value: Scalar) -> Clause:
    same = f"{value_of(field)}={_NOTHING if value is None else '?'}"
    values: list[Scalar] = [] if value is None else [value]
    # json_extract gives 1 for true: only these few values need a second look.
    if isinstance(value, bool):
        return f"({same} AND json_type(body,'$.{field}')='{str(value).lower()}')", values
    if field != "id" and isinstance(value, int | float) and value in (0, 1):
        return f"({same} AND json_type(body,'$.{field}') IN ('integer','real'))", values
    return same, values


def _any_of(field: str, wanted: tuple[Scalar, ...]) -> Clause:
    if all(isinstance(value, str) for value in wanted):
        return f"{value_of(field)} IN ({','.join('?' * len(wanted))})", list(wanted)
    text, values = zip(*(_equals(field, value) for value in wanted), strict=True)
    return f"({' OR '.join(text)})", [value for each in values for value in each]


def _contains(collection: Collection, field: str, text: str) -> Clause:
    if len(text) < _TRIGRAM:  # too short for trigrams: read what the other conditions leave
        return f"instr(lower_text({raw(field)}),lower_text(?))>0", [text]
    column = f"c{collection.substrings.index(field)}"
    phrase = text.replace('"', '""')
    name = f"{collection.name}__text"
    return f"row IN (SELECT rowid FROM {name} WHERE {name} MATCH ?)", [f'{column}:"{phrase}"']  # noqa: S608


def _between(field: str, low: str | int | float | None, high: str | int | float | None) -> Clause:
    texts = isinstance(low, str) or isinstance(high, str)
    least, most = ("''", "x''") if texts else (_NOTHING, "''")  # SQLite orders numbers < texts < blobs
    value = value_of(field)
    above = f"{value}>=?" if low is not None else f"{value}{'>=' if texts else '>'}{least}"
    below = f"{value}<=?" if high is not None else f"{value}<{most}"
    ends: list[Scalar] = [end for end in (low, high) if end is not None]
    return f"{above} AND {below}", ends


def _after(order: Sequence[SortBy], position: Sequence[Scalar]) -> Clause:
    """Everything behind a position. The first, redundant bound is the one that an index can start from."""
    values: list[Scalar] = [float("-inf") if value is None else value for value in position]
    text, used = "0", list[Scalar]()
    for by, value in reversed(list(zip(order, values, strict=True))):
        field, than = value_of(by.field), "<" if by.descending else ">"
        text, used = f"({field}{than}? OR ({field}=? AND {text}))", [value, value, *used]
    first = order[0]
    return f"{value_of(first.field)}{'<=' if first.descending else '>='}? AND {text}", [values[0], *used]
