"""Where one version came from and what was made of it, as a graph. Used by the lineage call."""

from collections.abc import Iterator

from modelyard_contracts.calls.version import EvaluationSummary, Lineage, LineageEdge, LineageNode
from modelyard_contracts.shapes import Artifact, TrainingRef
from modelyard_version.domain.versions import Entry, Listing, Version

Parts = Iterator[LineageNode | LineageEdge]


def lineage(version: Version) -> Lineage:
    """Datasets and code → training job → version → artifacts → evaluations and entries; version → listings."""
    nodes: dict[str, LineageNode] = {}
    edges: dict[tuple[str, str, str], LineageEdge] = {}
    for part in _parts(version):
        if isinstance(part, LineageNode):
            nodes.setdefault(part.id, part)
        else:
            edges.setdefault((part.source, part.target, part.relation), part)
    return Lineage(nodes=tuple(nodes.values()), edges=tuple(edges.values()))


def _parts(version: Version) -> Parts:
    if version.training:
        yield from _training(version.training, version.model_id)
    facts = {"status": version.model_status, "model_type": version.model_type, "created_by": version.created_by}
    label = f"{version.model_name} {version.model_version}"
    yield LineageNode(id=version.model_id, kind="version", label=label, facts=facts)
    for artifact in version.artifacts:
        yield from _artifact(artifact, version)
    for evaluation in version.evaluations:
        yield from _evaluation(evaluation)
    for listing in version.listings:
        yield from _listing(listing, version.model_id)
    for entry in version.entries:
        yield from _entry(entry, version.model_id)


def _training(training: TrainingRef, model_id: str) -> Parts:
    job = f"training-job:{training.job_id}/{training.job_version}"
    if training.dataset:
        dataset = f"dataset:{training.dataset.digest or training.dataset.uri}"
        facts = training.dataset.model_dump()
        yield LineageNode(id=dataset, kind="dataset", label=training.dataset.uri, facts=facts)
        yield LineageEdge(source=dataset, target=job, relation="trained on")
    if training.code:
        code = f"code:{training.code.repository}@{training.code.commit}"
        facts = training.code.model_dump()
        yield LineageNode(id=code, kind="code", label=f"{training.code.repository}@{training.code.commit}", facts=facts)
        yield LineageEdge(source=code, target=job, relation="ran in")
    facts = training.model_dump(exclude={"dataset", "code"}, exclude_none=True)
    label = f"{training.job_name} {training.job_version}"
    yield LineageNode(id=job, kind="training-job", label=label, facts=facts)
    yield LineageEdge(source=job, target=model_id, relation="produced")


def _artifact(artifact: Artifact, version: Version) -> Parts:
    facts = artifact.model_dump(include={"format", "target", "size", "digest", "conversion_id"}, exclude_none=True)
    yield LineageNode(id=artifact.artifact_id, kind="artifact", label=artifact.target, facts=facts)
    yield LineageEdge(source=version.model_id, target=artifact.artifact_id, relation="holds")
    source = version.source_artifact
    if source and artifact.kind == "conversion":
        yield LineageEdge(source=source.artifact_id, target=artifact.artifact_id, relation="converted to")


def _evaluation(run: EvaluationSummary) -> Parts:
    facts = run.model_dump(include={"evaluation_id", "version", "samples", "metrics"})
    label = f"{run.version} on {run.target}"
    dataset = f"dataset:{run.dataset_id}"
    yield LineageNode(id=run.run_id, kind="evaluation", label=label, facts=facts)
    yield LineageEdge(source=run.artifact_id, target=run.run_id, relation="evaluated in")
    yield LineageNode(id=dataset, kind="dataset", label=run.dataset_id)
    yield LineageEdge(source=dataset, target=run.run_id, relation="measured on")


def _listing(listing: Listing, model_id: str) -> Parts:
    yield LineageNode(id=listing.listing_id, kind="listing", label=listing.title)
    yield LineageEdge(source=model_id, target=listing.listing_id, relation="listed as")


def _entry(entry: Entry, model_id: str) -> Parts:
    facts = {"competition_id": entry.competition_id, "state": entry.state, "metric": entry.metric, "score": entry.score}
    yield LineageNode(id=entry.entry_id, kind="entry", label=f"entry in {entry.competition_id}", facts=facts)
    yield LineageEdge(source=entry.artifact_id or model_id, target=entry.entry_id, relation="entered as")
