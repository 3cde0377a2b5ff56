"""Listings: one per version, seen by all projects, gone with the version."""

import asyncio
from typing import Any

import pytest

from modelyard_contracts.calls import publish
from modelyard_contracts.calls.repeats import KeyReused
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_publish.errors import ListedAlready, NotDownloadable, NotFound, NotPublished


async def test_a_listing_is_seen_by_every_project_with_a_card(yard: Any) -> None:
    yard.has_version()
    listing_id = await yard.list_version(title="手写数字 digits", description="small")
    view = await yard.gallery.get(yard.context("p2"), publish.GetListing(listing_id=listing_id))
    assert (view.title, view.project, view.created_by, view.created_at) == ("手写数字 digits", "p1", "alice", yard.now)
    assert view.card.startswith("# 手写数字 digits\n\n> small\n\n| fact | value |")
    assert await yard.listings() == [listing_id]
    assert await yard.said_types() == ["publication.listed"]
    assert yard.nudges == 1


async def test_the_title_is_name_and_version_when_none_is_given(yard: Any) -> None:
    yard.has_version()
    await yard.list_version()
    said = (await yard.said())[0]
    assert (said.data["title"], said.project, said.correlationid) == ("digits 0.0.1", "p1", "c-1")


async def test_the_same_listing_again_is_found_another_refused(yard: Any) -> None:
    yard.has_version()
    listing_id = await yard.list_version(title="One")
    assert await yard.list_version(title="One") == listing_id
    with pytest.raises(ListedAlready, match="as 'One'"):
        await yard.list_version(title="Another")
    assert await yard.said_types() == ["publication.listed"]


async def test_many_at_once_make_one_listing(yard: Any) -> None:
    yard.has_version()
    assert len(set(await asyncio.gather(*(yard.list_version() for _ in range(20))))) == 1
    assert await yard.said_types() == ["publication.listed"]


async def test_one_key_makes_one_listing_even_after_it_was_withdrawn(yard: Any) -> None:
    yard.has_version()
    made = set(await asyncio.gather(*(yard.list_version(key="k", title="One") for _ in range(5))))
    assert len(made) == 1
    await yard.withdraw(made.pop())
    await yard.list_version(key="k", title="One")
    assert await yard.listings() == []
    with pytest.raises(KeyReused):
        await yard.list_version(key="k", title="Two")
    yard.has_version("m2", project="p2")
    assert await yard.list_version("m2", project="p2", key="k")  # the key is the project's own


@pytest.mark.parametrize("status", ["publishing", "failed"])
async def test_only_a_published_version_is_listed(yard: Any, status: str) -> None:
    yard.has_version(model_status=status)
    with pytest.raises(NotPublished, match=status):
        await yard.list_version()
    assert await yard.said() == []


async def test_another_projects_version_cannot_be_listed(yard: Any) -> None:
    yard.has_version(project="p2")
    with pytest.raises(Failure) as refused:
        await yard.list_version()
    assert refused.value.kind is FailureKind.NOT_FOUND


async def test_only_its_own_project_withdraws_a_listing(yard: Any) -> None:
    yard.has_version()
    listing_id = await yard.list_version()
    with pytest.raises(NotFound):
        await yard.withdraw(listing_id, project="p2")
    await yard.withdraw(listing_id)
    await yard.withdraw(listing_id)
    assert await yard.listings() == []
    assert await yard.said_types() == ["publication.listed", "publication.withdrawn"]
    for read in (yard.gallery.get, yard.gallery.files):
        with pytest.raises(NotFound):
            await read(yard.context(), publish.GetListing(listing_id=listing_id))
    with pytest.raises(NotFound):
        await yard.withdraw("missing")


async def test_listed_again_it_is_another_listing(yard: Any) -> None:
    """Whoever settled the first one's end must not take the second one for it."""
    yard.has_version()
    first = await yard.list_version()
    await yard.withdraw(first)
    second = await yard.list_version(title="Back again")
    assert second != first
    assert await yard.listings() == [second]


async def test_files_come_in_the_name_of_the_owner(yard: Any) -> None:
    yard.has_version()
    listing_id = await yard.list_version()
    links = await yard.gallery.files(yard.context("p2", actor="eve"), publish.GetListingFiles(listing_id=listing_id))
    assert [link.path for link in links.files] == ["model/digits.onnx"]
    subject, context = yard.others.asked[-1]
    assert subject == "modelyard.rpc.version.files"
    assert (context.project, context.actor, context.correlationid) == ("p1", "service:publish", "c-1")


async def test_what_automatic_learning_made_is_never_downloadable(yard: Any) -> None:
    yard.has_version(source_type="auto")
    listing_id = await yard.list_version()
    for project in ("p1", "p2"):
        with pytest.raises(NotDownloadable):
            await yard.gallery.files(yard.context(project), publish.GetListingFiles(listing_id=listing_id))


async def test_a_deleted_version_takes_its_listing_along_and_loses_no_message(yard: Any, facts: Any) -> None:
    yard.has_version()
    await yard.list_version()  # its message still waits in the outbox
    yard.others.versions.clear()
    await yard.tell(facts.deleted())
    assert await yard.listings() == []
    assert await yard.said_types() == ["publication.listed", "publication.withdrawn"]


async def test_deleting_another_version_changes_nothing(yard: Any, facts: Any) -> None:
    yard.has_version()
    listing_id = await yard.list_version()
    await yard.tell(facts.deleted("m2"))
    await yard.tell(facts.deleted("m1"), project="p2")
    assert await yard.listings() == [listing_id]


async def test_a_version_deleted_while_it_is_listed_leaves_no_listing(yard: Any, facts: Any) -> None:
    """The event came before the listing was saved, so only a second look can find out."""
    yard.has_version()

    async def delete() -> None:
        await yard.tell(facts.deleted())
        yard.others.versions = _AnswersOnce(yard.others.versions)

    yard.others.before_answer = delete
    with pytest.raises(NotFound):
        await yard.list_version()
    assert await yard.listings() == []
    assert await yard.said_types() == ["publication.listed", "publication.withdrawn"]


async def test_pages_are_newest_first_and_searched_by_title(yard: Any) -> None:
    made = []
    for number in range(5):
        yard.has_version(f"m{number}")
        yard.now += 1
        made.append(await yard.list_version(f"m{number}", title=f"数字模型 {number}"))
    assert await yard.listings() == made[::-1]
    assert await yard.listings(offset=1, limit=2) == [made[3], made[2]]
    assert await yard.listings(text="字模") == made[::-1]
    assert await yard.listings(text="模型 3") == [made[3]]
    assert await yard.listings(text="nothing") == []


class _AnswersOnce(dict[str, Any]):
    """Forgets what it was asked for."""

    def get(self, key: str, default: Any = None) -> Any:
        return self.pop(key, default)
