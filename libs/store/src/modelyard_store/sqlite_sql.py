"""Queries of the port as SQL over JSON text. Pure; called by `sqlite` and, for the expressions, `sqlite_schema`.

An indexed expression is never NULL (a missing value is minus infinity, which no JSON number is), so that sorting,
paging and equality need no special case and every one of them can run along an index. Unique indexes use the bare
expression instead: SQLite does not compare NULLs there, which is the rule of the port.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    Measures,
    Query,
    Scalar,
    member_indexes,
    number_index,
)
from modelyard_store.documents import Sort as SortBy

_NOTHING = "-9e999"
_TRIGRAM = 3
Clause = tuple[str, list[Scalar]]
Names = Mapping[str, str]
"""Fields that a member table has as columns; see `sqlite_members`."""


def path_of(field: str) -> str:
    return "$." + ".".join(f'"{name}"' for name in field.replace("'", "''").split("."))


def raw(field: str) -> str:
    return f"json_extract(body,'{path_of(field)}')"


def value_of(field: str) -> str:
    return "id" if field == "id" else f"ifnull({raw(field)},{_NOTHING})"


def member_table(collection: Collection, index: Index) -> str:
    return f"{collection.name} members ({','.join(index.fields)})"


def by_document(collection: Collection, index: Index) -> str:
    """The index by which the number of one document is looked up."""
    return f"{member_table(collection, index)} by document"


OUTBOX = f"{raw('outbox')}>0"


FEW: Final = 500
"""Documents for which a condition holds, up to which reading each of them is cheaper than walking along an index."""
FEW_ASIDE: Final = 2000
"""The same where nothing of their bodies is needed."""
Findable = Contains | Has | Measures | Between


@dataclass(frozen=True, slots=True)
class Hits:
    """What finds all documents for which one of a query's conditions holds: `hit` is a document's row and, where the
    index tells it, `doc` its id."""

    of: Condition
    sql: str
    values: tuple[Scalar, ...]

    @property
    def names(self) -> Names:
        return {} if isinstance(self.of, Contains) else {"id": "hits.doc"}

    def count(self) -> Clause:
        return f"SELECT count(*) FROM ({self.sql})", [*self.values]  # noqa: S608 - names of ours


def findable(collection: Collection, where: Sequence[Condition]) -> tuple[list[Findable], list[Findable]]:
    """The conditions that have an index of their own, and those whose index costs more to ask. A range alone is as well
    walked along its index."""
    texts = sorted((each for each in where if isinstance(each, Contains)), key=lambda each: -len(each.text))
    listed = [each for each in where if isinstance(each, Measures | Has)]
    ranges = [each for each in where if isinstance(each, Between) and _has_index(collection, where, each.field)]
    return [*listed, *(ranges if texts or listed else [])], [*texts]


def _has_index(collection: Collection, where: Sequence[Condition], field: str) -> bool:
    same = {each.field for each in where if isinstance(each, Equals)}
    places = ((index, index.fields.index(field)) for index in collection.indexes if field in index.fields)
    return any(same.issuperset(index.fields[:place]) for index, place in places)


def hits(collection: Collection, where: Sequence[Condition], wanted: Findable, most: int) -> Hits:
    """Finds `most` + 1 if there are more."""
    if isinstance(wanted, Between):
        ends = [condition(collection, each, {}) for each in where if isinstance(each, Equals) or each == wanted]
        found, (text, values) = f"row AS hit,id AS doc FROM {collection.name}", _all(ends)
    elif isinstance(wanted, Contains):
        found, (text, values) = f"rowid AS hit FROM {_text_table(collection)}", _matches(collection, wanted)
    else:
        index = _index_of(collection, where, wanted)
        found = f'owner AS hit,doc FROM "{member_table(collection, index)}"'
        text, values = _all([*_before(index, where, wanted.field), _in_table(index, wanted)])
    return Hits(wanted, f"SELECT {found} WHERE {text} LIMIT {most + 1}", tuple(values))


def _before(index: Index, where: Sequence[Condition], field: str) -> list[Clause]:
    """What the query says of the fields before this one, about the columns of the index's table."""
    same = {each.field: each.value for each in where if isinstance(each, Equals)}
    return [(f"k{number}=?", [same[name]]) for number, name in enumerate(index.fields[: index.fields.index(field)])]


