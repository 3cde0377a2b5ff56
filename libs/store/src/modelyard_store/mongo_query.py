"""Queries of the port in MongoDB's words. Pure; called by `mongo` only.

A stored document is `{_id, id, revision, body, unique, numbers_…}`. `id` repeats `_id` because an index that ends with
`_id` is not taken by every server that speaks this protocol; `unique` holds one text per unique index whose fields all
have a value, so that a plain partial index enforces the rule of the port (MongoDB itself counts a missing field as a
value). `numbers_…` repeats a map of numbers as a list of `{name, number}`, since one index over that list serves every
name.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard_store.documents import (
    AnyOf,
    Between,
    Body,
    Collection,
    Condition,
    Contains,
    Document,
    Equals,
    Has,
    Measures,
    Query,
    Scalar,
    Sort,
    value_at,
)

Filter = dict[str, Any]


def stored(collection: Collection, document: Document) -> Body:
    unique = {
        str(number): json.dumps([value_at(document.body, name) for name in index.fields], ensure_ascii=False)
        for number, index in enumerate(collection.indexes)
        if index.unique and all(value_at(document.body, name) is not None for name in index.fields)
    }
    return {
        "_id": document.id,
        "id": document.id,
        "revision": document.revision,
        "body": document.body,
        **({"unique": {f"u{number}": values for number, values in unique.items()}} if unique else {}),
        **{_pairs(field): _named(value_at(document.body, field) or {}) for field in collection.numbers},
    }


def document(found: Body) -> Document:
    return Document(found["_id"], found["revision"], found["body"])


def indexes(collection: Collection) -> dict[tuple[str, ...], dict[str, Any]]:
    """Keys and options of every index."""
    wanted: dict[tuple[str, ...], dict[str, Any]] = {
        ("body.outbox", "id"): {"name": "outbox", "partialFilterExpression": {"body.outbox": {"$gt": 0}}}
    }
    for number, index in enumerate(collection.indexes):
        last = index.fields[-1]
        if last in collection.numbers:
            keys = (*map(_path, index.fields[:-1]), f"{_pairs(last)}.name", f"{_pairs(last)}.number")
            wanted[keys] = {"name": ",".join(index.fields)}
            continue
        wanted[*map(_path, index.fields), "id"] = {"name": ",".join(index.fields)}
        if index.unique:
            key = f"unique.u{number}"
            only = {key: {"$exists": True}}
            wanted[(key,)] = {"name": f"unique_u{number}", "unique": True, "partialFilterExpression": only}
    return wanted


def conditions(where: Sequence[Condition]) -> Filter:
    return {"$and": [_condition(each) for each in where]} if where else {}


def selection(query: Query) -> Filter:
    parts = [_condition(each) for each in query.where]
    if query.after is not None:
        parts.append(_after(query.order, query.after))
    return {"$and": parts} if parts else {}


def order(query: Query) -> list[tuple[str, int]]:
    return [(_path(by.field), -1 if by.descending else 1) for by in query.order]


def _pairs(field: str) -> str:
    return f"numbers_{field.replace('.', '_')}"


def _named(numbers: Mapping[str, float]) -> list[Body]:
    return [{"name": name, "number": number} for name, number in numbers.items()]


def _path(field: str) -> str:
    return "id" if field == "id" else f"body.{field}"


def _same(field: str, value: Scalar) -> Filter:
    # Means the same as a bare null, which nx-27017 loses inside $and and $or.
    return {_path(field): {"$in": [None]} if value is None else value}


def _condition(wanted: Condition) -> Filter:
    match wanted:
        case Equals(field, value):
            return _same(field, value)
        case AnyOf(field, values):
            return {_path(field): {"$in": list(values)}}
        case Has(field, text):
            return {_path(field): text}  # an index over a list has one entry for each of its elements
        case Contains(field, text):
            return {_path(field): {"$regex": re.escape(text), "$options": "i"}}
        case Measures(field, name, low, high):
            bounds = {"$gte": float("-inf") if low is None else low, "$lte": float("inf") if high is None else high}
            return {_pairs(field): {"$elemMatch": {"name": name, "number": bounds}}}
        case Between(field, low, high):
            texts = isinstance(low, str) or isinstance(high, str)
            low = low if low is not None else ("" if texts else float("-inf"))
            above: Filter = {_path(field): {"$gte": low}}
            return above if high is None else {_path(field): {"$gte": low, "$lte": high}}


def _after(sorts: Sequence[Sort], position: Sequence[Scalar]) -> Filter:
    """Everything behind a position: one branch per sort field, each with the fields before it unchanged."""
    branches: list[Filter] = []
    same: Filter = {}
    for by, value in zip(sorts, position, strict=True):
        branches += [same | behind for behind in _behind(_path(by.field), value, by.descending)]
        same = same | _same(by.field, value)
    return {"$or": branches}


def _behind(path: str, value: Scalar, descending: bool) -> list[Filter]:
    """MongoDB compares within one type only, so null, which sorts first, needs its own branch."""
    if value is None:
        return [] if descending else [{path: {"$ne": None}}]
    if not descending:
        return [{path: {"$gt": value}}]
    return [{path: {"$lt": value}}, *([{path: {"$in": [None]}}] if path != "id" else [])]
