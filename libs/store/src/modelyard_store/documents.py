"""The port to the document store: what a service's `repository.py` may ask of it, whichever database lies behind.

One aggregate is one document, replaced as a whole and only at the revision it was read at. Two adapters, `sqlite` and
`mongo`, pass one contract suite; `modelyard_store.open_documents` picks one by URL. A service declares its collections
with the indexes its queries need, and a condition or sort on an undeclared field is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelyard_contracts.failures import Away

Body = dict[str, Any]
Scalar = str | int | float | bool | None

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class Duplicate(Exception):
    """Another document has this id (`fields == ("id",)`) or these values in the fields of a unique index."""

    def __init__(self, collection: str, fields: tuple[str, ...]) -> None:
        super().__init__(f"{collection}: another document has the same {', '.join(fields)}")
        self.fields = fields


class Stale(Exception):
    """The document was saved or removed by somebody else since it was read."""


class StoreUnavailable(Away):
    """The store cannot be reached or cannot write. The operation may or may not have happened."""

    what = "its document store"


@dataclass(frozen=True, slots=True)
class Index:
    """Dotted fields, all holding scalars; ends implicitly with the id. One of them may be among the collection's
    `members`: the document then stands in the index once for each text in that list. The last may be among its
    `numbers`: it then stands there once for each key of that map, ordered by key and number.

    A unique index counts only documents in which none of its fields is missing or null.
    """

    fields: tuple[str, ...]
    unique: bool = False

    def __post_init__(self) -> None:
        if not self.fields or not all(_FIELD.fullmatch(name) for name in self.fields):
            raise ValueError(f"an index needs dotted field names, not {self.fields}")


@dataclass(frozen=True, slots=True)
class Collection:
    """Declared once, in a service's `repository.py`. Names are shared by all services that use one database.

    `substrings` are the fields that `Contains` may search; `members` those that hold lists of texts, for `Has`;
    `numbers` those that hold maps of names to numbers, for `Measures`. A name holds neither `.`, `$` nor `"`. What is
    `aside` a store may keep a second time: a query for `only` such fields costs less than reading the bodies. Of
    these, `counted` are texts that documents are counted by, the first alone or with those behind it: a count by them
    need not look at the documents.
    """

    name: str
    indexes: tuple[Index, ...] = ()
    substrings: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not all(_FIELD.fullmatch(name) for name in self.substrings):
            raise ValueError(f"collection {self.name!r}: a name is lower_case, a field is dotted names")
        for index in self.indexes:
            several = [name for name in index.fields if name in (*self.members, *self.numbers)]
            if len(several) > 1 or (several and index.unique):
                raise ValueError(f"collection {self.name!r}: an index may hold one list, and must not be unique then")
            if not set(self.numbers).isdisjoint(index.fields[:-1]):
                raise ValueError(f"collection {self.name!r}: a map of numbers comes last in an index")

        if not set(self.counted).issubset(self.aside):
            raise ValueError(f"collection {self.name!r}: what is counted by is kept aside")

    @property
    def fields(self) -> frozenset[str]:
        """Every declared field."""
        return frozenset(name for index in self.indexes for name in index.fields) | frozenset(self.substrings)


@dataclass(frozen=True, slots=True)
class Document:
    """`revision` counts saves from 1. `body` holds JSON values only; instants are integers, ms since 1970 UTC."""

    id: str
    revision: int
    body: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Equals:
    """Same JSON type and value; `None` also finds documents without the field."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class AnyOf:
    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """Case-insensitive substring of a declared text field."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends included; `None` leaves one end open. Compares numbers with numbers or texts with texts."""

    field: str
    low: str | int | float | None = None
    high: str | int | float | None = None


@dataclass(frozen=True, slots=True)
class Has:
    """The list in a member field holds this very text.

    Some index must name this field, and before it only fields that the same query compares with `Equals`: so it costs
    in proportion to the documents that have the text among those, whatever else is stored.
    """

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class Measures:
    """The map in a `numbers` field has a number under this name, between both ends; `None` leaves one end open.

    Some index must end with this field, behind only fields that the same query compares with `Equals`.
    """

    field: str
    name: str
    low: float | None = None
    high: float | None = None

    @property
    def path(self) -> str:
        """What a `Sort` by this number names."""
        return f"{self.field}.{self.name}"


