"""A version is promoted to another project: what goes along, what is refused, and what each side gets to see."""

from typing import Any

import pytest

from modelyard_contracts.calls.version import ArchiveVersion, GetHistory, GetVersion, LineageEdge, TraceLineage
from modelyard_contracts.events import ImportSucceeded, VersionRequested
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Plan, PromotionSource, ScanReport
from modelyard_version.handlers import arranging

from .conftest import Facts, Register

TAKES = ("description", "labels", "tags", "model_docs", "install_type", "specification")


def source(model_id: str, project: str = "p1", takes: tuple[str, ...] = TAKES) -> PromotionSource:
    return PromotionSource.model_validate({"project": project, "model_id": model_id, "takes": takes})


@pytest.fixture
async def original(register: Register, facts: Facts) -> str:
    """With a conversion, an evaluation of each artifact, and a competition entry, which nobody else may hear of."""
    model_id = await register.create(description="von Hand", labels=("a", "b"), tags={"team": "vision"})
    scan = ScanReport(scanners={"names": "1"}, files=1)
    await register.tell(register.reports.import_succeeded, facts.imported(model_id).model_copy(update={"scan": scan}))
    await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    await register.tell(register.reports.evaluation_succeeded, facts.evaluated(model_id))
    on_converted = facts.evaluated(model_id, "r-2").model_copy(update={"artifact_id": "a-k-1", "target": "x"})
    await register.tell(register.reports.evaluation_succeeded, on_converted)
    await register.tell(register.reports.entry_submitted, facts.submitted(model_id, None))
    await register.tell(register.reports.evaluation_succeeded, facts.evaluated(model_id, "r-hidden", "en-1"))
    await register.said()
    return model_id


async def requested(register: Register) -> VersionRequested:
    [told] = [said for said in await register.said() if said.type.endswith("version.requested.v1")]
    return VersionRequested.model_validate(told.data)


async def promoted(register: Register, model_id: str, *, project: str = "p2", **fields: Any) -> str:
    """Brought in as the import service does it."""
    kept: dict[str, Any] = {"source": source(model_id), **fields}
    copy = await register.create(kept.pop("name", "digits"), project=project, **kept)
    fact = await requested(register)
    assert fact.original is not None
    first, *others = fact.original.artifacts
    brought = fact.original.model_dump(exclude={"artifacts"})
    told = {**brought, "import_id": "i", "model_id": copy, "artifact": first, "config_sha256": "ef" * 32}
    arrived = ImportSucceeded.model_validate({**told, "artifacts": others})
    await register.tell(register.reports.import_succeeded, arrived, project=project)
    return copy


async def test_everything_that_is_known_of_it_goes_along(register: Register, original: str) -> None:
    before = await register.view(original)
    copy = await register.view(await promoted(register, original), project="p2")
    assert (copy.model_name, copy.model_version, copy.model_status) == ("digits", "0.0.1", "published")
    assert (copy.description, copy.labels, copy.tags) == ("von Hand", ("a", "b"), {"team": "vision"})
    assert (copy.config, copy.training, copy.metrics) == (before.config, before.training, before.metrics)
    assert copy.scan == (before.scan and before.scan.model_copy(update={"made_in": "p1"}))
    assert [(each.kind, each.digest, each.conversion_id, each.made_in) for each in copy.artifacts] == [
        (each.kind, each.digest, each.conversion_id, "p1") for each in before.artifacts
    ]
    named = {each.artifact_id: each.kind for each in copy.artifacts}
    assert not set(named) & {each.artifact_id for each in before.artifacts}
    assert [(run.run_id, named[run.artifact_id], run.made_in) for run in copy.evaluations] == [
        ("r-1", "source", "p1"),
        ("r-2", "conversion", "p1"),
    ]
    assert copy.source == source(original, takes=()).model_copy(
        update={"model_name": "digits", "model_version": "0.0.1"}
    )
    assert await register.view(original) == before


async def test_what_the_request_says_itself_is_its_own(register: Register, original: str) -> None:
    takes = ("description", "tags")
    made = await promoted(register, original, source=source(original, takes=takes), labels=("mine",), name="other")
    copy = await register.view(made, project="p2")
    assert (copy.model_name, copy.description, copy.labels, copy.tags) == (
        "other",
        "von Hand",
        ("mine",),
        {"team": "vision"},
    )


async def test_its_plan_is_carried_out_on_every_artifact(register: Register, original: str) -> None:
    plan = Plan.model_validate({"evaluate": [{"dataset_id": "d-2"}]})
    await promoted(register, original, plan=plan)
    told = [said for said in await register.said() if said.type.split(".")[3] in ("published", "artifact-added")]
    assert [(said.type.split(".")[3], said.data["plan"]["evaluate"][0]["dataset_id"]) for said in told] == [
        ("published", "d-2"),
        ("artifact-added", "d-2"),
    ]


