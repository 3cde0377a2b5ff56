"""What a verification of one version knows, and how a file that is not as its manifest says is named."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from modelyard_contracts.calls.version import DamagedFile
from modelyard_contracts.catalogue import VERSION_VERIFY
from modelyard_contracts.jobs import VerifyJob
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Artifact, FileEntry
from modelyard_version.domain.checks import Check
from modelyard_version.domain.versions import Version

Reason = Literal["missing", "size", "digest", "changed"]


@dataclass(frozen=True, kw_only=True)
class Verification(Check):
    """Sizes are bytes. `intact` None until it has succeeded; `more` counts damaged files beyond those named."""

    model_id: str
    total_bytes: int
    checked_bytes: int = 0
    intact: bool | None = None
    damaged: tuple[DamagedFile, ...] = ()
    more: int = 0


def asked(verification: Verification) -> Outcome[Verification]:
    """With the job that works on it."""
    return Outcome(verification, ((VERSION_VERIFY, VerifyJob(verification_id=verification.id)),))


def files_of(version: Version) -> Iterator[tuple[Artifact, FileEntry]]:
    return ((artifact, file) for artifact in version.artifacts for file in artifact.files)


def bytes_of(version: Version) -> int:
    return sum(file.size for _, file in files_of(version))


def progressed(verification: Verification, checked: int) -> Verification:
    return replace(verification, checked_bytes=checked)


def result(verification: Verification, damaged: tuple[DamagedFile, ...], found: int, now: int) -> Verification:
    return replace(
        verification,
        state="succeeded",
        finished_at=now,
        checked_bytes=verification.total_bytes,
        intact=not found,
        damaged=damaged,
        more=found - len(damaged),
    )


def fault(artifact: Artifact, file: FileEntry, found: tuple[str, int]) -> DamagedFile | None:
    """`found`: sha256 and size of what was read. None when it is what the manifest says."""
    sha256, size = found
    if size != file.size:
        reason: Reason = "changed" if artifact.by_reference else "size"
        return damage(artifact, file, reason, f"{file.path} has {size} bytes, its manifest says {file.size}")
    if sha256 != file.sha256:
        reason = "changed" if artifact.by_reference else "digest"
        return damage(artifact, file, reason, f"{file.path} has sha256 {sha256}, its manifest says {file.sha256}")
    return None


def damage(artifact: Artifact, file: FileEntry, reason: Reason, message: str) -> DamagedFile:
    return DamagedFile(artifact_id=artifact.artifact_id, path=file.path, reason=reason, message=message)


def still_there(version: Version | None, damaged: DamagedFile) -> bool:
    """Not when the artifact went while it was read."""
    return version is not None and version.artifact(damaged.artifact_id) is not None