def _index_of(collection: Collection, where: Sequence[Condition], wanted: Has | Measures) -> Index:
    """`rules.check_declared` has seen to it that there is one."""
    if isinstance(wanted, Has):
        return member_indexes(collection, where, wanted.field)[0]
    index = number_index(collection, where, wanted.field)
    assert index is not None  # noqa: S101 - for the type checker
    return index


def _in_table(index: Index, wanted: Has | Measures) -> Clause:
    key = f"k{index.fields.index(wanted.field)}=?"
    if isinstance(wanted, Has):
        return key, [wanted.text]
    bounds, ends = _between("number", wanted.low, wanted.high)
    return f"{key} AND {bounds}", [wanted.name, *ends]


def select(collection: Collection, query: Query, found: Hits | None = None) -> Clause:
    start = _start(collection, query.where, query.sort, found, aside=kept_aside(collection, query.only))
    clauses = _conditions(collection, query.where, start, found)
    if query.after is not None:
        clauses.append(_after(query.order, query.after, start.names))
    where, values = _all(clauses)
    order = ",".join(f"{_value(by.field, start.names)}{' DESC' if by.descending else ''}" for by in query.order)
    content, beside = _content(collection, query.only)
    sql = f"SELECT id,revision,{content} FROM {start.tables}{beside} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - names of ours
    return sql, [*start.values, *values, query.limit, query.offset]


def kept_aside(collection: Collection, only: tuple[str, ...]) -> bool:
    return bool(only) and set(only).issubset(collection.aside)


def aside_table(collection: Collection) -> str:
    return f"{collection.name}__aside"


def aside_columns(collection: Collection, only: tuple[str, ...]) -> list[str]:
    return [f"a{collection.aside.index(field)}" for field in only]


def _content(collection: Collection, only: tuple[str, ...]) -> tuple[str, str]:
    """The body, an array of the values of `only`, or these one by one where they are kept aside, and what to read
    beside the documents then: decoding what nobody wants takes longer than finding it."""
    if kept_aside(collection, only):
        table = aside_table(collection)
        return ",".join(aside_columns(collection, only)), f" CROSS JOIN {table} ON whole={collection.name}.row"
    twice = only if len(only) > 1 else only * 2  # SQLite makes an array of two and more
    return (f"json_extract(body,{','.join(repr(path_of(field)) for field in twice)})" if only else "body"), ""


def count(collection: Collection, where: Sequence[Condition], found: Hits | None = None) -> Clause:
    if _is_counted(collection, where):
        shown = dict(zip(collection.aside, aside_columns(collection, collection.aside), strict=True))
        text, values = _all([condition(collection, each, shown) for each in where])
        return f"SELECT count(*) FROM {aside_table(collection)} WHERE {text}", values  # noqa: S608 - names are checked
    start = _start(collection, where, (), found)
    text, values = _all(_conditions(collection, where, start, found, walking=False))
    return f"SELECT count(*) FROM {start.tables} WHERE {text}", [*start.values, *values]  # noqa: S608 - names are checked


def _is_counted(collection: Collection, where: Sequence[Condition]) -> bool:
    """By texts only: of other values the documents know the type, see `_equals`."""
    asked = {each.field for each in where if isinstance(each, Equals) and isinstance(each.value, str)}
    return len(asked) == len(where) > 0 and asked == {*collection.counted[: len(asked)]}


@dataclass(frozen=True, slots=True)
class _Start:
    """What a query reads from, and the condition that this is about: its own table has its fields as columns."""

    tables: str
    names: Names = field(default_factory=dict)
    by: Has | Measures | None = None
    index: Index | None = None
    values: tuple[Scalar, ...] = ()


