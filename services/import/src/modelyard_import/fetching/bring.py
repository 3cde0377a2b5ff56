"""Fetch, check, copy and inspect one package. Called by the fetch handler, which owns claim, lease and outcome.

Names and sizes are checked before a byte moves. Then everything is done at once: each file is copied inside the store
and hashed on the way through here; the few files that must be read are kept in a temporary folder, and inspection
begins when they are there, while larger copies are still under way.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Artifact, FileEntry, Location
from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.format import MODEL_FOLDER, Entry
from modelyard_formats.package import PackageReport
from modelyard_formats.table import recognise
from modelyard_import.domain.imports import Import, attempt_location
from modelyard_import.domain.layout import Layout
from modelyard_import.errors import PackageTooLarge
from modelyard_import.fetching.inspection import Inspector
from modelyard_import.fetching.listing import PackageLimits, list_package
from modelyard_import.fetching.notes import Notes
from modelyard_import.fetching.origin import Origin, origin_of
from modelyard_import.fetching.transfer import Transfer
from modelyard_import.repository import Repository
from modelyard_store.manifest import manifest_digest
from modelyard_store.objects import Objects

MAX_FACT_BYTES: Final = 900_000
"""The event that tells of a success names every file and tensor, and has to fit one message."""


@dataclass(frozen=True, slots=True)
class Bring:
    repository: Repository
    objects: Objects
    inspect: Inspector
    limits: PackageLimits
    source_buckets: tuple[str, ...]
    now: Callable[[], int]

    async def __call__(self, job: Import, notes: Notes) -> ImportSucceeded:
        """Raises Failure for a package or place that is refused; anything else is worth another attempt."""
        origin = await origin_of(job, self.repository, self.source_buckets)
        place = f"{origin.location.bucket}/{origin.location.prefix}"
        layout = await list_package(self.objects, origin.location, self.limits)
        notes.total_bytes = layout.total_bytes
        notes.log(f"found {len(layout.files)} files, {layout.total_bytes} bytes, in {place}")
        if layout.left_out:
            notes.log(f"left out {len(layout.left_out)} files beside model/: {_some(layout.left_out)}")
        target = attempt_location(job)
        with tempfile.TemporaryDirectory(prefix="modelyard-import-", ignore_cleanup_errors=True) as folder:
            transfer = Transfer(self.objects, target, Path(folder, "package"), notes)
            files, report = await self._fetch(layout, transfer)
        notes.log(f"copied to {target.bucket}/{target.prefix}; {report.format}, every rule kept")
        return self._fact(job, origin, target, files, report)

    async def _fetch(self, layout: Layout, transfer: Transfer) -> tuple[tuple[FileEntry, ...], PackageReport]:
        read = _read_by_inspection(layout)
        local = [file for file in layout.files if file.path in read]
        others = [file for file in layout.files if file.path not in read]
        for file in others:
            transfer.stand_in(file)
        with _first_error():
            async with asyncio.TaskGroup() as group:
                downloads = [group.create_task(transfer.download(file)) for file in local]
                for file in local:
                    group.create_task(transfer.copy_unread(file))
                copies = [group.create_task(transfer.copy(file)) for file in others]
                downloaded = await asyncio.gather(*downloads)
                report = await self.inspect(transfer.folder)
                if failure := report.failure():
                    raise failure
        return (*downloaded, *(copy.result() for copy in copies)), report

    def _fact(
        self, job: Import, origin: Origin, target: Location, files: tuple[FileEntry, ...], report: PackageReport
    ) -> ImportSucceeded:
        if report.config is None or report.inspection is None or report.format is None:
            raise RuntimeError("a package without problems came back without its description")
        files = tuple(sorted(files, key=lambda file: file.path))
        artifact = Artifact(
            artifact_id=derived_id(job.project, "source-artifact", job.model_id),
            kind="source",
            format=report.format,
            target="source",
            location=target,
            files=files,
            digest=manifest_digest(files),
            size=sum(file.size for file in files),
            inspection=report.inspection,
            created_at=self.now(),
        )
        fact = ImportSucceeded(
            import_id=job.import_id,
            model_id=job.model_id,
            artifact=artifact,
            config=report.config,
            config_sha256=next(file.sha256 for file in files if file.path == CONFIG_FILE),
            training=origin.training,
        )
        size = len(fact.model_dump_json(exclude_none=True).encode())
        if size > MAX_FACT_BYTES:
            message = f"the description of the package (its files, inputs and outputs) has {size} bytes"
            raise PackageTooLarge(message, rule=f"at most {MAX_FACT_BYTES} bytes of description")
        return fact


def _read_by_inspection(layout: Layout) -> frozenset[str]:
    """`config.json` and the model's main file; of everything else only name and size matter."""
    _, files = recognise(Entry(file.path, file.source.size) for file in layout.files)
    return frozenset({CONFIG_FILE, f"{MODEL_FOLDER}/{files[0]}"})


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


@contextmanager
def _first_error() -> Iterator[None]:
    """What went wrong first, bare: the handler tells a refusal from trouble by its class."""
    try:
        yield
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
