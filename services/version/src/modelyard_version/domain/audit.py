"""What an audit knows, what it takes for a stray, and what a repair does to a version that has lost files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from modelyard_contracts import catalogue, codes
from modelyard_contracts.calls.version import DamagedFile
from modelyard_contracts.events import VersionFailed
from modelyard_contracts.jobs import AuditJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_version.domain.checks import Check
from modelyard_version.domain.versions import Version, VersionOutcome, folder_of

Manifested = Mapping[str, tuple[Artifact, FileEntry]]


@dataclass(frozen=True, kw_only=True)
class Audit(Check):
    """Sizes are bytes. `strays` and `incomplete` name the first, `stray_objects` counts all."""

    repair: bool
    objects: int = 0
    versions: int = 0
    stray_objects: int = 0
    stray_bytes: int = 0
    strays: tuple[str, ...] = ()
    incomplete: tuple[DamagedFile, ...] = ()
    repaired: bool = False


def asked(audit: Audit) -> Outcome[Audit]:
    """With the job that works on it."""
    return Outcome(audit, ((catalogue.VERSION_AUDIT, AuditJob(audit_id=audit.id)),))


def manifested(version: Version | None, bucket: str) -> dict[str, tuple[Artifact, FileEntry]]:
    """Key of every object that the version needs in the artifacts bucket. What it holds by reference lies elsewhere."""
    if version is None:
        return {}
    return {
        artifact.location.prefix + file.path: (artifact, file)
        for artifact in version.artifacts
        if not artifact.by_reference and artifact.location.bucket == bucket
        for file in artifact.files
    }


def is_stray(key: str, version: Version | None, needed: Manifested) -> bool:
    """Not what an import or a conversion may be writing now: both are known of before they write anything.

    `version` None: no such version in this project, or it was deleted.
    """
    if version is None:
        return True
    if key in needed or version.model_status == "publishing":
        return False
    converting = bool(version.work) and key.startswith(f"{folder_of(version.owner, version.model_id)}variants/")
    return not converting


def repaired(version: Version, damaged: Iterable[DamagedFile], now: int) -> VersionOutcome | None:
    """A conversion that has lost files is taken off; a version that has lost files of its own fails."""
    hurt = {each.artifact_id: each for each in damaged}
    lost = [each for each in version.artifacts if each.artifact_id in hurt and not each.by_reference]
    if version.model_status != "published" or not lost:
        return None
    if any(artifact.kind == "source" for artifact in lost):
        return _failed(version, tuple(hurt.values()), now)
    kept = tuple(artifact for artifact in version.artifacts if artifact not in lost)
    return VersionOutcome(replace(version, artifacts=kept, updated_at=now), action="artifact-removed")


def _failed(version: Version, damaged: tuple[DamagedFile, ...], now: int) -> VersionOutcome:
    """Its artifacts stay named, so that what is left of them is no stray."""
    reason = f"files of the version are gone from the store: {damaged[0].message}"
    problems = [{"message": each.message, "file": each.path, "field": None, "rule": None} for each in damaged[:50]]
    failure = {"code": codes.ARTIFACT_DAMAGED, "reason": reason, "problems": problems}
    said = VersionFailed(
        model_id=version.model_id,
        model_name=version.model_name,
        model_version=version.model_version,
        code=codes.ARTIFACT_DAMAGED,
        reason=reason,
    )
    failed = replace(version, model_status="failed", failure=failure, updated_at=now)
    return VersionOutcome(failed, ((catalogue.VERSION_FAILED, said),), action="failed")
