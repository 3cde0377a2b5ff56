"""Forward and back: which versions came from a run, a dataset, a commit or a name, and from each other."""

from typing import Any

import pytest

from modelyard_contracts.calls.version import GetVersion, Lineage, TraceLineage
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import (
    CodeRef,
    ContainerImage,
    DatasetRef,
    ImageSource,
    Location,
    StorageSource,
    TemplateInput,
    TemplateSource,
    TrainingRef,
    TrainingSource,
)
from modelyard_version.domain.lineage import MOST_BYTES
from modelyard_version.handlers import lineage as tracing

from .conftest import Facts, Register


@pytest.fixture
def register(either: Register) -> Any:
    """On both databases: dotted fields and lists are where they differ."""
    return either


def trained(run: str = "V001", *, job: str = "j-1", data: str = "d1", commit: str = "c1") -> TrainingRef:
    return TrainingRef(
        job_id=job,
        job_name="digits",
        job_version=run,
        dataset=DatasetRef(uri=f"s3://data/{data}", digest=f"sha256:{data}"),
        code=CodeRef(repository="https://git.example/a", commit=commit),
    )


async def published(register: Register, facts: Facts, name: str = "digits", training: Any = None, **fields: Any) -> str:
    model_id: str = await register.create(name, **fields)
    project = fields.get("project", "p1")
    fact = facts.imported(model_id)
    place = Location(bucket="artifacts", prefix=f"{project}/models/{model_id}/source/1/")
    artifact = fact.artifact.model_copy(update={"artifact_id": f"a-{model_id}", "location": place})
    fact = fact.model_copy(update={"training": training, "artifact": artifact})
    await register.tell(register.reports.import_succeeded, fact, project=project)
    return model_id


async def trace(register: Register, project: str = "p1", **wanted: str) -> Lineage:
    graph = await register.tracing.trace(register.context(project=project), TraceLineage(**wanted))
    assert isinstance(graph, Lineage)
    ids = {node.id for node in graph.nodes}
    assert len(ids) == len(graph.nodes)
    assert all({edge.source, edge.target} <= ids for edge in graph.edges)
    return graph


def versions(graph: Lineage) -> set[str]:
    return {node.id for node in graph.nodes if node.kind == "version"}


def edges(graph: Lineage) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.relation, edge.target) for edge in graph.edges}


async def test_from_a_run_a_dataset_a_commit_and_a_name(register: Register, facts: Facts) -> None:
    first = await published(register, facts, training=trained("V001"))
    second = await published(register, facts, training=trained("V002", data="d2"))
    third = await published(register, facts, "faces", trained("V001", job="j-2", commit="c2"))
    await published(register, facts, training=trained(), project="p2")
    for wanted, expected in (
        ({"training_job": "j-1"}, {first, second}),
        ({"training_job": "j-1/V002"}, {second}),
        ({"dataset": "sha256:d1"}, {first, third}),
        ({"dataset": "s3://data/d2"}, {second}),
        ({"code": "c1"}, {first, second}),
        ({"code": "https://git.example/a@c2"}, {third}),
        ({"code": "https://git.example/b@c2"}, set()),
        ({"model_name": "digits"}, {first, second}),
        ({"model_name": "digit"}, set()),
        ({"training_job": "nothing"}, set()),
    ):
        graph = await trace(register, **wanted)
        assert versions(graph) == expected, wanted
        assert graph.cut is None
    shared = await trace(register, dataset="sha256:d1")
    assert [node.kind for node in shared.nodes].count("dataset") == 1


async def test_a_failed_version_is_found_by_the_run_it_was_asked_from(register: Register, facts: Facts) -> None:
    model_id = await register.create(source=TrainingSource(training_job_id="run-1"))
    await register.tell(register.reports.import_failed, facts.refused(model_id))
    assert versions(await trace(register, training_job="run-1")) == {model_id}


