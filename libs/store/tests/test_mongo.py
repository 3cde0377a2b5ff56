"""What only the MongoDB adapter promises: its indexes, and a prompt answer when nobody is there."""

import pytest

from modelyard_store import mongo_query
from modelyard_store.documents import Collection, Equals, Query, Sort, StoreUnavailable
from modelyard_store.mongo import MongoDocuments, index_used

NEWEST = (Sort("created_at", descending=True),)


@pytest.mark.servers
async def test_every_declared_index_is_there(mongo_uri: str, versions: Collection, mongo_is_real: bool) -> None:
    documents = MongoDocuments(mongo_uri, "store_indexes")
    await documents.open([versions])
    listed = (await documents._database["versions"].index_information()).values()
    keys = {tuple(key for key, _ in each["key"]): bool(each.get("unique")) for each in listed}
    assert keys == {
        ("_id",): keys[("_id",)],
        ("body.outbox", "id"): False,
        ("body.project", "body.name", "id"): False,
        ("unique.u0",): True,
        ("body.project", "body.created_at", "id"): False,
        ("body.project", "body.state", "body.created_at", "id"): False,
        ("body.project", "body.flag", "id"): False,
        ("body.project", "body.owner.team", "body.size", "id"): False,
        ("body.request_key", "id"): False,
        ("unique.u5",): True,
        ("body.project", "body.labels", "body.created_at", "id"): False,
        ("body.project", "body.labels", "body.state", "id"): False,
        ("body.project", "numbers_metrics.name", "numbers_metrics.number"): False,
    }
    if mongo_is_real:  # the stand-in explains itself in other words
        used = await documents.explain(versions, Query((Equals("project", "p"),), NEWEST))
        assert used == "project,created_at"
        assert await documents.explain(versions, Query((Equals("flag", True),))) is None
    await documents.close()


def test_a_query_asks_for_exactly_an_index_prefix_and_its_order() -> None:
    query = Query((Equals("project", "p"),), NEWEST, after=(5, "x"))
    assert mongo_query.order(query) == [("body.created_at", -1), ("id", -1)]
    assert mongo_query.selection(query) == {
        "$and": [
            {"body.project": "p"},
            {
                "$or": [
                    {"body.created_at": {"$lt": 5}},
                    {"body.created_at": {"$in": [None]}},
                    {"body.created_at": 5, "id": {"$lt": "x"}},
                ]
            },
        ]
    }


def test_explaining_a_plan_of_mongodb_7() -> None:
    scan = {"stage": "IXSCAN", "indexName": "project,created_at", "direction": "backward"}
    fetch = {"stage": "LIMIT", "inputStage": {"stage": "FETCH", "inputStage": scan}}
    assert index_used(fetch) == "project,created_at"
    assert index_used({"queryPlan": {"stage": "SORT", "inputStage": fetch}}) == "project,created_at + sort"
    assert index_used({"stage": "SUBPLAN", "inputStage": {"stage": "OR", "inputStages": [fetch]}}) is not None
    assert index_used({"stage": "COLLSCAN"}) is None


async def test_nobody_there(versions: Collection) -> None:
    documents = MongoDocuments("mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300", "x")
    with pytest.raises(StoreUnavailable):
        await documents.open([versions])
    assert "127.0.0.1:9" in str(await documents.check())
    await documents.close()