async def test_a_second_promotion_remembers_where_each_thing_was_made(
    register: Register, facts: Facts, original: str
) -> None:
    second = await promoted(register, original)
    await register.tell(register.reports.conversion_succeeded, facts.converted(second, "k-2"), project="p2")
    third = await promoted(register, second, source=source(second, "p2"), project="p3")
    view = await register.view(third, project="p3")
    assert [each.made_in for each in view.artifacts] == ["p1", "p1", "p2"]
    back = await promoted(register, second, source=source(second, "p2"), project="p1", name="back")
    assert [each.made_in for each in (await register.view(back)).artifacts] == [None, None, "p2"]


async def test_its_history_begins_with_who_promoted_it_and_from_where(register: Register, original: str) -> None:
    copy = await promoted(register, original)
    await register.said()
    history = await register.histories.history(register.context(project="p2"), GetHistory(model_id=copy))
    first = history.records[0]
    assert (first.action, first.by) == ("promoted", "alice")
    assert first.changes["source"].after | {"takes": []} == {
        "kind": "promotion",
        "project": "p1",
        "model_id": original,
        "model_name": "digits",
        "model_version": "0.0.1",
        "takes": [],
    }


def _edges(edges: tuple[LineageEdge, ...]) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.relation, edge.target) for edge in edges}


async def test_lineage_goes_across_one_way_only(register: Register, original: str) -> None:
    before = await register.tracing.lineage(register.context(), GetVersion(model_id=original))
    copy = await promoted(register, original)
    theirs = register.context(project="p2")
    graph = await register.tracing.lineage(theirs, GetVersion(model_id=copy))
    [node] = [node for node in graph.nodes if node.id == original]
    assert (node.kind, node.label, node.facts) == ("version", "digits 0.0.1", {"project": "p1"})
    edges = _edges(graph.edges)
    assert {(original, "promoted as", copy), ("training-job:j-1/V001", "produced", original)} <= edges
    assert ("dataset:sha256:12", "trained on", "training-job:j-1/V001") in edges
    assert copy in {node.id for node in (await register.tracing.trace(theirs, TraceLineage(code="abc123"))).nodes}
    assert await register.tracing.lineage(register.context(), GetVersion(model_id=original)) == before
    assert copy not in str(await register.tracing.trace(register.context(), TraceLineage(code="abc123")))
    await register.delete(original)
    assert await register.tracing.lineage(theirs, GetVersion(model_id=copy)) == graph


async def test_a_copy_within_the_project_hangs_on_its_original(register: Register, original: str) -> None:
    copy = await promoted(register, original, project="p1", name="digits-eu")
    assert {each.made_in for each in (await register.view(copy)).artifacts} == {None}
    for model_id in (original, copy):
        graph = await register.tracing.lineage(register.context(), GetVersion(model_id=model_id))
        assert (original, "copied as", copy) in _edges(graph.edges)
        assert [node.facts.get("status") for node in graph.nodes if node.kind == "version"] == ["published"] * 2


async def refusal(register: Register, given: PromotionSource, **fields: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        await register.create(project="p2", source=given, **fields)
    assert caught.value.problems[0].field == "source.model_id"
    assert (await register.listed(project="p2")).total_count == 0
    return caught.value


async def test_what_cannot_be_promoted_is_refused_and_says_why(
    register: Register, facts: Facts, original: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no model 'x' in project 'p1'" in str(await refusal(register, source("x")))
    assert "no model" in str(await refusal(register, source(original, "p3"))), "it is looked for where it was said"
    waiting = await register.create()
    assert "is publishing" in str(await refusal(register, source(waiting)))
    await register.tell(register.reports.import_failed, facts.refused(waiting))
    assert "is failed" in str(await refusal(register, source(waiting)))
    put_away = await register.published()
    await register.deletion.archive(register.context(), ArchiveVersion(model_id=put_away))
    assert "is archived; restore it first" in str(await refusal(register, source(put_away)))
    monkeypatch.setattr(arranging, "MOST_BYTES", 1000)
    assert "has" in str(await refusal(register, source(original)))


async def test_what_automatic_learning_made_stays_that(register: Register) -> None:
    auto = await register.published(source_type="auto")
    assert "automatic learning" in str(await refusal(register, source(auto)))
    await register.said()
    copy = await promoted(register, auto, source_type="auto")
    assert (await register.view(copy, project="p2")).source_type == "auto"


async def test_a_repeat_meets_its_copy_when_the_original_is_gone(register: Register, original: str) -> None:
    fields: dict[str, Any] = {"project": "p2", "key": "k", "source": source(original)}
    made = await register.create(**fields)
    await register.delete(original)
    assert await register.create(**fields) == made
