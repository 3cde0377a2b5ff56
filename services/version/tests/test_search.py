"""`where`: what is understood, what is refused in words, and what is found."""

import math
from typing import Any

import pytest

from modelyard_contracts.calls.version import UpdateVersion, VersionSummary
from modelyard_contracts.failures import Failure
from modelyard_version.domain.search import Comparison, comparisons
from modelyard_version.repository.versions import VERSIONS

from .conftest import Facts, Register

DAY = 1_780_272_000_000  # 2026-06-01
UNDERSTOOD = [
    ("accuracy > 0.9", [Comparison("metrics", "accuracy", low=math.nextafter(0.9, 1))]),
    ("metrics.name>=1", [Comparison("metrics", "name", low=1)]),
    ("loss<0.5", [Comparison("metrics", "loss", high=math.nextafter(0.5, 0))]),
    ("val.f1 == 1e-3", [Comparison("metrics", "val.f1", low=0.001, high=0.001)]),
    ("label = nightly AND tag.team='computer vision'",
     [Comparison("labels", text="nightly"), Comparison("tags", "team", text="computer vision")]),
    ('name ~ digit and description ~ "手写 数字"',
     [Comparison("model_name", text="digit", contained=True),
      Comparison("description", text="手写 数字", contained=True)]),
    ("name=digits and status=published",
     [Comparison("model_name", text="digits"), Comparison("model_status", text="published")]),
    ("author = token:alice and alias = champion",
     [Comparison("created_by", text="token:alice"), Comparison("aliases", text="champion")]),
    ("created >= 2026-06-01", [Comparison("create_at", low=DAY)]),
    ("created <= 2026-06-01", [Comparison("create_at", high=DAY + 86_399_999)]),
    ("created > 2026-06-01", [Comparison("create_at", low=DAY + 86_400_000)]),
    ("created < 2026-06-01T02:00:00+02:00", [Comparison("create_at", high=DAY - 1)]),
    ("created = 2026-06-01+02:00", [Comparison("create_at", low=DAY - 7_200_000, high=DAY + 79_199_999)]),
    (f"created = {DAY}", [Comparison("create_at", low=DAY, high=DAY)]),
    ("size > 1.5MB and size <= 2KiB", [Comparison("model_size", low=1_500_001, high=2048)]),
    (
        f"f1 >= 0.5 and created >= {DAY} and f1 < 0.75 and f1 >= 0.25",
        [Comparison("metrics", "f1", low=0.5, high=math.nextafter(0.75, 0)), Comparison("create_at", low=DAY)],
    ),
]  # fmt: skip
REFUSED = [
    ("", "'nothing' is no condition"),
    ("accuracy", "'accuracy' is no condition"),
    ("accuracy >", "'accuracy >' is no condition"),
    ("accuracy > 0.9 or label = a", "'or' stands where 'and' belongs"),
    ("accuracy > 0.9 and", "'nothing' is no condition"),
    ("accuracy > high", "'accuracy' is taken for a metric and 'high' is no number; other fields are name, version"),
    ("accuracy > nan", "'nan' is no number"),
    ("lable = nightly", "'lable' is taken for a metric"),
    ("label > a", "'label' can be compared by =, not by '>'"),
    ("accuracy ~ 1", "'accuracy' can be compared by <, <=, =, >=, >, not by '~'; it is taken for a metric"),
    ("name != a", "'name' can be compared by =, ~, not by '!='"),
    ("created > yesterday", "'yesterday' is no time like 2026-11-22"),
    ("created = 9999999999999999999", "the value of 'create_at' is out of all bounds"),
    (f"size > {'9' * 400}GiB", "the value of 'model_size' is out of all bounds"),
    ("size > big", "'big' is no size like 500, 5MB or 2GiB"),
    ("label = 'open", "cannot stand there; put a value with spaces or signs between quotation marks"),
    (" and ".join(["a > 1"] * 21), "it has 21 conditions, at most 20"),
]


@pytest.mark.parametrize(("where", "expected"), UNDERSTOOD)
def test_what_is_understood(where: str, expected: list[Comparison]) -> None:
    assert list(comparisons(where)) == expected


@pytest.mark.parametrize(("where", "words"), REFUSED)
def test_what_is_refused(where: str, words: str) -> None:
    with pytest.raises(Failure) as caught:
        comparisons(where)
    [problem] = caught.value.problems
    assert words in problem.message
    assert (problem.field, caught.value.code) == ("where", "ModelArts.3037")


async def evaluated(register: Register, facts: Facts, model_id: str, **metrics: float) -> None:
    fact = facts.evaluated(model_id, f"r-{len(metrics)}-{model_id}").model_copy(update={"metrics": metrics})
    await register.tell(register.reports.evaluation_succeeded, fact)


