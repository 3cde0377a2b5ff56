"""Plans of published versions, and what a deleted version leaves."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_contracts.calls.convert import ListConversions
from modelyard_contracts.catalogue import VERSION_DELETED, VERSION_PUBLISHED
from modelyard_contracts.events import VersionDeleted, VersionPublished
from modelyard_contracts.shapes import ConversionOrder, Plan
from modelyard_convert.handlers.unoffered import Unoffered
from modelyard_runtime.clock import now_ms


def published(yard: Any, version: Any, *targets: str, **more: Any) -> Any:
    orders = tuple(ConversionOrder(target=target) for target in targets)
    fact = VersionPublished(
        model_id=version.model_id,
        model_name=version.model_name,
        model_version=version.model_version,
        artifact_id=version.artifacts[0].artifact_id,
        digest=version.artifacts[0].digest,
        size=1,
        plan=Plan(convert=orders),
    )
    return yard.envelope(VERSION_PUBLISHED.subject, version.model_id, fact, **more), fact


def deleted(yard: Any, version: Any) -> Any:
    fact = VersionDeleted(model_id=version.model_id, model_name="digits", model_version="0.0.1")
    return yard.envelope(VERSION_DELETED.subject, version.model_id, fact), fact


async def made(yard: Any) -> dict[str, Any]:
    page = await yard.calls.list(yard.context(), ListConversions())
    return {each.order.target: each for each in page.conversions}


async def test_a_plan_makes_each_conversion_once(yard: Any) -> None:
    message = published(yard, yard.publish(), "onnx-int8-static", "openvino-fp16")
    await yard.events.published(*message)
    await yard.events.published(*message)
    found = await made(yard)
    assert set(found) == {"onnx-int8-static", "openvino-fp16"}
    assert {each.origin for each in found.values()} == {"plan"}
    for each in found.values():
        assert await yard.said(each.conversion_id) == ["created", "job"]


async def test_one_target_twice_in_a_plan_is_two_conversions(yard: Any) -> None:
    await yard.events.published(*published(yard, yard.publish(), "onnx-fp16", "onnx-fp16"))
    assert (await yard.calls.list(yard.context(), ListConversions())).total_count == 2


async def test_what_a_plan_cannot_do_is_kept_with_its_reason(yard: Any) -> None:
    bare = yard.publish(yard.bench.package(samples=()))
    await yard.events.published(*published(yard, bare, "onnx-int8-static", "ascend-om", "onnx-fp16"))
    found = await made(yard)
    assert {name: each.state for name, each in found.items()} == {
        "onnx-int8-static": "failed",
        "ascend-om": "failed",
        "onnx-fp16": "initialising",
    }
    assert "calibration_data/*.npy" in str(found["onnx-int8-static"].reason)
    assert found["ascend-om"].code == "ModelArts.3052"
    assert await yard.said(found["ascend-om"].conversion_id) == ["failed"]


async def test_what_is_planned_waits_for_a_worker_however_late_the_plan_is_heard(yard: Any) -> None:
    yard.others.offered = set()
    version = yard.publish()
    old = datetime.now(UTC) - timedelta(days=1)
    await yard.events.published(*published(yard, version, "onnx-fp16", time=old))
    waiting = (await made(yard))["onnx-fp16"]
    assert waiting.state == "initialising"
    assert waiting.progress == "no worker offers `onnx` now; it waits for one"
    yard.others.offered = {"onnx"}
    assert (await yard.work(waiting.conversion_id)).state == "succeeded"


async def test_one_that_no_worker_comes_for_ends_when_it_was_asked_for_long_enough(yard: Any) -> None:
    """Not counted: what passed before somebody could be asked."""
    clock, day = [0.0], 86_400.0
    chore = Unoffered(yard.repository, yard.admission, lambda: now_ms() + int(clock[0] * 1000), day, lambda: clock[0])
    waiting = await yard.create()
    yard.others.offered = set()
    clock[0] = 2 * day
    assert await chore.sweep() == 0
    clock[0] = 3 * day - 1
    assert await chore.sweep() == 0
    yard.others.offered = {"onnx"}
    assert await chore.sweep() == 0
    yard.others.offered = set()
    clock[0] = 3 * day
    assert await chore.sweep() == 0
    clock[0] = 4 * day
    assert await chore.sweep() == 1
    ended = await yard.known(waiting)
    assert (ended.state, ended.reason) == ("failed", "no worker offers `onnx`")
    assert await chore.sweep() == 0


async def test_a_version_service_that_is_away_is_asked_again(yard: Any) -> None:
    version = yard.publish()
    yard.others.away = 1
    with pytest.raises(Retry):
        await yard.events.published(*published(yard, version, "onnx-fp16"))
    await yard.events.published(*published(yard, version, "onnx-fp16"))
    assert set(await made(yard)) == {"onnx-fp16"}


async def test_a_plan_of_a_version_that_is_gone_makes_nothing(yard: Any) -> None:
    version = yard.publish()
    yard.others.versions.clear()
    await yard.events.published(*published(yard, version, "onnx-fp16"))
    assert await made(yard) == {}


async def test_a_deleted_version_ends_its_conversions_and_frees_their_objects(yard: Any) -> None:
    version, other = yard.publish(), yard.publish()
    done, waiting, elsewhere = [await yard.create(version=each) for each in (version, version, other)]
    await yard.work(done)
    assert yard.written(await yard.known(done))
    for _ in range(2):
        await yard.events.deleted(*deleted(yard, version))
    assert yard.written(await yard.known(done)) == []
    ended = await yard.known(waiting)
    assert (ended.state, ended.code, ended.reason) == ("failed", "ModelArts.3062", "the version was deleted")
    assert await yard.said(waiting) == ["created", "job", "failed"]
    assert (await yard.known(done)).state == "succeeded"
    assert (await yard.known(elsewhere)).state == "initialising"
    assert (await yard.work(waiting)).state == "failed"
