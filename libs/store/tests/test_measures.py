"""Numbers by name: found and ordered by an index, on both stores, and joined with whatever else is looked for."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from modelyard_contracts.failures import NotStorable
from modelyard_store.documents import (
    Between,
    Body,
    Collection,
    Condition,
    Contains,
    Document,
    Documents,
    Equals,
    Has,
    Index,
    Measures,
    Query,
    Sort,
)
from modelyard_store.sqlite import SqliteDocuments
from modelyard_store.sqlite_sql import FEW, count

MINE = Equals("project", "p")
NEWEST = (Sort("created_at", descending=True),)
BEST = (Sort("metrics.f1", descending=True),)


@pytest.fixture
async def documents(another: Callable[[], Awaitable[Documents]]) -> Documents:
    return await another()


async def found(documents: Documents, versions: Collection, *where: Condition, **query: Any) -> list[str]:
    page = [each.id for each in await documents.find(versions, Query((MINE, *where), **query))]
    if "limit" not in query:
        assert await documents.count(versions, (MINE, *where)) == len(page)
    return page


async def test_numbers_by_name(documents: Documents, versions: Collection) -> None:
    held: list[Any] = [{"f1": 0.5, "auc": 1}, {"f1": 0.9}, {"f1": 1}, {}, None, {"it's odd": -2.5, "f1": -1}]
    for number, metrics in enumerate(held):
        await documents.add(versions, f"d{number}", {"project": "p", "metrics": metrics, "created_at": number})
    await documents.add(versions, "other", {"project": "q", "metrics": {"f1": 0.9}})
    assert await found(documents, versions, Measures("metrics", "f1")) == ["d0", "d1", "d2", "d5"]
    assert await found(documents, versions, Measures("metrics", "f1"), sort=BEST) == ["d2", "d1", "d0", "d5"]
    assert await found(documents, versions, Measures("metrics", "f1", 0.5, 0.9), sort=NEWEST) == ["d1", "d0"]
    assert await found(documents, versions, Measures("metrics", "f1", low=0.9)) == ["d1", "d2"]
    assert await found(documents, versions, Measures("metrics", "f1", high=0)) == ["d5"]
    assert await found(documents, versions, Measures("metrics", "f1"), Measures("metrics", "auc", 1, 1)) == ["d0"]
    assert await found(documents, versions, Measures("metrics", "it's odd", high=0)) == ["d5"]
    assert await found(documents, versions, Measures("metrics", "recall")) == []


async def test_numbers_follow_changes(documents: Documents, versions: Collection) -> None:
    first = await documents.add(versions, "x", {"project": "p", "metrics": {"f1": 0.5, "auc": 0.7}})
    second = await documents.save(versions, replace(first, body={"project": "p", "metrics": {"f1": 0.6}}))
    assert await found(documents, versions, Measures("metrics", "auc")) == []
    assert await found(documents, versions, Measures("metrics", "f1", high=0.55)) == []
    assert await found(documents, versions, Measures("metrics", "f1", low=0.6)) == ["x"]
    third = await documents.save(versions, replace(second, body={"project": "q", "metrics": {"f1": 0.6}}))
    assert await found(documents, versions, Measures("metrics", "f1")) == []
    await documents.remove(versions, third)
    elsewhere = Query((Equals("project", "q"), Measures("metrics", "f1")))
    assert await documents.find(versions, elsewhere) == []


async def test_pages_in_the_order_of_a_number(documents: Documents, versions: Collection) -> None:
    for number in range(30):
        metrics = {"f1": number % 7} if number % 3 else {"auc": 1}
        await documents.add(versions, f"d{number:02}", {"project": "p", "metrics": metrics})
    for sort in (BEST, (Sort("metrics.f1"),)):
        query = Query((MINE, Measures("metrics", "f1")), sort, limit=7)
        everything = await documents.find(versions, replace(query, limit=1000))
        pages: list[Document] = []
        while page := await documents.find(versions, query):
            pages += page
            query = replace(query, after=query.position(page[-1]))
        assert [each.id for each in pages] == [each.id for each in everything]
        values = [each.body["metrics"]["f1"] for each in pages]
        assert values == sorted(values, reverse=sort is BEST)


@pytest.mark.parametrize(
    "metrics", ["text", 5, [1], {"f1": "1"}, {"f1": True}, {"f1": None}, {"a.b": 1}, {"$a": 1}, {'a"b': 1}, {"": 1}]
)
async def test_a_map_of_numbers_holds_nothing_else(documents: Documents, versions: Collection, metrics: Any) -> None:
    with pytest.raises(NotStorable, match="metrics"):
        await documents.add(versions, "x", {"project": "p", "metrics": metrics})


async def test_a_number_is_found_only_behind_equal_fields(documents: Documents, versions: Collection) -> None:
    for query in (
        Query((Measures("metrics", "f1"),)),
        Query((MINE, Measures("metrics", "f.1"))),
        Query((MINE, Measures("state", "f1"))),
        Query((MINE,), BEST),
    ):
        with pytest.raises(ValueError, match="no index declares"):
            await documents.find(versions, query)


def test_an_index_ends_with_a_map_of_numbers() -> None:
    for index in (Index(("metrics", "project")), Index(("project", "metrics"), unique=True)):
        with pytest.raises(ValueError, match="index"):
            Collection("x", (index,), numbers=("metrics",))


@pytest.fixture
async def filled(tmp_path: Path, versions: Collection) -> AsyncIterator[tuple[SqliteDocuments, list[Body]]]:
    """More than FEW documents, so that every way to find them is taken."""
    store = SqliteDocuments(tmp_path / "documents.db")
    await store.open([versions])
    chance = random.Random(7)
    bodies = [
        {
            "project": chance.choice("ppppq"),
            "name": f"n{number:05}",
            "about": " ".join(chance.choices(["net", "tree", "retrained", "手写"], k=3)),
            "created_at": chance.randrange(1000),
            "state": chance.choice(["ready", "failed"]),
            "labels": sorted({chance.choice(["common", "common", "some", "rare"]) for _ in range(2)}),
            "metrics": {name: round(chance.random(), 2) for name in ("f1", "auc") if chance.random() < 0.8},
        }
        for number in range(3 * FEW)
    ]
    await asyncio.gather(*(store.add(versions, str(body["name"]), body) for body in bodies))
    yield store, bodies
    await store.close()


def holds(body: Body, wanted: Condition) -> bool:
    """What each condition means, in the plainest words."""
    match wanted:
        case Equals(field, value):
            return bool(body[field] == value)
        case Contains(field, text):
            return text in body[field]
        case Has(field, text):
            return text in body[field]
        case Measures(field, name, low, high):
            number = body[field].get(name)
            return number is not None and (low is None or number >= low) and (high is None or number <= high)
        case Between(field, low, high):
            return bool(low <= body[field] <= high)
    raise AssertionError(wanted)


def questions() -> Iterator[tuple[Condition, ...]]:
    numbers: list[tuple[Condition, ...]] = [
        (), (Measures("metrics", "f1", 0.99),), (Measures("metrics", "f1", 0.1),),
        (Measures("metrics", "f1", 0.3), Measures("metrics", "auc", high=0.7)),
    ]  # fmt: skip
    labels: list[tuple[Condition, ...]] = [(), (Has("labels", "common"),), (Has("labels", "rare"),)]
    texts: list[tuple[Condition, ...]] = [(), (Contains("about", "net"),), (Contains("about", "手写"),)]
    others: list[tuple[Condition, ...]] = [(), (Between("created_at", 200, 900), Equals("state", "ready"))]
    for parts in product(numbers, labels, texts, others):
        yield tuple(condition for part in parts for condition in part)


async def test_every_mixture_finds_what_its_words_mean(
    filled: tuple[SqliteDocuments, list[Body]], versions: Collection
) -> None:
    store, bodies = filled
    for where in questions():
        whole = (MINE, *where)
        matching = [body for body in bodies if all(holds(body, each) for each in whole)]
        assert await store.count(versions, whole) == len(matching)
        orders: list[tuple[tuple[Sort, ...], Callable[[Body], Any]]] = [(NEWEST, lambda body: body["created_at"])]
        if any(isinstance(each, Measures) for each in where):
            orders.append((BEST, lambda body: body["metrics"]["f1"]))
        for sort, key in orders:
            expected = sorted(matching, key=lambda body: (key(body), body["name"]), reverse=True)
            names = [body["name"] for body in expected[:20]]
            page = await store.find(versions, Query(whole, sort, limit=20))
            assert [each.id for each in page] == names, (where, sort)
            aside = await store.find(versions, Query(whole, sort, limit=20, only=("name", "created_at")))
            assert [each.body["name"] for each in aside] == names, (where, sort)
            if len(expected) > 20:
                further = Query(whole, sort, limit=20, after=Query(whole, sort).position(page[-1]))
                assert [each.id for each in await store.find(versions, further)] == [
                    body["name"] for body in expected[20:40]
                ]


async def test_the_plan_is_that_of_the_number(filled: tuple[SqliteDocuments, list[Body]], versions: Collection) -> None:
    store, _ = filled
    ordered = Query((MINE, Measures("metrics", "f1", 0.1)), BEST)
    assert await store.explain(versions, ordered) == "versions members (project,metrics)"
    rare = Query((MINE, Measures("metrics", "f1", 0.99)), NEWEST)
    assert await store.explain(versions, rare) == "versions known rows + sort"
    body = {"project": "p", "metrics": {"f1": 0.5}}
    document = await store.add(versions, "x", body)
    steps = await _steps(store, lambda: store.save(versions, replace(document, body={"project": "p", "metrics": {}})))
    assert steps < 2_000, "forgetting a number must not walk along all with the same name"


async def test_counting_a_project_looks_at_no_document(
    filled: tuple[SqliteDocuments, list[Body]], versions: Collection
) -> None:
    store, bodies = filled
    mine = sum(body["project"] == "p" for body in bodies)
    assert await store.count(versions, (MINE,)) == mine > 1_000
    sql, _ = count(versions, (MINE,))
    plan = await store._read(f"EXPLAIN QUERY PLAN {sql}", ["p"])
    assert [row[3] for row in plan] == [
        "SEARCH versions__aside USING COVERING INDEX versions__aside counted (a0=?)",
    ]


async def _steps(store: SqliteDocuments, run: Callable[[], Awaitable[Any]]) -> int:
    """Steps of SQLite's virtual machine that a write takes."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    assert store._writer is not None
    await store._writer.submit(lambda connection: connection.set_progress_handler(step, 1))
    await run()
    await store._writer.submit(lambda connection: connection.set_progress_handler(None, 1))
    return count
