"""Every query has a declared index that finds and orders its documents."""

from typing import Any

import pytest

from modelyard_publish import repository
from modelyard_publish.repository import COLLECTIONS, COMPETITIONS, ENTRIES, LISTINGS, Repository
from modelyard_store.documents import Collection, Query
from modelyard_store.opening import open_documents

READ = {
    "listings (state,created_at)": (LISTINGS, repository.listed_query(None, 0, 100)),
    "listings (live)": (LISTINGS, repository.live_query("m1")),
    "competitions (created_at)": (COMPETITIONS, repository.newest_query(0, 100)),
    "competitions (project,dataset_id,deadline)": (COMPETITIONS, repository.open_query("p1", "d", 1)),
    "entries (competition_id,state,score)": (ENTRIES, repository.best_query("co")),
}
COUNTED_OR_SEARCHED = {
    "listings known rows": (LISTINGS, repository.listed_query("digits", 0, 100)),
    "entries (slot)": (ENTRIES, repository.day_query("co:p:1:")),
    "entries (slot) of a competition": (ENTRIES, repository.entries_query("co")),
}


async def explained(collection: Collection, query: Query, folder: object) -> str | None:
    documents = open_documents(f"sqlite:///{folder}/publish.db")
    await documents.open(COLLECTIONS)
    try:
        return await documents.explain(collection, query)
    finally:
        await documents.close()


@pytest.mark.parametrize("index", READ)
async def test_a_query_is_found_and_ordered_by_its_index(index: str, tmp_path: object) -> None:
    assert await explained(*READ[index], tmp_path) == index


@pytest.mark.parametrize("index", COUNTED_OR_SEARCHED)
async def test_a_count_or_a_search_is_found_by_its_index(index: str, tmp_path: object) -> None:
    used = await explained(*COUNTED_OR_SEARCHED[index], tmp_path)
    assert used is not None
    assert used.removesuffix(" + sort") == index.removesuffix(" of a competition")


async def test_documents_from_before_refusals_were_kept_are_read(document_url: str) -> None:
    documents = open_documents(document_url)
    await documents.open(COLLECTIONS)
    names = {"project": "p1", "model_id": "m1", "model_name": "digits", "model_version": "0.0.1"}
    listing = {"listing_id": "l", "title": "T", "description": "", "state": "listed", "live": "m1"}
    listing |= {"created_at": 1, "created_by": "alice", "request_digest": ""}
    entry = {"entry_id": "e", "competition_id": "co", "artifact_id": "a", "slot": "co:p1:0:0", "state": "rejected"}
    entry |= {"score": None, "reason": "crashed", "submitted_at": 1, "submitted_by": "alice"}
    try:
        await documents.add(LISTINGS, "l", {**names, **listing})
        await documents.add(ENTRIES, "e", {**names, **entry})
        kept = Repository(documents, lambda: None, lambda: 0)
        found = await kept.listings.get("p1", "l")
        assert found is not None
        assert (found.state, found.code, found.reason) == ("listed", None, None)
        assert (await kept.newest_listings(None, 0, 10))[0] == 1
        judged = await kept.entries.get("p1", "e")
        assert judged is not None
        assert (judged.state, judged.code, judged.reason) == ("rejected", None, "crashed")
        assert await kept.entries_in("co") == 1
    finally:
        await documents.close()


async def test_entries_of_another_competition_are_not_counted(yard: Any) -> None:
    yard.has_version()
    first, second = await yard.open(), await yard.open(title="Second")
    await yard.enter(first)
    assert (await yard.repository.entries_in(first), await yard.repository.entries_in(second)) == (1, 0)