async def test_a_search_by_everything(either: Register, facts: Facts) -> None:
    """The training run of each said accuracy 0.97; two were evaluated since."""
    register = either
    first, second, third = [
        await register.published(name, labels=labels, tags=tags, description=about)
        for name, labels, tags, about in (
            ("digits", ("nightly",), {"team": "vision"}, "a tree"),
            ("digits", ("nightly", "checked"), {"team": "speech"}, "a net"),
            ("letters", (), {}, "retrained net"),
        )
    ]
    await evaluated(register, facts, first, accuracy=0.5, **{"val.f1": 0.25})
    await evaluated(register, facts, second, accuracy=0.99)
    await register.alias("champion", "0.0.1")

    async def found(where: str | None, **wanted: Any) -> list[str]:
        page = await register.listed(where=where, **wanted)
        assert page.total_count == page.count == len(page.models)
        return [row.model_id for row in page.models]

    assert await found("accuracy > 0.9") == [third, second]
    assert await found("accuracy <= 0.5") == [first]
    assert await found("val.f1 = 0.25") == [first]
    assert await found("accuracy > 0", sort_by="metrics.accuracy") == [second, third, first]
    assert await found(None, sort_by="metrics.accuracy", order="asc") == [first, third, second]
    assert await found(None, sort_by="metrics.val.f1") == [first]
    assert await found("label = nightly and accuracy > 0.9") == [second]
    assert await found("label = nightly and label = checked") == [second]
    assert await found("tag.team = vision") == [first]
    assert await found("alias = champion") == [first]
    assert await found("author = alice and description ~ NET and name = letters") == [third]
    assert await found("author = bob") == []
    assert await found("author = ''") == []  # nobody has no name
    assert await found("created > 2999-01-01") == []
    assert await found("accuracy > 0.9 and label = nightly and description ~ net and created > 2001-01-01") == [second]
    assert await found("size > 4KB and size <= 5000") == [third, second, first]
    [row] = (await register.listed(where="alias = champion")).models
    assert (row.metrics, row.tags) == ({"accuracy": 0.5, "val.f1": 0.25}, {"team": "vision"})


async def test_pages_by_a_metric(either: Register, facts: Facts) -> None:
    for number in range(7):
        await evaluated(either, facts, await either.published(), f1=number % 3 / 4)
    wanted: dict[str, Any] = {"sort_by": "metrics.f1", "limit": 2}
    page = await either.listed(**wanted)
    assert page.total_count == 7
    shown = list(page.models)
    while page.next_cursor:
        page = await either.listed(**wanted, cursor=page.next_cursor)
        shown += page.models
    assert [row.metrics["f1"] for row in shown] == [0.5, 0.5, 0.25, 0.25, 0, 0, 0]
    assert len({row.model_id for row in shown}) == 7


@pytest.mark.parametrize(
    "name",
    ["a.b", "a\uff0eb", "$", "\uff04", 'a"b', "a\\b", "\\", "a\tb", "a\nb", "100%", "%2E", "it's", "[0]", "指标"],
)
async def test_a_metric_may_have_any_name(either: Register, facts: Facts, name: str) -> None:
    for number in range(5):
        await evaluated(either, facts, await either.published(), **{name: number % 3 / 4, "a.b.c": 1})
    wanted: dict[str, Any] = {"sort_by": f"metrics.{name}", "limit": 2, "where": "author = alice"}
    page = await either.listed(**wanted)
    shown = list(page.models)
    while page.next_cursor:
        page = await either.listed(**wanted, cursor=page.next_cursor)
        shown += page.models
    assert [row.metrics[name] for row in shown] == [0.5, 0.25, 0.25, 0, 0]


async def test_documents_of_earlier_releases_are_found_after_a_start(either: Register) -> None:
    model_id = await either.published(labels=("nightly",))
    stored = await either.stored(VERSIONS, model_id)
    for name in ("derived", "row", "metrics", "aliases", "tagged", "name_key"):
        del stored.body[name]
    await either.documents.save(VERSIONS, stored)
    [row] = (await either.listed()).models
    assert (row.model_id, row.metrics) == (model_id, {"accuracy": 0.97})
    assert (await either.listed(where="accuracy > 0.9")).count == 0
    assert await either.versions.derive() == 1
    assert await either.versions.derive() == 0
    assert [row.model_id for row in (await either.listed(where="accuracy > 0.9")).models] == [model_id]


async def test_a_document_that_cannot_be_read_keeps_no_other_from_being_found(either: Register) -> None:
    ids = [await either.published() for _ in range(3)]
    for number, model_id in enumerate(ids):
        stored = await either.stored(VERSIONS, model_id)
        del stored.body["derived"]
        if number == 1:
            del stored.body["model_name"]
        await either.documents.save(VERSIONS, stored)
    assert await either.versions.derive() == 2
    assert await either.versions.derive() == 0


async def test_a_page_ends_where_a_message_is_full(register: Register) -> None:
    tags = {f"key-{number}": "手" * 250 for number in range(20)}
    ids = {await register.create(tags=tags) for _ in range(60)}
    page = await register.listed(limit=1000)
    assert page.total_count == 60
    assert 40 < page.count < 60
    rest = await register.listed(limit=1000, cursor=page.next_cursor)
    assert rest.next_cursor is None
    assert {row.model_id for row in (*page.models, *rest.models)} == ids


async def test_a_row_follows_its_version(register: Register) -> None:
    model_id = await register.published(labels=("a",))
    changed = UpdateVersion(model_id=model_id, labels=("b",), tags={"k": "v"})
    await register.updating.update(register.context(), changed)
    [row] = (await register.listed()).models
    view = await register.view(model_id)
    assert row.model_dump(include=set(VersionSummary.model_fields)) == {
        name: getattr(view, name) for name in VersionSummary.model_fields
    }
    assert (row.owner, row.project, row.publishable_flag) == ("alice", "p1", True)
