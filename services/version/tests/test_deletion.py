"""Deleting: what holds, what a cascade does, what is left behind, and when it goes."""

from dataclasses import replace
from typing import Any

import pytest

from modelyard_bus.consume import Reject
from modelyard_contracts import catalogue, events
from modelyard_contracts.calls.version import UpdateVersion
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.jobs import PurgeJob
from modelyard_contracts.shapes import Location
from modelyard_version.repository.versions import VERSIONS

from .conftest import Facts, Register


def purge_job(model_id: str, prefix: str | None = None) -> PurgeJob:
    location = Location(bucket="artifacts", prefix=prefix or f"p1/models/{model_id}/")
    return PurgeJob(model_id=model_id, location=location)


async def count(register: Register) -> int | None:
    return (await register.listed()).total_count


async def test_a_deleted_version_is_gone_at_once_and_its_number_never_used_again(register: Register) -> None:
    model_id = await register.published(model_version="1.0.0")
    report = await register.delete(model_id)
    assert (report.delete_success_list, report.delete_failed_list) == ((model_id,), ())
    for call in (register.view(model_id), register.delete(model_id)):
        with pytest.raises(Failure) as caught:
            await call
        assert caught.value.kind == FailureKind.NOT_FOUND
    assert await count(register) == 0
    with pytest.raises(Failure, match="a number is never used again") as caught:
        await register.create(model_version="1.0.0")
    assert (caught.value.kind, caught.value.code) == (FailureKind.CONFLICT, "ModelArts.3002")
    assert (await register.view(await register.create())).model_version == "1.0.1"
    assert (await register.view(await register.create(project="p2"), project="p2")).model_version == "0.0.1"


async def test_names_that_differ_by_case_only_are_one_too_many(register: Register) -> None:
    await register.create("Digits")
    with pytest.raises(Failure, match="there is a model 'Digits'; 'digits' differs by upper and lower case only"):
        await register.create("digits", model_version="2.0.0")
    await register.create("Digits")
    await register.create("digits", project="p2")


async def test_versions_of_former_releases_keep_their_numbers_too(register: Register) -> None:
    model_id = await register.published()
    stored = await register.stored(VERSIONS, model_id)
    del stored.body["home"]
    await register.documents.save(VERSIONS, stored)
    await register.delete(model_id)
    assert (await register.view(await register.create())).model_version == "0.0.2"


async def test_an_archived_version_is_out_of_use_until_it_is_restored(register: Register) -> None:
    model_id = await register.published()
    before = await register.view(model_id)
    shown = await register.archive(model_id)
    assert (shown.model_id, shown.archived_at, shown.expires_at) == (model_id, register.now, None)
    assert await register.archive(model_id) == shown
    assert await count(register) == 0
    assert [row.model_id for row in (await register.listed(archived=True)).models] == [model_id]
    assert (await register.listed(archived=True, project="p2")).count == 0
    with pytest.raises(Failure, match="is archived; restore it first"):
        await register.view(model_id)
    with pytest.raises(Failure, match="no archived model"):
        await register.restore(model_id, project="p2")
    assert (await register.view(await register.create())).model_version == "0.0.2"
    again = await register.restore(model_id)
    assert again.artifacts == before.artifacts
    assert (again.archived_at, again.in_use) == (None, ())
    assert await register.restore(model_id) == again
    assert await count(register) == 2
    told = [message.type for message in await register.said() if message.subject == model_id]
    assert told[-2:] == [catalogue.VERSION_ARCHIVED.subject, catalogue.VERSION_RESTORED.subject]


async def test_what_is_used_or_not_here_yet_is_not_archived(register: Register) -> None:
    publishing = await register.create()
    with pytest.raises(Failure, match="is being imported"):
        await register.archive(publishing)
    model_id = await register.published()
    await register.alias("prod", "0.0.2")
    with pytest.raises(Failure, match="held by alias 'prod'"):
        await register.archive(model_id)


async def test_an_archived_version_that_cannot_be_read_keeps_no_other_in_the_archive(register: Register) -> None:
    register.keep_deleted(days=7)
    broken, sound = await register.published(), await register.published()
    await register.delete(broken)
    register.now += 1
    await register.delete(sound)
    stored = await register.stored(VERSIONS, broken)
    del stored.body["model_name"]
    await register.documents.save(VERSIONS, stored)
    register.now += 8 * 86_400_000
    assert await register.deletion.expire() == 1
    assert (await register.stored(VERSIONS, sound)).body["deleted_at"] == register.now


async def test_a_clock_that_goes_back_ends_nothing_too_early_and_does_not_go_round_for_ever(register: Register) -> None:
    register.keep_deleted(days=7)
    model_id = await register.published()
    await register.delete(model_id)
    early, register.now = register.now, register.now + 8 * 86_400_000
    expired = await register.versions.expired(10)
    assert expired == [model_id]
    back = replace(register.deletion, now=lambda: early)
    assert await back.expire() == 0
    assert [row.model_id for row in (await register.listed(archived=True)).models] == [model_id]


