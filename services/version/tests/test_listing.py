"""The list: filters, order, paging, and an index behind each of them."""

import base64
import json
from typing import Any

import pytest

from modelyard_contracts.calls.version import ListVersions, UpdateVersion, VersionPage
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_store.documents import Query, Sort
from modelyard_version.repository import versions as repository
from modelyard_version.repository.versions import SORTS, VERSIONS

from .conftest import Facts, Register


async def pages(register: Register, *, project: str = "p1", **wanted: Any) -> VersionPage:
    return await register.listed(project=project, **wanted)


def numbers(page: VersionPage) -> list[str]:
    return [row.model_version for row in page.models]


async def test_newest_first_and_only_the_callers_project(register: Register) -> None:
    for number in ("0.0.2", "0.0.10", "0.0.1"):
        await register.create(model_version=number)
    await register.create(project="p2")
    page = await pages(register)
    assert (page.total_count, page.count) == (3, 3)
    assert numbers(page) == ["0.0.1", "0.0.10", "0.0.2"]


@pytest.mark.parametrize(
    ("order", "expected"), [("asc", ["0.0.2", "0.0.10", "1.0.0"]), ("desc", ["1.0.0", "0.0.10", "0.0.2"])]
)
async def test_numbers_sort_as_numbers(register: Register, order: str, expected: list[str]) -> None:
    for number in ("0.0.10", "1.0.0", "0.0.2"):
        await register.create(model_version=number)
    assert numbers(await pages(register, sort_by="model_version", order=order)) == expected


async def test_sizes_sort_as_numbers(register: Register, facts: Facts) -> None:
    for size in (900, 10_000, 5):
        model_id = await register.create()
        await register.tell(register.reports.import_succeeded, facts.imported(model_id, size=size))
    page = await pages(register, sort_by="model_size", order="asc")
    assert [row.model_size for row in page.models] == [5, 900, 10_000]


async def test_paging_visits_every_version_once(either: Register) -> None:
    made = {await either.create() for _ in range(7)}
    seen: list[str] = []
    for offset in (0, 3, 6, 9):
        page = await pages(either, offset=offset, limit=3)
        assert page.total_count == 7
        assert page.count == len(page.models)
        seen += [row.model_id for row in page.models]
    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.parametrize("sort_by", sorted(SORTS))
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_cursor_visits_every_version_once(either: Register, sort_by: str, order: str) -> None:
    made = [await either.create(model_version=f"0.{n % 3}.{n}", labels=("prod",) if n % 2 else ()) for n in range(9)]
    for filters, expected in ({}, set(made)), ({"label": "prod"}, set(made[1::2])):
        page = await pages(either, limit=2, sort_by=sort_by, order=order, **filters)
        assert page.total_count == len(expected)
        seen = [row.model_id for row in page.models]
        while page.next_cursor:
            page = await pages(either, limit=2, sort_by=sort_by, order=order, cursor=page.next_cursor, **filters)
            assert page.total_count is None
            assert page.count == len(page.models) > 0
            seen += [row.model_id for row in page.models]
        assert len(seen) == len(expected)
        assert set(seen) == expected
        whole = await pages(either, sort_by=sort_by, order=order, **filters)
        assert whole.next_cursor is None
        assert [row.model_id for row in whole.models] == seen


async def test_a_cursor_goes_on_although_the_list_changes(register: Register) -> None:
    """What an offset would show twice or skip."""
    made = [await register.create() for _ in range(6)]
    page = await pages(register, limit=2, order="asc")
    await register.delete(made[0])
    await register.delete(made[1])
    page = await pages(register, limit=2, order="asc", cursor=page.next_cursor)
    assert [row.model_id for row in page.models] == made[2:4]
    await register.create()
    newest = await pages(register, limit=3, order="desc")
    await register.create()
    older = await pages(register, limit=3, order="desc", cursor=newest.next_cursor)
    assert [row.model_id for row in older.models] == [made[3], made[2]]


def forged(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


GOOD = {"question": "", "value": 1, "id": "a"}


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "é", "====", "e30", "bnVsbA", "W10", "-_-_", "a" * 1999, forged(), forged(**GOOD | {"value": 2**63}),
        forged(**GOOD | {"value": "1"}), forged(**GOOD | {"value": None}), forged(**GOOD | {"value": 1.5}),
        forged(**GOOD | {"id": None}), forged(**GOOD | {"id": "\ud800"}), forged(**GOOD | {"id": "x" * 200}),
        forged(**GOOD | {"value": True}), forged(**GOOD, more=1), "[" * 1500, forged(**GOOD),
    ],
)  # fmt: skip
async def test_what_is_no_cursor_is_refused(register: Register, cursor: str) -> None:
    with pytest.raises(Failure, match="cursor") as caught:
        await pages(register, cursor=cursor)
    assert (caught.value.kind, caught.value.code) == (FailureKind.INVALID, "ModelArts.3037")
    assert caught.value.problems[0].field == "cursor"