Condition = Equals | AnyOf | Contains | Between | Has | Measures


@dataclass(frozen=True, slots=True)
class Sort:
    """Missing and null come before everything else. A field's values must be of one type, or null.

    `metrics.accuracy` of a `numbers` field takes a query that has a `Measures` for it.
    """

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """All conditions hold. Equal documents are ordered by id, in the direction of the last sort.

    `after` is `position()` of the last document of the page before; unlike `offset` it costs the same on every page.
    `only` names the top-level fields that the bodies need to have, those of the sort among them, when the documents are
    not to be saved again; a store may give more.
    """

    where: tuple[Condition, ...] = ()
    sort: tuple[Sort, ...] = ()
    offset: int = 0
    limit: int = 1000
    after: tuple[Scalar, ...] | None = None
    only: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[Sort, ...]:
        """The sort with the id that makes it total."""
        if self.sort and self.sort[-1].field == "id":
            return self.sort
        return (*self.sort, Sort("id", descending=bool(self.sort) and self.sort[-1].descending))

    def position(self, document: Document) -> tuple[Scalar, ...]:
        """Where the page that ends with this document goes on."""
        return tuple(document.id if by.field == "id" else value_at(document.body, by.field) for by in self.order)


def number_index(collection: Collection, where: Sequence[Condition], field: str) -> Index | None:
    """The index that finds the documents by a number in this field; see `Measures`."""
    same = {each.field for each in where if isinstance(each, Equals)}
    ending = (index for index in collection.indexes if index.fields[-1] == field and field in collection.numbers)
    return next((index for index in ending if same.issuperset(index.fields[:-1])), None)


def member_indexes(collection: Collection, where: Sequence[Condition], field: str) -> list[Index]:
    """The indexes that find the documents which have a text in this member field; see `Has`."""
    same = {each.field for each in where if isinstance(each, Equals)}
    with_field = (index for index in collection.indexes if field in index.fields and field in collection.members)
    return [index for index in with_field if same.issuperset(index.fields[: index.fields.index(field)])]


def value_at(body: Body, dotted: str) -> Any:
    """The value in a dotted field, None where there is none."""
    value: Any = body
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


class Documents(Protocol):
    """Every method may raise StoreUnavailable. A cancelled caller's write happens whole or not at all.

    What no store keeps is refused for good, with `modelyard_contracts.failures.NotStorable`: see `rules`."""

    async def open(self, collections: Sequence[Collection]) -> None:
        """Make the collections and exactly their declared indexes. Once per repository, before anything else."""

    async def add(self, collection: Collection, id: str, body: Body) -> Document:
        """Raises Duplicate and NotStorable."""

    async def get(self, collection: Collection, id: str) -> Document | None: ...

    async def save(self, collection: Collection, document: Document) -> Document:
        """Replace the document if it is still at this revision. Raises Stale, Duplicate and NotStorable."""

    async def remove(self, collection: Collection, document: Document) -> None:
        """Remove the document if it is still at this revision. Raises Stale."""

    async def find(self, collection: Collection, query: Query) -> list[Document]:
        """Raises ValueError for a condition or sort on a field that is not declared."""

    async def count(self, collection: Collection, where: Sequence[Condition]) -> int:
        """Costs time in proportion to the matches."""

    async def with_outbox(self, collection: Collection, limit: int) -> list[Document]:
        """Documents whose `outbox` is above 0, by id. Costs nothing for documents without messages."""

    async def explain(self, collection: Collection, query: Query) -> str | None:
        """For tests: the index that finds the documents, ` + sort` when it does not order them, None for a scan."""

    async def check(self) -> str | None:
        """None when the store takes a write now, else what is wrong. Never raises."""

    async def close(self) -> None: ...