async def test_a_deleted_version_waits_its_days(register: Register) -> None:
    model_id, failed = await register.published(), await register.create()
    register.keep_deleted(days=7)
    report = await register.delete(model_id)
    assert (report.delete_success_list, report.expires_at) == ((model_id,), register.now + 7 * 86_400_000)
    await register.delete(failed)
    assert [row.model_id for row in (await register.listed(archived=True)).models] == [model_id]
    assert (await register.restore(model_id)).expires_at is None
    register.now += 8 * 86_400_000
    assert await register.deletion.expire() == 0
    await register.delete(model_id)
    register.now += 7 * 86_400_000 - 1
    assert await register.deletion.expire() == 0
    register.now += 1
    assert await register.deletion.expire() == 1
    with pytest.raises(Failure, match="no archived model"):
        await register.restore(model_id)
    messages = await register.said()
    assert messages[-1].type == catalogue.VERSION_PURGE.subject
    assert messages[-1].project == "p1"
    await register.tell(register.deletion.purge, purge_job(model_id))
    assert register.objects.removed == [("artifacts", f"p1/models/{model_id}/")]


async def test_who_cannot_wait_purges(register: Register) -> None:
    register.keep_deleted(days=7)
    archived, at_once = await register.published(), await register.published()
    await register.delete(archived)
    with pytest.raises(Failure, match="no model"):
        await register.delete(archived)
    for model_id in (archived, at_once):
        report = await register.delete(model_id, purge=True)
        assert (report.delete_success_list, report.expires_at) == ((model_id,), None)
    assert (await register.listed(archived=True)).count == 0


async def test_it_says_so_and_orders_the_purge_in_one_save(register: Register) -> None:
    model_id = await register.published()
    await register.said()
    await register.delete(model_id)
    messages = await register.said()
    assert [message.type for message in messages] == [
        catalogue.VERSION_DELETED.subject,
        catalogue.VERSION_PURGE.subject,
    ]
    assert {message.project for message in messages} == {"p1"}
    assert PurgeJob.model_validate(messages[1].data) == purge_job(model_id)


async def test_the_objects_go_and_what_comes_twice_does_no_harm(register: Register) -> None:
    model_id = await register.published()
    await register.delete(model_id)
    for _ in range(2):
        await register.tell(register.deletion.purge, purge_job(model_id))
    assert set(register.objects.removed) == {("artifacts", f"p1/models/{model_id}/")}


async def test_the_tombstone_of_a_keyed_version_stays_as_its_receipt(register: Register) -> None:
    model_id = await register.create(key="k")
    await register.delete(model_id)
    await register.said()
    await register.tell(register.deletion.purge, purge_job(model_id))
    assert await register.create(key="k") == model_id
    assert await count(register) == 0
    assert await register.said() == []


@pytest.mark.parametrize("prefix", [None, "p1/models/", "p2/models/x/", "p1/"])
async def test_a_purge_never_touches_what_lives_or_is_not_its_own(register: Register, prefix: str | None) -> None:
    model_id = await register.published()
    with pytest.raises(Reject):
        await register.tell(register.deletion.purge, purge_job(model_id, prefix))
    assert register.objects.removed == []


