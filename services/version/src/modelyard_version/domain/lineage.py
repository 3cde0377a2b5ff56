"""Where versions came from and what was made of them, as one graph. Used by handlers/tracing."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from modelyard_contracts.calls.version import EvaluationSummary, Lineage, LineageEdge, LineageNode
from modelyard_contracts.shapes import (
    Artifact,
    ImageSource,
    PromotionSource,
    StorageSource,
    TemplateSource,
    TrainingRef,
)
from modelyard_version.domain.origins import reaches
from modelyard_version.domain.versions import Entry, Listing, Version

MOST_BYTES: Final = 700_000
"""Of one graph as JSON: a message holds 1 MiB."""

Parts = Iterator[LineageNode | LineageEdge]


def lineage(versions: Iterable[Version], bucket: str, cut: str | None = None) -> Lineage:
    """Datasets and code → training job → version → artifacts → evaluations and entries; version → listings; image and
    template → version; from an artifact to the versions that were imported from it, if both are among `versions`; and
    from an original to what it was promoted as, with what made the original before it.

    A version whose part would make the graph too large is left out, and `cut` says so.
    """
    known = {version.model_id: version for version in versions}
    graph = _Graph()
    for count, version in enumerate(known.values()):
        if not graph.add((*_parts(version), *_origins(version, known, bucket))):
            cut = f"the graph is too large: {count} of {len(known)} versions are shown"
            break
    return graph.shown(cut)


class _Graph:
    """What several versions share is there once."""

    def __init__(self) -> None:
        self._nodes: dict[str, LineageNode] = {}
        self._edges: dict[tuple[str, str, str], LineageEdge] = {}
        self._bytes = 0

    def add(self, parts: Iterable[LineageNode | LineageEdge]) -> bool:
        """False, and nothing is added, when it would become too large; the first version always is."""
        nodes: dict[str, LineageNode] = {}
        edges: dict[tuple[str, str, str], LineageEdge] = {}
        for part in parts:
            if isinstance(part, LineageEdge):
                edges.setdefault((part.source, part.target, part.relation), part)
            elif part.id not in self._nodes:
                nodes.setdefault(part.id, part)
        size = sum(len(part.model_dump_json()) + 1 for part in (*nodes.values(), *edges.values()))
        if self._nodes and self._bytes + size > MOST_BYTES:
            return False
        self._bytes += size
        self._nodes.update(nodes)
        self._edges.update(edges)
        return True

    def shown(self, cut: str | None) -> Lineage:
        """An edge to a version that was left out goes with it."""
        edges = (edge for edge in self._edges.values() if {edge.source, edge.target} <= self._nodes.keys())
        return Lineage(nodes=tuple(self._nodes.values()), edges=tuple(edges), cut=cut)


def _parts(version: Version) -> Parts:
    if version.training:
        original = version.source.model_id if isinstance(version.source, PromotionSource) else None
        yield from _training(version.training, original or version.model_id)
    yield from _source(version)
    label = f"{version.model_name} {version.model_version}"
    yield LineageNode(id=version.model_id, kind="version", label=label, facts=_version_facts(version))
    for artifact in version.artifacts:
        yield from _artifact(artifact, version)
    for evaluation in version.evaluations:
        yield from _evaluation(evaluation)
    for listing in version.listings:
        yield from _listing(listing, version.model_id)
    for entry in version.entries:
        yield from _entry(entry, version.model_id)


def _version_facts(version: Version) -> dict[str, Any]:
    facts = {
        "status": version.model_status,
        "model_type": version.model_type,
        "created_by": version.created_by,
        "source": version.source.kind,
        "project": version.owner,
    }
    if isinstance(version.source, StorageSource):
        facts["location"] = f"s3://{version.source.location.bucket}/{version.source.location.prefix}"
    return facts


def _origins(version: Version, known: dict[str, Version], bucket: str) -> Parts:
    """From the artifact of another version that this one was imported from, or from its original, of which nothing but
    its name is told when it is not among those known: of another project, or gone."""
    if isinstance(version.source, PromotionSource):
        source = version.source
        if source.model_id not in known:
            label, facts = f"{source.model_name} {source.model_version}", {"project": source.project}
            yield LineageNode(id=source.model_id, kind="version", label=label, facts=facts)
        relation = "copied as" if source.project == version.owner else "promoted as"
        yield LineageEdge(source=source.model_id, target=version.model_id, relation=relation)
    for reach in reaches(version.source, version.project, bucket):
        origin = known.get(reach.model_id or "")
        if origin is None or origin is version:
            continue
        places = {f"{each.location.bucket}/{each.location.prefix}": each.artifact_id for each in origin.artifacts}
        within = (id for place, id in places.items() if reach.place.startswith(place))
        yield LineageEdge(source=next(within, origin.model_id), target=version.model_id, relation="imported as")


def _source(version: Version) -> Parts:
    match version.source:
        case ImageSource(reference=reference, platform=platform):
            held = version.source_artifact
            image = held.inspection.image if held else None
            facts = {"platform": platform} if image is None else image.model_dump(include=_IMAGE_FACTS)
            node = f"image:{image.digest if image else reference}"
            yield LineageNode(id=node, kind="image", label=reference, facts=facts)
            yield LineageEdge(source=node, target=version.model_id, relation="imported as")
        case TemplateSource(template_id=template_id, template_name=name):
            node = f"template:{template_id}"
            yield LineageNode(id=node, kind="template", label=name or template_id)
            yield LineageEdge(source=node, target=version.model_id, relation="shaped")


_IMAGE_FACTS: Final = {"reference", "digest", "platform", "size", "created"}


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
    facts = artifact.model_dump(
        include={"format", "target", "size", "digest", "conversion_id", "by_reference", "made_in"}, exclude_none=True
    )
    yield LineageNode(id=artifact.artifact_id, kind="artifact", label=artifact.target, facts=facts)
    yield LineageEdge(source=version.model_id, target=artifact.artifact_id, relation="holds")
    source = version.source_artifact
    if source and artifact.kind == "conversion":
        yield LineageEdge(source=source.artifact_id, target=artifact.artifact_id, relation="converted to")


def _evaluation(run: EvaluationSummary) -> Parts:
    facts = run.model_dump(include={"evaluation_id", "version", "samples", "metrics", "made_in"}, exclude_none=True)
    label = f"{run.version} on {run.target}"
    dataset = f"dataset:{run.dataset_id}"
    yield LineageNode(id=run.run_id, kind="evaluation", label=label, facts=facts)
    yield LineageEdge(source=run.artifact_id, target=run.run_id, relation="evaluated in")
    yield LineageNode(id=dataset, kind="dataset", label=run.dataset_name or run.dataset_id)
    yield LineageEdge(source=dataset, target=run.run_id, relation="measured on")


def _listing(listing: Listing, model_id: str) -> Parts:
    yield LineageNode(id=listing.listing_id, kind="listing", label=listing.title)
    yield LineageEdge(source=model_id, target=listing.listing_id, relation="listed as")


def _entry(entry: Entry, model_id: str) -> Parts:
    facts = {"competition_id": entry.competition_id, "state": entry.state, "metric": entry.metric, "score": entry.score}
    label = f"entry in {entry.title or entry.competition_id}"
    if entry.state == "rejected":
        label, facts["reason"] = f"{label}, rejected", entry.reason
    yield LineageNode(id=entry.entry_id, kind="entry", label=label, facts=facts)
    yield LineageEdge(source=entry.artifact_id or model_id, target=entry.entry_id, relation="entered as")
