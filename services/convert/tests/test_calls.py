"""What callers of the convert service get to see."""

from typing import Any

import pytest

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.convert import DeleteConversions, GetConversion, GetLog, ListConversions
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_convert.repository import CONVERSIONS
from modelyard_store.documents import AnyOf, Equals, Query, Sort
from modelyard_work import bounds


async def test_an_order_becomes_a_conversion_with_its_job(yard: Any) -> None:
    version = yard.publish()
    view = await yard.calls.create(yard.context(), yard.ordered(version, "openvino-fp16"))
    assert (view.state, view.toolchain, view.origin, view.attempt) == ("initialising", "openvino", "request", 0)
    assert (view.model_name, view.model_version, view.name) == ("digits", "0.0.1", "digits-openvino-fp16")
    assert await yard.said(view.conversion_id) == ["created", "job"]
    assert await yard.calls.get(yard.context(), GetConversion(conversion_id=view.conversion_id)) == view


async def test_one_key_makes_one_conversion(yard: Any) -> None:
    version = yard.publish()
    first = await yard.calls.create(yard.context("k"), yard.ordered(version, "onnx-fp16"))
    yard.others.offered = set()  # a repetition is not judged anew
    assert await yard.calls.create(yard.context("k"), yard.ordered(version, "onnx-fp16")) == first
    with pytest.raises(Failure, match="used with another request") as caught:
        await yard.calls.create(yard.context("k"), yard.ordered(version, "onnx-optimized"))
    assert caught.value.kind is FailureKind.CONFLICT
    assert await yard.said(first.conversion_id) == ["created", "job"]


async def test_without_a_worker_it_is_refused_at_once(yard: Any) -> None:
    yard.others.offered = {"onnx"}
    with pytest.raises(Failure, match="no worker offers `openvino`") as caught:
        await yard.create("openvino-fp32")
    assert (caught.value.kind, caught.value.code) == (FailureKind.UNAVAILABLE, "ModelArts.9001")
    assert (await yard.calls.list(yard.context(), ListConversions())).total_count == 0


async def test_of_one_version_so_many_are_under_way_at_most(yard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_UNFINISHED", 2)
    version = yard.publish()
    for _ in range(2):
        await yard.create(version=version)
    with pytest.raises(Failure, match="2 conversions of this version have not ended") as caught:
        await yard.create(version=version)
    assert (caught.value.kind, caught.value.code) == (FailureKind.TOO_MANY, "ModelArts.9430")
    await yard.create(version=yard.publish())


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"target": "ascend-om"}, "ModelArts.3052"),
        ({"target": "onnx-fp16", "options": {"half": True}}, "ModelArts.3037"),
        ({"target": "onnx-fp16", "calibration_dataset_id": "gone"}, "ModelArts.3001"),
    ],
)
async def test_what_cannot_be_done_leaves_nothing(yard: Any, order: dict[str, Any], code: str) -> None:
    with pytest.raises(Failure) as caught:
        await yard.calls.create(yard.context(), yard.ordered(yard.publish(), **order))
    assert caught.value.code == code
    assert (await yard.calls.list(yard.context(), ListConversions())).total_count == 0


async def test_another_project_sees_nothing(yard: Any) -> None:
    version = yard.publish()
    conversion_id = await yard.create(version=version)
    stranger = yard.context(project="theirs")
    with pytest.raises(Failure, match="no such version"):
        await yard.calls.create(stranger, yard.ordered(version, "onnx-fp16"))
    for call, request in ((yard.calls.get, GetConversion), (yard.calls.log, GetLog)):
        with pytest.raises(Failure, match="there is no conversion") as caught:
            await call(stranger, request(conversion_id=conversion_id))
        assert (caught.value.kind, caught.value.code) == (FailureKind.NOT_FOUND, "ModelArts.3001")
    assert (await yard.calls.list(stranger, ListConversions())).total_count == 0
    deleted = await yard.calls.delete(stranger, DeleteConversions(conversion_ids=(conversion_id,)))
    assert deleted.refused == {conversion_id: "there is no such conversion"}


async def test_lists_are_newest_first_and_filtered(yard: Any) -> None:
    one, other = yard.publish(), yard.publish()
    ids = [await yard.create(version=each) for each in (one, one, other)]
    page = await yard.calls.list(yard.context(), ListConversions(limit=2))
    assert (page.total_count, page.count) == (3, 2)
    assert {each.conversion_id for each in page.conversions} < set(ids)
    stamps = [each.created_at for each in page.conversions]
    assert stamps == sorted(stamps, reverse=True)
    of_one = await yard.calls.list(yard.context(), ListConversions(model_id=one.model_id))
    assert {each.conversion_id for each in of_one.conversions} == set(ids[:2])
    assert (await yard.calls.list(yard.context(), ListConversions(state="failed"))).total_count == 0


async def test_only_finished_ones_can_be_deleted(yard: Any) -> None:
    version = yard.publish()
    waiting, done = await yard.create(version=version), await yard.create(version=version)
    await yard.work(done)
    both = DeleteConversions(conversion_ids=(waiting, done, done))
    early = await yard.calls.delete(yard.context(), both)
    assert early.refused == {
        waiting: "it is initialising; only finished conversions can be deleted",
        done: "its end has not been told to the other services yet; try again",
    }
    await yard.heard(done)
    report = await yard.calls.delete(yard.context(), both)
    assert report.deleted == (done,)
    assert set(report.refused) == {waiting}
    assert yard.written(await yard.known(waiting)), "the artifact belongs to the version"


async def test_the_log_is_read_piece_by_piece(yard: Any) -> None:
    conversion_id = await yard.create()
    empty = await yard.calls.log(yard.context(), GetLog(conversion_id=conversion_id))
    assert (empty.text, empty.next_offset, empty.complete) == ("", 0, False)
    done = await yard.work(conversion_id)
    piece = await yard.calls.log(yard.context(), GetLog(conversion_id=conversion_id, offset=empty.next_offset))
    assert piece.text == done.log
    assert piece.complete
    rest = await yard.calls.log(yard.context(), GetLog(conversion_id=conversion_id, offset=piece.next_offset))
    assert (rest.text, rest.next_offset) == ("", piece.next_offset)


async def test_targets_say_whether_somebody_offers_them(yard: Any) -> None:
    yard.others.offered = {"onnx"}
    targets = (await yard.calls.targets(yard.context(), Nothing())).targets
    offered = {row.target: row.offered for row in targets}
    assert len(targets) == 6
    assert offered["onnx-int8-static"]
    assert not offered["openvino-fp32"]
    schema = next(row.options_schema for row in targets if row.target == "onnx-int8-static")
    assert schema["properties"]["activation"]["default"] == "unsigned"


async def test_every_query_has_its_index(yard: Any) -> None:
    mine = Equals("project", "mine")
    newest = (Sort("created_at", descending=True),)
    for where in (
        (mine,),
        (mine, Equals("model_id", "m")),
        (mine, Equals("state", "failed")),
    ):
        plan = await yard.documents.explain(CONVERSIONS, Query(where=where, sort=newest))
        assert plan is not None
        assert "sort" not in plan
    unfinished = (mine, Equals("model_id", "m"), AnyOf("state", ("initialising", "running")))
    assert await yard.documents.explain(CONVERSIONS, Query(where=unfinished)) is not None
