"""The life of one version: publishing → published or failed → deleted. Used by the call, event and job handlers.

Every transition takes the version as stored and returns what it becomes and what is then said, or None when there is
nothing to do: what is told twice, or too late, changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import (
    EvaluationSummary,
    InstallType,
    ModelDoc,
    Specification,
    Status,
    UpdateVersion,
)
from modelyard_contracts.events import (
    ArtifactAdded,
    Assembly,
    ConversionSucceeded,
    EvaluationSucceeded,
    ImportFailed,
    ImportSucceeded,
    Original,
    VersionArchived,
    VersionChanged,
    VersionDeleted,
    VersionFailed,
    VersionPublished,
    VersionRequested,
    VersionRestored,
)
from modelyard_contracts.jobs import PurgeJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Artifact, Asked, Declared, Location, Plan, ScanReport, Source, TrainingRef

KEPT: Final = 500
"""How many evaluations and how many ids of ended work a version remembers; the evaluate service keeps the rest."""

EDITABLE: Final = ("description", "labels", "tags", "model_docs")

NOTHING_ASKED: Final = Asked()
NOTHING_DECLARED: Final = Declared()
TEMPLATE: Final = "Template"
"""The type of a version for whoever asked for it as one; which engine it needs, its config says."""

GENESIS: Final = "0" * 64
"""What the first record of a history has instead of the hash of the one before."""


@dataclass(frozen=True, slots=True)
class Work:
    """A conversion or an evaluation that has not ended; `words` say so to a person."""

    id: str
    words: str


@dataclass(frozen=True, slots=True)
class Listing:
    listing_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A listing that its plan asked for in vain."""

    listing_id: str
    title: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a competition entry. `deadline` in ms; None until `entry-submitted` has told it, which never
    comes for one that a plan asked for in vain. `title` is the competition's. `code` and `reason` say why it was
    rejected.
    """

    entry_id: str
    competition_id: str
    artifact_id: str | None = None
    deadline: int | None = None
    state: Literal["submitted", "scored", "rejected"] = "submitted"
    metric: str | None = None
    score: float | None = None
    code: str | None = None
    reason: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """An alias holds this version, or is about to, by its move number `move` (see domain/aliases)."""

    alias: str
    move: int


@dataclass(frozen=True)
class Version:
    """One version of a model. Sizes are bytes, instants ms since 1970 UTC; `model_size` is the source artifact's.

    `keyed`: made with an idempotency key, so that the key has to answer for it for ever. `settled` holds ids of ended
    work and withdrawn listings, newest last. `evaluated_on` are ids of datasets, `imported_from` of versions of the
    project whose files were copied. `history_*` tell of the newest record (domain/history.py).

    `home` is the project in which it has its number, for ever. `project` is the same, or where an archived or deleted
    one lies: no query of a real project finds it there.
    """

    model_id: str
    project: str
    model_name: str
    model_version: str
    version_order: int
    source: Source
    specification: Specification
    plan: Plan
    created_by: str
    create_at: int
    updated_at: int
    request_digest: str
    keyed: bool = False
    model_status: Status = "publishing"
    description: str = ""
    labels: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    model_docs: tuple[ModelDoc, ...] = ()
    install_type: tuple[InstallType, ...] = ()
    source_type: str | None = None
    workspace_id: str | None = None
    asked: Asked = NOTHING_ASKED
    config: PackageConfig | None = None
    model_type: str | None = None
    model_size: int = 0
    artifacts: tuple[Artifact, ...] = ()
    evaluations: tuple[EvaluationSummary, ...] = ()
    evaluated_on: tuple[str, ...] = ()
    imported_from: tuple[str, ...] = ()
    training: TrainingRef | None = None
    scan: ScanReport | None = None
    failure: dict[str, Any] | None = None
    work: tuple[Work, ...] = ()
    settled: tuple[str, ...] = ()
    listings: tuple[Listing, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    entries: tuple[Entry, ...] = ()
    marks: tuple[Mark, ...] = ()
    deleted_at: int | None = None
    archived_at: int | None = None
    expires_at: int | None = None
    home: str | None = None
    history_seq: int = 0
    history_hash: str = GENESIS
    history_at: int = 0

    @property
    def source_artifact(self) -> Artifact | None:
        return next((artifact for artifact in self.artifacts if artifact.kind == "source"), None)

    @property
    def title(self) -> str:
        """As people call it."""
        return f"{self.model_name} {self.model_version}"

    @property
    def owner(self) -> str:
        """Versions of earlier releases have no `home`."""
        return self.home or self.project

    def artifact(self, artifact_id: str | None) -> Artifact | None:
        """None means the source."""
        if artifact_id is None:
            return self.source_artifact
        return next((artifact for artifact in self.artifacts if artifact.artifact_id == artifact_id), None)


@dataclass(frozen=True)
class VersionOutcome(Outcome[Version]):
    """`action` is how the version's history calls what happened."""

    action: str = "changed"