@pytest.mark.parametrize("wanted", [{}, {"code": "c", "dataset": "d"}])
async def test_exactly_one_thing_is_traced(register: Register, wanted: dict[str, str]) -> None:
    with pytest.raises(Failure, match="exactly one of"):
        await register.tracing.trace(register.context(), TraceLineage(**wanted))


async def test_what_was_imported_from_a_version_hangs_on_its_artifact(register: Register, facts: Facts) -> None:
    origin = await published(register, facts, training=trained())
    place = Location(bucket="artifacts", prefix=f"p1/models/{origin}/source/1/")
    copy = await published(register, facts, "copy", source=StorageSource(location=place))
    place = Location(bucket="artifacts", prefix=f"p1/models/{copy}/variants/x/")
    template = TemplateSource(
        template_id="onnx", template_inputs=(TemplateInput(input_id="model_folder", location=place),)
    )
    third = await published(register, facts, "third", source=template)

    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=third))
    assert versions(graph) == {origin, copy, third}
    assert (f"a-{origin}", "imported as", copy) in edges(graph)
    assert (copy, "imported as", third) in edges(graph)
    assert ("template:onnx", "shaped", third) in edges(graph)
    assert {origin, copy} <= versions(await trace(register, training_job="j-1"))
    assert third in versions(await register.tracing.lineage(register.context(), GetVersion(model_id=origin)))


async def test_a_dataset_is_traced_to_what_was_evaluated_on_it(register: Register, facts: Facts) -> None:
    made = [await published(register, facts) for _ in range(2)]
    for _ in range(2):
        await register.tell(register.reports.evaluation_succeeded, facts.evaluated(made[0]))
    assert versions(await trace(register, dataset="d-1")) == {made[0]}
    hidden = facts.evaluated(made[1], "r-2", "en-1")
    await register.tell(register.reports.evaluation_succeeded, hidden)
    assert versions(await trace(register, dataset="d-1")) == {made[0]}


async def test_an_image_is_a_node_by_its_digest(register: Register, facts: Facts) -> None:
    digest = "sha256:" + "0" * 64
    source = ImageSource(reference="ghcr.io/a/b:1", config={"model_algorithm": "x", "model_type": "Image"})
    waiting = await register.create(source=source)
    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=waiting))
    assert ("image:ghcr.io/a/b:1", "imported as", waiting) in edges(graph)

    image = ContainerImage(
        reference=f"ghcr.io/a/b@{digest}", requested="ghcr.io/a/b:1", digest=digest, platform="linux/amd64", size=9
    )
    fact = facts.imported(waiting)
    inspection = fact.artifact.inspection.model_copy(update={"image": image})
    artifact = fact.artifact.model_copy(update={"inspection": inspection})
    await register.tell(register.reports.import_succeeded, fact.model_copy(update={"artifact": artifact}))
    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=waiting))
    node = next(node for node in graph.nodes if node.kind == "image")
    assert (node.id, node.label, node.facts["size"]) == (f"image:{digest}", "ghcr.io/a/b:1", 9)


async def test_too_many_versions_are_cut_and_said(
    register: Register, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "MOST", 3)
    made = [await published(register, facts, training=trained()) for _ in range(5)]
    graph = await trace(register, training_job="j-1")
    assert versions(graph) == set(made[2:])
    assert graph.cut == "only 3 versions are shown"
    place = Location(bucket="artifacts", prefix=f"p1/models/{made[0]}/source/1/")
    for number in range(3):
        await published(register, facts, f"copy-{number}", source=StorageSource(location=place))
    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=made[0]))
    assert len(versions(graph)) == 3
    assert graph.cut


async def test_a_graph_fits_into_a_message(register: Register, facts: Facts) -> None:
    for number in range(5):
        ref = trained(f"V00{number}").model_copy(update={"parameters": {"grid": "x" * (MOST_BYTES // 3)}})
        await published(register, facts, training=ref)
    graph = await trace(register, training_job="j-1")
    assert len(versions(graph)) == 2
    assert graph.cut == "the graph is too large: 2 of 5 versions are shown"
