"""What an import that succeeded has to tell: one event with the artifact. Called by `bring`."""

from typing import Final

from pydantic import BaseModel

from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Artifact, FileEntry, Location
from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.package.check import PackageReport
from modelyard_import.domain.imports import Import
from modelyard_import.errors import PackageTooLarge
from modelyard_import.fetching.origin import Origin
from modelyard_store.manifest import manifest_digest

MAX_FACT_BYTES: Final = 900_000
"""The event that tells of a success names every file and tensor, and has to fit one message."""


def fact_of(
    job: Import, origin: Origin, location: Location, files: tuple[FileEntry, ...], report: PackageReport, *, now: int
) -> ImportSucceeded:
    """Raises PackageTooLarge when it does not fit a message."""
    if report.config is None or report.inspection is None or report.format is None:
        raise RuntimeError("a package without problems came back without its description")
    files = tuple(sorted(files, key=lambda file: file.path))
    artifact = Artifact(
        artifact_id=derived_id(job.project, "source-artifact", job.model_id),
        kind="source",
        format=report.format,
        target="source",
        location=location,
        files=files,
        digest=manifest_digest(files),
        size=sum(file.size for file in files),
        by_reference=origin.by_reference,
        inspection=report.inspection,
        created_at=now,
    )
    fact = ImportSucceeded(
        import_id=job.import_id,
        model_id=job.model_id,
        artifact=artifact,
        config=report.config,
        config_sha256=next(file.sha256 for file in files if file.path == CONFIG_FILE),
        scan=report.scan,
        training=origin.training,
    )
    size = _bytes(fact)
    if size > MAX_FACT_BYTES:
        raise PackageTooLarge(_why(fact, size), rule=f"at most {MAX_FACT_BYTES:,} bytes of description")
    return fact


def _why(fact: ImportSucceeded, size: int) -> str:
    """Names the largest part, and what can be done about it."""
    inspected, artifact = fact.artifact.inspection, fact.artifact
    described = _bytes(inspected) if inspected else 0
    parts = {
        f"the list of its {len(artifact.files):,} files: take fewer files or shorter names": _bytes(artifact)
        - described,
        "its inputs, outputs and operators: give them shorter names": described,
        "config.json: keep what is large in a file of its own": _bytes(fact.config),
        "metrics and parameters of its training run: report less": _bytes(fact.training) if fact.training else 0,
        "what the scan found": _bytes(fact.scan) if fact.scan else 0,
    }
    largest = max(parts, key=lambda name: parts[name])
    told = f"what is kept of the package in its version has {size:,} bytes, at most {MAX_FACT_BYTES:,}"
    return f"{told}; {parts[largest]:,} of them are {largest}"


def _bytes(part: BaseModel) -> int:
    return len(part.model_dump_json(exclude_none=True).encode())