def _start(
    collection: Collection,
    where: Sequence[Condition],
    sort: Sequence[SortBy],
    found: Hits | None,
    *,
    aside: bool = False,
) -> _Start:
    """Few hits come first; else a table of texts or numbers, one that also has the order if there is one. CROSS JOIN
    keeps the planner from turning them round. What is kept aside is read there, except where an index over the
    documents themselves is walked."""
    shown = dict(zip(collection.aside, aside_columns(collection, collection.aside), strict=True)) if aside else {}
    if found:
        tables = f"({found.sql}) AS hits CROSS JOIN {collection.name} ON row=hit"
        return _Start(tables, {**shown, **found.names}, values=found.values)
    by = _leading(where, sort)
    if by is None:
        return _Start(collection.name)
    index = _index_of(collection, where, by)
    if isinstance(by, Has):
        order = tuple(each.field for each in sort)
        usable = member_indexes(collection, where, by.field)
        behind = {each: (*each.fields[each.fields.index(by.field) + 1 :], "id") for each in usable}
        index = next((each for each in usable if behind[each][: len(order)] == order), index)
    table = f'"{member_table(collection, index)}"'
    names = {**shown, "id": f"{table}.doc", **{name: f"{table}.k{number}" for number, name in enumerate(index.fields)}}
    if isinstance(by, Measures):
        names[by.path] = f"{table}.number"
    return _Start(f"{table} CROSS JOIN {collection.name} ON row=owner", names, by, index)


def _leading(where: Sequence[Condition], sort: Sequence[SortBy]) -> Has | Measures | None:
    """The number that orders, else the first text in a list."""
    return orders_by_number(where, sort) or next((each for each in where if isinstance(each, Has)), None)


def orders_by_number(where: Sequence[Condition], sort: Sequence[SortBy]) -> Measures | None:
    return next((each for each in where if isinstance(each, Measures) and sort and each.path == sort[0].field), None)


def _value(field: str, names: Names) -> str:
    return names.get(field) or value_of(field)


def _all(clauses: Sequence[Clause]) -> Clause:
    return " AND ".join(text for text, _ in clauses) or "1", [value for _, values in clauses for value in values]


def _conditions(
    collection: Collection, where: Sequence[Condition], start: _Start, found: Hits | None, *, walking: bool = True
) -> list[Clause]:
    """The one that the query starts from looks into its table. Others are looked up for each document that a walk comes
    to, which ends with the page; whoever counts comes to all, and is told of all for which they hold."""
    clauses: list[Clause] = []
    for each in where:
        if start.by is not None and each == start.by and start.index is not None:
            clauses.append(_in_table(start.index, start.by))
        elif not (found and each == found.of):
            looked_up = _looked_up(collection, where, each, start.names) if walking else None
            clauses.append(looked_up or condition(collection, each, start.names))
    return clauses


def _looked_up(collection: Collection, where: Sequence[Condition], wanted: Condition, names: Names) -> Clause | None:
    """Whether it holds for the document at hand, without reading its body."""
    if isinstance(wanted, Contains):
        column = f"c{collection.substrings.index(wanted.field)}"
        held = f"SELECT instr(lower_text({column}),lower_text(?)) FROM {_text_table(collection)} WHERE rowid=row"  # noqa: S608 - names are checked
        return f"({held})>0", [wanted.text]
    if not isinstance(wanted, Has | Measures):
        return None
    index = _index_of(collection, where, wanted)
    behind = index.fields[index.fields.index(wanted.field) + 1 :]
    ordered = [(f"own.k{index.fields.index(name)}={_value(name, names)}", list[Scalar]()) for name in behind]
    own: list[Clause] = [(f"own.doc={_value('id', names)}", [])]
    text, values = _all([*_before(index, where, wanted.field), *ordered, *own, _in_table(index, wanted)])
    by = f' INDEXED BY "{by_document(collection, index)}"' if isinstance(wanted, Measures) else ""
    return f'EXISTS (SELECT 1 FROM "{member_table(collection, index)}" AS own{by} WHERE {text})', values  # noqa: S608 - as above


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
        case Measures():
            return _between(value_of(wanted.path), wanted.low, wanted.high)
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
