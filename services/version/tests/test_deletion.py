"""Deleting: what holds, what a cascade does, what is left behind, and when it goes."""

import pytest

from modelyard_bus.consume import Reject, Retry
from modelyard_contracts import catalogue, events
from modelyard_contracts.calls.version import ListVersions
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.jobs import PurgeJob
from modelyard_contracts.shapes import Location

from .conftest import Facts, Register


def purge_job(model_id: str, prefix: str | None = None) -> PurgeJob:
    location = Location(bucket="artifacts", prefix=prefix or f"p1/models/{model_id}/")
    return PurgeJob(model_id=model_id, location=location)


async def count(register: Register) -> int | None:
    return (await register.reading.list(register.context(), ListVersions())).total_count


async def test_a_deleted_version_is_gone_at_once_and_its_number_free(register: Register) -> None:
    model_id = await register.published(model_version="1.0.0")
    report = await register.delete(model_id)
    assert (report.delete_success_list, report.delete_failed_list) == ((model_id,), ())
    for call in (register.view(model_id), register.delete(model_id)):
        with pytest.raises(Failure) as caught:
            await call
        assert caught.value.kind == FailureKind.NOT_FOUND
    assert await count(register) == 0
    await register.create(model_version="1.0.0")
    assert await count(register) == 1


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


async def test_the_tombstone_goes_when_all_is_said_and_the_objects_are_gone(register: Register) -> None:
    model_id = await register.published()
    await register.delete(model_id)
    with pytest.raises(Retry):
        await register.tell(register.deletion.purge, purge_job(model_id))
    assert await register.versions.any(model_id)
    await register.said()
    for _ in range(2):
        await register.tell(register.deletion.purge, purge_job(model_id))
        assert await register.versions.any(model_id) is None
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
    assert "conversion k-1 to onnx-fp16 has not ended" in failure.error_message
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


async def test_a_cascade_takes_twenty_and_the_same_call_again_the_rest(register: Register) -> None:
    made = [await register.create() for _ in range(23)]
    first = await register.delete(made[5], cascade=True)
    assert len(first.delete_success_list) == 20
    assert made[5] not in first.delete_success_list
    second = await register.delete(made[5], cascade=True)
    assert len(second.delete_success_list) == 3
    assert set(first.delete_success_list) | set(second.delete_success_list) == set(made)
