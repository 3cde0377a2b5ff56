"""Datasets: registered where they lie, and who may see the hidden ones."""

import dataclasses
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from modelyard_contracts.calls import evaluate, imports
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.shapes import Location, Role, StorageSource, UploadSource

from .evaluate_yard import Yard, context

IMAGES = {"猫/1.png": b"1", "猫/2.png": b"22", "狗/1.jpg": b"333"}


def request(bucket: str, prefix: str, *, name: str = "other", **more: Any) -> evaluate.CreateDataset:
    source = StorageSource(location=Location(bucket=bucket, prefix=prefix))
    return evaluate.CreateDataset(**{"name": name, "kind": "image-folder", "source": source, **more})


async def refused(yard: Yard, asked: evaluate.CreateDataset, role: Role = Role.WRITER) -> Failure:
    with pytest.raises(Failure) as caught:
        await yard.datasets.create(context(role), asked)
    return caught.value


async def test_a_folder_becomes_a_dataset_and_stays_where_it_is(yard: Yard) -> None:
    made = await yard.dataset(IMAGES)
    assert (made.classes, made.samples, made.size) == ({"狗": 1, "猫": 2}, 3, 6)
    assert made.location == Location(bucket="datasets", prefix="held-out/")
    assert await yard.datasets.get(context(), evaluate.GetDataset(dataset_id=made.dataset_id)) == made
    await yard.datasets.delete(context(), evaluate.GetDataset(dataset_id=made.dataset_id))
    assert len(yard.objects.keys("datasets", "held-out/")) == 3
    with pytest.raises(Failure, match="no dataset"):
        await yard.datasets.get(context(), evaluate.GetDataset(dataset_id=made.dataset_id))


async def test_a_prefix_without_a_slash_is_the_same_folder(yard: Yard) -> None:
    made = await yard.dataset(IMAGES)
    again = await yard.datasets.create(context(), request("datasets", "held-out"))
    assert again.digest == made.digest


async def test_a_name_is_taken_once(yard: Yard) -> None:
    await yard.dataset(IMAGES)
    failure = await refused(yard, request("datasets", "held-out/", name="held-out"))
    assert (failure.kind, failure.code) == (FailureKind.CONFLICT, "ModelArts.3002")


async def test_the_same_request_under_the_same_key_is_one_dataset(yard: Yard) -> None:
    await yard.dataset(IMAGES)
    asked = request("datasets", "held-out/")
    made = await yard.datasets.create(context(key="k"), asked)
    yard.objects.content["datasets", "held-out/loose.txt"] = b"would be refused now"
    assert await yard.datasets.create(context(key="k"), asked) == made
    with pytest.raises(Failure, match="Idempotency-Key was used with another request"):
        await yard.datasets.create(context(key="k"), request("datasets", "held-out/", name="third"))


async def test_an_empty_folder_and_a_missing_bucket(yard: Yard) -> None:
    yard.objects.content["datasets", "elsewhere/a/1.png"] = b"1"
    assert (
        "no image in a class folder below 'datasets/nothing/'"
        in (await refused(yard, request("datasets", "nothing/"))).message
    )
    assert "bucket 'training' does not exist" in (await refused(yard, request("training", "x/"))).message


@pytest.mark.parametrize(
    ("bucket", "prefix"),
    [("secrets", "x/"), ("artifacts", "other/uploads/1/"), ("artifacts", "mine/models/1/"), ("datasets", "a/../b/")],
)
async def test_places_that_are_not_open(yard: Yard, bucket: str, prefix: str) -> None:
    failure = await refused(yard, request(bucket, prefix))
    assert failure.code == "ModelArts.3017"
    assert (failure.problems[0].field or "").startswith("source.location.")


async def test_a_project_is_kept_to_its_own_folder_where_the_operator_says_so(yard: Yard) -> None:
    yard.objects.content["datasets", "teams/theirs/a/1.png"] = b"1"
    yard.objects.content["datasets", "teams/mine/a/1.png"] = b"1"
    yard.datasets = dataclasses.replace(yard.datasets, folders={"datasets": "teams/{project}/"})
    failure = await refused(yard, request("datasets", "teams/theirs/"))
    assert "'datasets/teams/theirs/' belongs to another project" in failure.message
    assert failure.problems[0].rule == "in bucket 'datasets' only below 'teams/mine/'"
    assert (await yard.datasets.create(context(), request("datasets", "teams/mine/"))).samples == 1


async def test_an_upload_must_be_complete(yard: Yard) -> None:
    place = Location(bucket="artifacts", prefix="mine/uploads/u1/")
    yard.objects.content["artifacts", "mine/uploads/u1/a/1.png"] = b"1"
    open_upload = imports.UploadView(upload_id="u1", state="open", location=place, files=(), expires_at=0)
    yard.others.uploads["u1"] = open_upload
    asked = request("x" * 3, "x/").model_copy(update={"source": UploadSource(upload_id="u1")})
    assert "upload u1 is open" in (await refused(yard, asked)).message
    yard.others.uploads["u1"] = open_upload.model_copy(update={"state": "complete"})
    assert (await yard.datasets.create(context(), asked)).classes == {"a": 1}