def folder_of(project: str, model_id: str) -> str:
    """Everything that belongs to a version lies below, relative to the artifacts bucket."""
    return f"{project}/models/{model_id}/"


def archive_of(project: str) -> str:
    """Where its archived versions lie."""
    return f"archived/{project}"


def updated(version: Version, request: UpdateVersion, now: int) -> VersionOutcome | None:
    """With what the request gives; the rest stays."""
    given: dict[str, Any] = {name: getattr(request, name) for name in EDITABLE if getattr(request, name) is not None}
    changed = tuple(name for name, value in given.items() if getattr(version, name) != value)
    if not changed:
        return None
    said = VersionChanged(**_named(version), changed=changed)
    done = replace(version, **given, updated_at=now)
    return VersionOutcome(done, ((catalogue.VERSION_CHANGED, said),), "updated")


def requested(
    version: Version,
    bucket: str,
    assembly: Assembly | None = None,
    declared: Declared = NOTHING_DECLARED,
    original: Original | None = None,
) -> VersionOutcome:
    fact = VersionRequested(
        **_named(version),
        source=version.source,
        destination=Location(bucket=bucket, prefix=f"{folder_of(version.project, version.model_id)}source/"),
        assembly=assembly,
        declared=declared,
        original=original,
    )
    return VersionOutcome(version, ((catalogue.VERSION_REQUESTED, fact),), "promoted" if original else "created")


def published(version: Version, fact: ImportSucceeded, now: int) -> VersionOutcome | None:
    if version.model_status != "publishing":
        return None
    artifact = fact.artifact
    done = replace(
        version,
        model_status="published",
        config=fact.config,
        model_type=TEMPLATE if version.model_type == TEMPLATE else fact.config.model_type,
        model_size=artifact.model_size,
        artifacts=(artifact, *fact.artifacts),
        evaluations=fact.evaluations,
        evaluated_on=tuple(dict.fromkeys(run.dataset_id for run in fact.evaluations)),
        training=fact.training,
        scan=fact.scan,
        updated_at=now,
    )
    said = VersionPublished(
        **_named(version),
        artifact_id=artifact.artifact_id,
        digest=artifact.digest,
        size=artifact.size,
        plan=version.plan,
    )
    more = ((catalogue.ARTIFACT_ADDED, _added(version, each)) for each in fact.artifacts)
    return VersionOutcome(done, ((catalogue.VERSION_PUBLISHED, said), *more), "published")


def failed(version: Version, fact: ImportFailed, now: int) -> VersionOutcome | None:
    if version.model_status != "publishing":
        return None
    failure = {"code": fact.code, "reason": fact.reason, "problems": list(fact.problems)}
    said = VersionFailed(**_named(version), code=fact.code, reason=fact.reason)
    done = replace(version, model_status="failed", failure=failure, scan=fact.scan, updated_at=now)
    return VersionOutcome(done, ((catalogue.VERSION_FAILED, said),), "failed")


def work_began(version: Version, work: Work, now: int) -> VersionOutcome | None:
    if work.id in version.settled or any(known.id == work.id for known in version.work):
        return None
    return VersionOutcome(replace(version, work=(*version.work, work), updated_at=now), action="work-began")


def work_ended(version: Version, work_id: str, now: int) -> VersionOutcome | None:
    """Also when the beginning was never heard of: it may come later, and must then hold nothing."""
    if work_id in version.settled:
        return None
    return VersionOutcome(_settle(version, work_id, now), action="work-ended")


def converted(version: Version, fact: ConversionSucceeded, now: int) -> VersionOutcome | None:
    artifact = fact.artifact
    if version.model_status != "published" or version.artifact(artifact.artifact_id):
        return None
    done = replace(_settle(version, fact.conversion_id, now), artifacts=(*version.artifacts, artifact))
    return VersionOutcome(done, ((catalogue.ARTIFACT_ADDED, _added(version, artifact)),), "artifact-added")