async def test_what_is_in_use_stays_and_says_why(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    created = events.ConversionCreated(conversion_id="k-1", model_id=model_id, target="onnx-fp16", origin="request")
    await register.tell(register.reports.conversion_created, created)
    report = await register.delete(model_id)
    [failure] = report.delete_failed_list
    assert report.delete_success_list == ()
    assert (failure.model_id, failure.error_code) == (model_id, "ModelArts.3009")
    assert "a conversion to onnx-fp16 has not ended" in failure.error_message
    await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    assert (await register.delete(model_id)).delete_success_list == (model_id,)


async def test_a_competition_holds_while_it_is_open(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    await register.tell(register.reports.entry_submitted, facts.submitted(model_id, register.now + 1000))
    assert (await register.delete(model_id)).delete_failed_list
    register.now += 1000
    assert (await register.delete(model_id)).delete_success_list


async def test_a_gallery_listing_does_not_hold(register: Register) -> None:
    model_id = await register.published()
    listed = events.PublicationListed(listing_id="l", model_id=model_id, title="Digits")
    await register.tell(register.reports.listed, listed)
    assert (await register.delete(model_id)).delete_success_list


async def test_a_cascade_takes_every_version_of_the_name_that_is_not_held(register: Register) -> None:
    made = [await register.published() for _ in range(3)]
    other = await register.published("other")
    await register.alias("prod", "0.0.2")
    report = await register.delete(made[0], cascade=True)
    assert set(report.delete_success_list) == {made[0], made[2]}
    assert [failure.model_id for failure in report.delete_failed_list] == [made[1]]
    assert "held by alias 'prod'" in report.delete_failed_list[0].error_message
    assert (await register.view(other)).model_status == "published"


async def test_a_cascade_takes_the_named_one_first_and_says_when_there_are_more(register: Register) -> None:
    made = [await register.create() for _ in range(23)]
    preview = await register.preview(made[22], cascade=True)
    first = await register.delete(made[22], cascade=True)
    assert first.delete_success_list == (made[22], *made[:19])
    assert tuple(version.model_id for version in preview.versions) == first.delete_success_list
    assert (preview.more, first.more) == (True, True)
    second = await register.delete(made[21], cascade=True)
    assert second.delete_success_list == (made[21], *made[19:21])
    assert not second.more


async def test_a_cascade_comes_to_those_behind_what_is_in_use(register: Register) -> None:
    made = [await register.published() for _ in range(23)]
    for number in range(1, 22):
        await register.alias(f"a{number}", f"0.0.{number}")
    report = await register.delete(made[0], cascade=True)
    assert set(report.delete_success_list) == {made[21], made[22]}
    assert (len(report.delete_failed_list), report.more) == (21, False)


@pytest.mark.parametrize(("seen", "goes"), [(None, True), ((2,), True), ((1, 2), True), ((1,), False), ((), False)])
async def test_a_delete_of_what_was_seen(register: Register, seen: tuple[int, ...] | None, goes: bool) -> None:
    model_id = await register.published()
    assert (await register.view(model_id)).revision == 2
    if goes:
        assert (await register.delete(model_id, revisions=seen)).delete_success_list == (model_id,)
        return
    with pytest.raises(Failure, match="it is at revision 2 now") as caught:
        await register.delete(model_id, revisions=seen)
    assert caught.value.code == "ModelArts.9412"


async def test_what_moves_meanwhile_is_deleted_all_the_same(register: Register) -> None:
    """Restored, or archived, between the look and the delete: a delete that is told is one that was done."""
    restored_, archived_ = await register.published(), await register.published()
    await register.archive(restored_)
    looked = register.versions.archived

    async def restored_behind(project: str, model_id: str) -> Any:
        found = await looked(project, model_id)
        if found is not None and model_id == restored_:
            await register.restore(restored_)
        return found

    register.versions.archived = restored_behind  # type: ignore[method-assign]  # another call comes between
    assert (await register.delete(restored_, purge=True)).delete_success_list == (restored_,)
    register.versions.archived = looked  # type: ignore[method-assign]  # another call comes between
    got = register.versions.get

    async def archived_behind(project: str, model_id: str) -> Any:
        found = await got(project, model_id)
        if found is not None:
            register.versions.get = got  # type: ignore[method-assign]  # another call comes between
            await register.archive(archived_)
        return found

    register.versions.get = archived_behind  # type: ignore[method-assign]  # another call comes between
    assert (await register.delete(archived_, purge=True)).delete_success_list == (archived_,)
    for model_id in (restored_, archived_):
        assert await register.versions.kept("p1", model_id) is None


async def test_a_delete_of_what_was_seen_holds_to_the_last_moment(register: Register) -> None:
    model_id = await register.published()
    clear = register.aliasing.clear

    async def changed_behind(version: Any, cause: Any) -> None:
        await clear(version, cause)
        await register.updating.update(register.context(), UpdateVersion(model_id=model_id, labels=("new",)))

    register.deletion = replace(register.deletion, aliasing=replace(register.aliasing))
    object.__setattr__(register.deletion.aliasing, "clear", changed_behind)
    with pytest.raises(Failure, match="it is at revision 3 now"):
        await register.delete(model_id, revisions=(2,))
    assert (await register.view(model_id)).labels == ("new",)


async def test_only_what_waits_has_an_end(register: Register) -> None:
    register.keep_deleted(days=7)
    for model_id, waits in ((await register.create(), False), (await register.published(), True)):
        preview = await register.preview(model_id)
        assert (preview.expires_at is not None) is waits
        assert (preview.versions[0].expires_at is not None) is waits
        assert ((await register.delete(model_id)).expires_at is not None) is waits


async def test_a_cascade_that_purges_takes_the_archive_too(register: Register) -> None:
    made = [await register.published() for _ in range(3)]
    await register.archive(made[1])
    report = await register.delete(made[0], cascade=True, purge=True)
    assert set(report.delete_success_list) == set(made)


async def test_a_result_that_comes_after_the_archive_is_written_down(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    await register.archive(model_id)
    await register.tell(register.reports.evaluation_succeeded, facts.evaluated(model_id, "r-1"))
    assert len((await register.restore(model_id)).evaluations) == 1
