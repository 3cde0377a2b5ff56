"""Every query has a declared index that finds and orders its documents."""

import pytest

from modelyard_publish import repository
from modelyard_publish.repository import COLLECTIONS, COMPETITIONS, ENTRIES, LISTINGS
from modelyard_store.documents import Collection, Query
from modelyard_store.opening import open_documents

READ = {
    "listings (state,created_at)": (LISTINGS, repository.listed_query(None, 0, 100)),
    "listings (live)": (LISTINGS, repository.live_query("m1")),
    "competitions (created_at)": (COMPETITIONS, repository.newest_query(0, 100)),
    "entries (competition_id,state,score)": (ENTRIES, repository.best_query("co")),
}
COUNTED_OR_SEARCHED = {
    "listings__text": (LISTINGS, repository.listed_query("digits", 0, 100)),
    "entries (competition_id,state,score)": (ENTRIES, repository.entries_query("co")),
    "entries (slot)": (ENTRIES, repository.day_query("co:p:1:")),
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
    assert used.removesuffix(" + sort") == index