@pytest.mark.parametrize(
    "other",
    [{"sort_by": "model_size"}, {"order": "asc"}, {"label": "prod"}, {"model_name": "d"}, {"model_status": "failed"}],
)
async def test_a_cursor_fits_only_its_own_list(register: Register, other: dict[str, Any]) -> None:
    for _ in range(3):
        await register.create()
    cursor = (await pages(register, limit=1)).next_cursor
    with pytest.raises(Failure, match="other filters or another order"):
        await pages(register, cursor=cursor, **other)
    assert (await pages(register, limit=2, cursor=cursor)).count == 2
    with pytest.raises(Failure, match="exclude each other"):
        await pages(register, cursor=cursor, offset=1)
    assert (await pages(register, cursor=cursor, project="p2")).count == 0


async def test_labels_are_matched_whole(either: Register) -> None:
    prod = await either.create(labels=("prod", "标签"))
    both = await either.create(labels=("prod-eu", "prod"), description="small")
    await either.create(labels=("Prod",))
    await either.create(project="p2", labels=("prod",))

    async def found(**wanted: Any) -> set[str]:
        page = await pages(either, **wanted)
        assert page.total_count == page.count
        return {row.model_id for row in page.models}

    assert await found(label="prod") == {prod, both}
    assert await found(label="标签") == {prod}
    assert await found(label="prod", description="small") == {both}
    assert await found(label="rod") == set()
    await either.updating.update(either.context(), UpdateVersion(model_id=prod, labels=("标签",)))
    assert await found(label="prod") == {both}
    await either.delete(both)
    assert await found(label="prod") == set()


async def test_every_filter(either: Register, facts: Facts) -> None:
    onnx = await either.published("digits-onnx", description="Small net", workspace_id="w1")
    torch = await either.create("digits-torch", model_version="1.2.3")
    await either.tell(either.reports.import_succeeded, facts.imported(torch, model_type="PyTorch"))
    waiting = await either.create("数字", description="100% new_net")

    async def found(**wanted: Any) -> set[str]:
        return {row.model_id for row in (await pages(either, **wanted)).models}

    assert await found(model_name="DIGITS") == {onnx, torch}
    assert await found(model_name="数") == {waiting}
    assert await found(model_name="digits", exact_match=True) == set()
    assert await found(model_name="digits-onnx", exact_match=True) == {onnx}
    assert await found(model_version="1.2.3") == {torch}
    assert await found(model_status="publishing") == {waiting}
    assert await found(model_status="published", model_type="ONNX") == {onnx}
    assert await found(not_model_type="ONNX") == {torch, waiting}
    assert await found(description="0% new_") == {waiting}
    assert await found(description="net", sort_by="model_version") == {onnx, waiting}
    assert await found(workspace_id="w1") == {onnx}


async def test_both_types_are_refused(register: Register) -> None:
    with pytest.raises(Failure) as caught:
        await pages(register, model_type="ONNX", not_model_type="PyTorch")
    assert (caught.value.kind, caught.value.code) == (FailureKind.INVALID, "ModelArts.3037")
    assert caught.value.problems[0].field == "model_type, not_model_type"


@pytest.mark.parametrize("sort_by", sorted(SORTS))
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"model_name": "digits", "exact_match": True},
        {"model_name": "digits"},
        {"model_version": "0.0.1"},
        {"model_status": "published"},
        {"model_type": "ONNX"},
        {"not_model_type": "ONNX"},
        {"description": "net"},
        {"workspace_id": "w"},
        {"label": "prod"},
        {"label": "prod", "model_status": "published", "model_name": "digits"},
        {"model_name": "digits", "description": "net", "model_status": "failed", "workspace_id": "w"},
    ],
)
async def test_an_index_answers_every_combination(register: Register, filters: dict[str, Any], sort_by: str) -> None:
    where = tuple(repository._conditions("p1", ListVersions(**filters)))
    sort = (Sort(SORTS[sort_by], descending=True),)
    plan = await register.documents.explain(VERSIONS, Query(where=where, sort=sort, limit=10))
    assert plan
    assert "sort" not in plan or "known rows" in plan  # what few versions hold is sorted when it has been found
    if filters.get("exact_match") and len(filters) == 2:  # not along the whole project, which may be large
        assert "model_name" in plan
    if "label" in filters and "model_name" not in filters:
        assert "labels" in plan


async def test_a_row_shows_the_aliases(register: Register) -> None:
    model_id = await register.published()
    await register.alias("prod", "0.0.1")
    [row] = (await pages(register)).models
    assert row.model_id == model_id
    assert row.aliases == ("prod",)