@pytest.mark.parametrize("by_place", [False, True])
async def test_an_upload_stays_as_long_as_a_dataset_uses_it(yard: Yard, by_place: bool) -> None:
    place = Location(bucket="artifacts", prefix="mine/uploads/u1/")
    view = imports.UploadView(upload_id="u1", state="complete", location=place, files=(), expires_at=0)
    yard.others.uploads["u1"] = view
    asked = request("artifacts", "mine/uploads/u1/data/")
    if not by_place:
        asked = asked.model_copy(update={"source": UploadSource(upload_id="u1")})
    await refused(yard, asked)
    assert yard.others.kept == set(), "it holds no samples"
    yard.objects.content["artifacts", "mine/uploads/u1/data/a/1.png"] = b"1"
    yard.others.uploads["u1"] = view.model_copy(
        update={"location": Location(bucket="artifacts", prefix=f"{place.prefix}data/")}
    )
    made = await yard.datasets.create(context(), asked)
    assert yard.others.kept == {("u1", made.dataset_id)}
    await yard.datasets.delete(context(), evaluate.GetDataset(dataset_id=made.dataset_id))
    assert yard.others.kept == set()


async def test_letting_go_may_fail_and_a_folder_of_no_upload_is_nobodys(yard: Yard) -> None:
    yard.objects.content["artifacts", "mine/uploads/u1/a/1.png"] = b"1"
    made = await yard.datasets.create(context(), request("artifacts", "mine/uploads/u1/"))
    await yard.datasets.delete(context(), evaluate.GetDataset(dataset_id=made.dataset_id))
    place = Location(bucket="artifacts", prefix="mine/uploads/u1/")
    yard.others.uploads["u1"] = imports.UploadView(
        upload_id="u1", state="complete", location=place, files=(), expires_at=0
    )
    made = await yard.datasets.create(context(), request("artifacts", "mine/uploads/u1/"))
    yard.others.away = True
    await yard.datasets.delete(context(), evaluate.GetDataset(dataset_id=made.dataset_id))
    assert (await yard.datasets.list(context(), evaluate.ListDatasets())).total_count == 0


async def test_npz_counts_its_labels(yard: Yard) -> None:
    file = BytesIO()
    np.savez(file, x=np.zeros((3, 2), np.float32), y=np.array([1, 0, 1]))
    yard.objects.content["datasets", "arrays/data.npz"] = file.getvalue()
    made = await yard.datasets.create(context(), request("datasets", "arrays/", kind="npz"))
    assert (made.classes, made.samples) == ({"0": 1, "1": 2}, 3)


async def test_hidden_ones_are_seen_by_publishers_only(yard: Yard) -> None:
    hidden = await yard.dataset(IMAGES, hidden=True)
    asked = evaluate.GetDataset(dataset_id=hidden.dataset_id)
    assert (await yard.datasets.get(context(Role.PUBLISHER), asked)).hidden
    for act in (yard.datasets.get, yard.datasets.delete):
        with pytest.raises(Failure) as caught:
            await act(context(Role.WRITER), asked)
        assert caught.value.kind is FailureKind.NOT_FOUND
    assert (await yard.datasets.list(context(Role.WRITER), evaluate.ListDatasets())).total_count == 0
    assert (await yard.datasets.list(context(Role.ADMIN), evaluate.ListDatasets())).total_count == 1
    assert (await refused(yard, request("datasets", "held-out/", hidden=True))).kind is FailureKind.FORBIDDEN


@pytest.mark.parametrize("prefix", ["held-out/", "held-out/猫/"])
async def test_hidden_files_cannot_be_registered_openly_again(yard: Yard, prefix: str) -> None:
    await yard.dataset(IMAGES, hidden=True)
    assert (await refused(yard, request("datasets", prefix))).kind is FailureKind.FORBIDDEN


async def test_another_project_sees_nothing(yard: Yard) -> None:
    made = await yard.dataset(IMAGES)
    with pytest.raises(Failure) as caught:
        await yard.datasets.get(context(Role.ADMIN, project="theirs"), evaluate.GetDataset(dataset_id=made.dataset_id))
    assert caught.value.kind is FailureKind.NOT_FOUND
    assert (await yard.datasets.list(context(project="theirs"), evaluate.ListDatasets())).datasets == ()


async def test_list_is_newest_first_by_page_and_by_exact_name(yard: Yard) -> None:
    for name in ("one", "two", "three"):
        await yard.dataset(IMAGES, name=name)
    page = await yard.datasets.list(context(), evaluate.ListDatasets(offset=1, limit=1))
    assert (page.total_count, [each.name for each in page.datasets]) == (3, ["two"])
    exact = await yard.datasets.list(context(), evaluate.ListDatasets(name="one"))
    assert [each.name for each in exact.datasets] == ["one"]


async def test_a_dataset_in_use_is_not_forgotten(yard: Yard) -> None:
    made = await yard.dataset({"0/1.png": b"1"})
    yard.version()
    await yard.create(made)
    with pytest.raises(Failure) as caught:
        await yard.datasets.delete(context(), evaluate.GetDataset(dataset_id=made.dataset_id))
    assert caught.value.code == "ModelArts.3009"


async def test_a_dataset_of_an_open_competition_is_not_forgotten(yard: Yard) -> None:
    made = await yard.dataset(IMAGES, hidden=True)
    asked = evaluate.GetDataset(dataset_id=made.dataset_id)
    yard.others.competitions[made.dataset_id] = ("Unseen", "Second")
    with pytest.raises(Failure, match="open competition 'Unseen', 'Second'") as caught:
        await yard.datasets.delete(context(Role.PUBLISHER), asked)
    assert (caught.value.code, caught.value.kind) == ("ModelArts.3009", FailureKind.CONFLICT)
    yard.others.competitions.clear()
    await yard.datasets.delete(context(Role.PUBLISHER), asked)
