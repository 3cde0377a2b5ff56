"""The list: filters, order, paging, and an index behind each of them."""

from typing import Any

import pytest

from modelyard_contracts.calls.version import ListVersions, VersionPage
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_store.documents import Query, Sort
from modelyard_version import repository
from modelyard_version.repository import SORTS, VERSIONS


async def pages(register: Any, *, project: str = "p1", **wanted: Any) -> VersionPage:
    page: VersionPage = await register.reading.list(register.context(project=project), ListVersions(**wanted))
    return page


def numbers(page: VersionPage) -> list[str]:
    return [row.model_version for row in page.models]


async def test_newest_first_and_only_the_callers_project(register: Any) -> None:
    for number in ("0.0.2", "0.0.10", "0.0.1"):
        await register.create(model_version=number)
    await register.create(project="p2")
    page = await pages(register)
    assert (page.total_count, page.count) == (3, 3)
    assert numbers(page) == ["0.0.1", "0.0.10", "0.0.2"]


@pytest.mark.parametrize(
    ("order", "expected"), [("asc", ["0.0.2", "0.0.10", "1.0.0"]), ("desc", ["1.0.0", "0.0.10", "0.0.2"])]
)
async def test_numbers_sort_as_numbers(register: Any, order: str, expected: list[str]) -> None:
    for number in ("0.0.10", "1.0.0", "0.0.2"):
        await register.create(model_version=number)
    assert numbers(await pages(register, sort_by="model_version", order=order)) == expected


async def test_sizes_sort_as_numbers(register: Any, facts: Any) -> None:
    for size in (900, 10_000, 5):
        model_id = await register.create()
        await register.tell(register.reports.import_succeeded, facts.imported(model_id, size=size))
    page = await pages(register, sort_by="model_size", order="asc")
    assert [row.model_size for row in page.models] == [5, 900, 10_000]


async def test_paging_visits_every_version_once(either: Any) -> None:
    made = {await either.create() for _ in range(7)}
    seen: list[str] = []
    for offset in (0, 3, 6, 9):
        page = await pages(either, offset=offset, limit=3)
        assert page.total_count == 7
        assert page.count == len(page.models)
        seen += [row.model_id for row in page.models]
    assert len(seen) == 7
    assert set(seen) == made


async def test_every_filter(either: Any, facts: Any) -> None:
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


async def test_both_types_are_refused(register: Any) -> None:
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
        {"model_name": "digits", "description": "net", "model_status": "failed", "workspace_id": "w"},
    ],
)
async def test_an_index_answers_every_combination(register: Any, filters: dict[str, Any], sort_by: str) -> None:
    where = tuple(repository._conditions("p1", ListVersions(**filters)))
    sort = (Sort(SORTS[sort_by], descending=True),)
    plan = await register.documents.explain(VERSIONS, Query(where=where, sort=sort, limit=10))
    assert plan
    assert "sort" not in plan
    if filters.get("exact_match") and len(filters) == 2:  # not along the whole project, which may be large
        assert "model_name" in plan


async def test_a_row_shows_the_aliases(register: Any) -> None:
    model_id = await register.published()
    await register.alias("prod", "0.0.1")
    [row] = (await pages(register)).models
    assert row.model_id == model_id
    assert row.aliases == ("prod",)
