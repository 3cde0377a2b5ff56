"""Fetch, check, copy and inspect one package. Called by the fetch handler, which owns claim, lease and outcome.

Names and sizes are checked before anything large moves. Then everything is done at once: each file is copied inside the
store and hashed on the way through here; the few files that must be read are kept in a temporary folder, and inspection
begins when they are there, while larger copies are still under way. Of every other file both ends are fetched first.
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modelyard_contracts.events import ImportSucceeded
from modelyard_contracts.shapes import FileEntry, ImageSource, PromotionSource
from modelyard_formats.package.check import PackageReport
from modelyard_import.domain.imports import Import, attempt_location
from modelyard_import.domain.layout import Layout
from modelyard_import.domain.sources import Places
from modelyard_import.fetching.fact import fact_of
from modelyard_import.fetching.image import Images
from modelyard_import.fetching.inspection import Inspector
from modelyard_import.fetching.listing import Package, PackageLimits, list_package
from modelyard_import.fetching.notes import Notes
from modelyard_import.fetching.origin import Origin, origin_of
from modelyard_import.fetching.pinning import Pinning
from modelyard_import.fetching.promotion import promote
from modelyard_import.fetching.reading import Reading, read_by_inspection, sniff
from modelyard_import.fetching.resuming import open_folder
from modelyard_import.fetching.room import Room
from modelyard_import.fetching.transfer import Transfer
from modelyard_import.fetching.writing import write_locally, write_to_store
from modelyard_import.repository import Repository
from modelyard_store.objects import Objects
from modelyard_work.long_work import Attempt


@dataclass(frozen=True, slots=True)
class Bring:
    repository: Repository
    objects: Objects
    inspect: Inspector
    images: Images
    limits: PackageLimits
    places: Places
    now: Callable[[], int]
    room: Room = field(default_factory=lambda: Room(Path(tempfile.gettempdir())))

    async def __call__(self, attempt: Attempt[Import], notes: Notes) -> ImportSucceeded:
        """Raises Failure for a package or place that is refused; anything else is worth another attempt."""
        if isinstance(source := attempt.value.source, PromotionSource):
            return await promote(attempt, source, notes, objects=self.objects)
        origin, package = await self._found(attempt.value, notes)
        job = await open_folder(attempt, package.layout, notes, objects=self.objects)
        target = origin.parts[0].location if origin.by_reference else attempt_location(job)
        kind = Pinning if origin.by_reference else Transfer
        transfer = kind(self.objects, target, attempt.folder / "package", notes)
        reading = await sniff(package, read_by_inspection(package), transfer)
        async with self.room.take(reading.room(package)):
            files, report = await self._fetch(package, reading, transfer)
        did = "stays in" if origin.by_reference else "copied to"
        notes.log(f"{did} {target.bucket}/{target.prefix}; {report.format}, every rule kept")
        return fact_of(job, origin, target, files, report, now=self.now())

    async def _found(self, job: Import, notes: Notes) -> tuple[Origin, Package]:
        """What shall come in: checked by name and size, an image found in its registry."""
        if isinstance(job.source, ImageSource):
            origin, package = Origin(()), await self.images.package_of(job, job.source, self.places)
        else:
            origin = await origin_of(job, self.repository, self.places)
            package = await list_package(self.objects, origin, self.limits)
            _note(package.layout, origin, notes)
        if package.is_image:
            package = await self.images.resolved(job, package, notes)
        notes.total_bytes = package.layout.total_bytes
        return origin, package

    async def _fetch(
        self, package: Package, reading: Reading, transfer: Transfer
    ) -> tuple[tuple[FileEntry, ...], PackageReport]:
        layout = package.layout
        whole = [file for file in layout.files if file.path in reading.whole]
        skimmed = [file for file in layout.files if file.path in reading.skimmed]
        others = [file for file in layout.files if file.path not in reading.whole | reading.skimmed]
        for written in layout.written:
            write_locally(transfer.folder, written)
        async with asyncio.TaskGroup() as group:
            downloads = [group.create_task(transfer.download(file)) for file in whole]
            downloads += [group.create_task(transfer.skim(file)) for file in skimmed]
            for file in (*whole, *skimmed):
                group.create_task(transfer.copy_unread(file))
            copies = [group.create_task(transfer.copy(file)) for file in others]
            writes = [group.create_task(write_to_store(transfer, file)) for file in layout.written]
            downloaded = await asyncio.gather(*downloads)
            report = await self._report(package, transfer)
        return (*downloaded, *(task.result() for task in (*copies, *writes))), report

    async def _report(self, package: Package, transfer: Transfer) -> PackageReport:
        """Raises Failure with everything that is wrong."""
        if package.image is not None:
            return package.image
        transfer.notes.log(f"confinement: {self.inspect.confinement}")
        report = await self.inspect(transfer.folder)
        transfer.notes.scan = report.scan
        if failure := report.failure():
            raise failure
        return report


def _note(layout: Layout, origin: Origin, notes: Notes) -> None:
    notes.log(f"found {len(layout.sizes)} files, {layout.total_bytes} bytes, in {origin.place}")
    if layout.left_out:
        notes.log(f"left out {len(layout.left_out)} files beside model/: {_some(layout.left_out)}")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