def evaluated(version: Version, fact: EvaluationSucceeded, now: int) -> VersionOutcome | None:
    """A run that scored an entry leaves no evaluation: numbers on hidden data belong to the leaderboard alone."""
    if fact.run_id in version.settled:
        return None
    done = _settle(version, fact.run_id, now)
    if fact.entry_id is None:
        summary = EvaluationSummary.model_validate(fact, from_attributes=True)
        datasets = dict.fromkeys((*done.evaluated_on, fact.dataset_id))
        done = replace(done, evaluations=(*done.evaluations, summary)[-KEPT:], evaluated_on=tuple(datasets)[-KEPT:])
    return VersionOutcome(done, action="evaluated")


def listed(version: Version, listing: Listing, now: int) -> VersionOutcome | None:
    if listing.listing_id in version.settled or listing in version.listings:
        return None
    return VersionOutcome(replace(version, listings=(*version.listings, listing), updated_at=now), action="listed")


def withdrawn(version: Version, listing_id: str, now: int) -> VersionOutcome | None:
    if listing_id in version.settled:
        return None
    kept = tuple(listing for listing in version.listings if listing.listing_id != listing_id)
    return VersionOutcome(replace(_settle(version, listing_id, now), listings=kept), action="withdrawn")


def refused(version: Version, refusal: Refusal, now: int) -> VersionOutcome | None:
    if any(known.listing_id == refusal.listing_id for known in version.refusals):
        return None
    return VersionOutcome(replace(version, refusals=(*version.refusals, refusal), updated_at=now), action="refused")


def entered(version: Version, entry: Entry, now: int) -> VersionOutcome | None:
    """Submission, score and rejection of one entry, in any order: each adds what it knows."""
    known = next((other for other in version.entries if other.entry_id == entry.entry_id), None)
    merged = _merge(known, entry)
    if merged == known:
        return None
    others = tuple(other for other in version.entries if other.entry_id != entry.entry_id)
    return VersionOutcome(replace(version, entries=(*others, merged), updated_at=now), action=f"entry-{merged.state}")


def archived(version: Version, now: int, expires_at: int | None = None) -> VersionOutcome:
    """It keeps everything but its listings, which are withdrawn. The caller has asked `in_use` before."""
    done = replace(
        version,
        project=archive_of(version.owner),
        home=version.owner,
        archived_at=now,
        expires_at=expires_at,
        listings=(),
        updated_at=now,
    )
    said = VersionArchived(**_named(version), expires_at=expires_at)
    return VersionOutcome(done, ((catalogue.VERSION_ARCHIVED, said),), "archived")


def restored(version: Version, now: int) -> VersionOutcome:
    done = replace(version, project=version.owner, archived_at=None, expires_at=None, updated_at=now)
    said = VersionRestored(**_named(version))
    return VersionOutcome(done, ((catalogue.VERSION_RESTORED, said),), "restored")


def deleted(version: Version, bucket: str, now: int) -> VersionOutcome:
    """A tombstone, in a project of its own: no query of a real project finds it. It stays, for its number is never
    used again. The caller has asked `in_use` before.
    """
    empty: tuple[()] = ()
    tombstone = replace(
        version,
        project=f"deleted/{version.model_id}",
        home=version.owner,
        expires_at=None,
        model_status="failed",  # it waits for no import any more
        deleted_at=now,
        updated_at=now,
        config=None,
        training=None,
        scan=None,
        artifacts=empty,
        evaluations=empty,
        settled=empty,
        listings=empty,
        refusals=empty,
        entries=empty,
    )
    folder = Location(bucket=bucket, prefix=folder_of(version.owner, version.model_id))
    purge = PurgeJob(model_id=version.model_id, location=folder)
    said = VersionDeleted(**_named(version))
    says = ((catalogue.VERSION_DELETED, said), (catalogue.VERSION_PURGE, purge))
    return VersionOutcome(tombstone, says, "deleted")


def _added(version: Version, artifact: Artifact) -> ArtifactAdded:
    return ArtifactAdded(**_named(version), artifact_id=artifact.artifact_id, target=artifact.target, plan=version.plan)


def _named(version: Version) -> dict[str, str]:
    return {
        "model_id": version.model_id,
        "model_name": version.model_name,
        "model_version": version.model_version,
    }


def _settle(version: Version, settled_id: str, now: int) -> Version:
    work = tuple(known for known in version.work if known.id != settled_id)
    return replace(version, work=work, settled=(*version.settled, settled_id)[-KEPT:], updated_at=now)


def _merge(known: Entry | None, told: Entry) -> Entry:
    if known is None:
        return told
    ended = known if told.state == "submitted" else told
    return replace(
        ended,
        metric=known.metric or told.metric,
        artifact_id=known.artifact_id or told.artifact_id,
        title=known.title or told.title,
        deadline=told.deadline if known.deadline is None else known.deadline,
    )
