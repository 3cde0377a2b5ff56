"""The graph of one version, and the links to its files."""

from typing import Any

import pytest

from modelyard_contracts import events
from modelyard_contracts.calls.version import GetFiles, GetVersion
from modelyard_contracts.failures import Failure, FailureKind

from .conftest import Facts, Register


async def test_the_graph_goes_from_the_dataset_to_the_leaderboard(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    reports = register.reports
    await register.tell(reports.conversion_succeeded, facts.converted(model_id))
    await register.tell(reports.evaluation_succeeded, facts.evaluated(model_id))
    await register.tell(reports.listed, events.PublicationListed(listing_id="l", model_id=model_id, title="Digits"))
    await register.tell(reports.entry_submitted, facts.submitted(model_id, None))
    scored = events.EntryScored(
        entry_id="en-1", competition_id="co-1", model_id=model_id, metric="accuracy", score=0.95
    )
    await register.tell(reports.entry_scored, scored)

    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=model_id))

    kinds = {node.id: node.kind for node in graph.nodes}
    assert sorted(kinds.values()) == [
        "artifact", "artifact", "code", "dataset", "dataset", "entry", "evaluation", "listing",
        "training-job", "version",
    ]  # fmt: skip
    edges = {(kinds[edge.source], edge.relation, kinds[edge.target]) for edge in graph.edges}
    assert edges == {
        ("dataset", "trained on", "training-job"),
        ("code", "ran in", "training-job"),
        ("training-job", "produced", "version"),
        ("version", "holds", "artifact"),
        ("artifact", "converted to", "artifact"),
        ("artifact", "evaluated in", "evaluation"),
        ("dataset", "measured on", "evaluation"),
        ("version", "listed as", "listing"),
        ("artifact", "entered as", "entry"),
    }
    entry = next(node for node in graph.nodes if node.kind == "entry")
    assert (entry.facts["state"], entry.facts["score"]) == ("scored", 0.95)


async def test_a_withdrawn_listing_leaves_the_graph(register: Register) -> None:
    model_id = await register.published()
    listed = events.PublicationListed(listing_id="l", model_id=model_id, title="Digits")
    await register.tell(register.reports.listed, listed)
    await register.tell(register.reports.withdrawn, events.PublicationWithdrawn(listing_id="l", model_id=model_id))
    await register.tell(register.reports.listed, listed)
    graph = await register.tracing.lineage(register.context(), GetVersion(model_id=model_id))
    assert "listing" not in {node.kind for node in graph.nodes}


async def files(register: Register, model_id: str, artifact_id: str | None = None, actor: str = "alice") -> Any:
    request = GetFiles(model_id=model_id, artifact_id=artifact_id)
    return await register.reading.files(register.context(actor=actor), request)


async def test_links_to_one_artifact(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    source = await files(register, model_id)
    assert source.artifact_id == "a-source"
    assert source.expires_at == register.now + 3_600_000
    [link] = source.files
    assert (link.path, link.size) == ("model/digits.onnx", 5000)
    assert "artifacts/p1/models/m/source/model/digits.onnx" in link.url
    assert (await files(register, model_id, "a-k-1")).artifact_id == "a-k-1"
    with pytest.raises(Failure, match="no artifact 'a-x'") as caught:
        await files(register, model_id, "a-x")
    assert caught.value.kind == FailureKind.NOT_FOUND


async def test_only_a_published_version_has_files(register: Register) -> None:
    with pytest.raises(Failure, match="publishing; only a published version"):
        await files(register, await register.create())


async def test_an_automatically_learned_version_is_not_downloaded(register: Register) -> None:
    model_id = await register.published(source_type="auto")
    with pytest.raises(Failure, match="cannot be downloaded") as caught:
        await files(register, model_id)
    assert caught.value.kind == FailureKind.FORBIDDEN
    with pytest.raises(Failure, match="cannot be downloaded"):
        await files(register, model_id, actor="service:publish")
