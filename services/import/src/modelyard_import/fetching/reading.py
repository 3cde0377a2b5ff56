"""Which files of a package have to be here for inspection, and how much room they take. Called by `bring`."""

import asyncio
from dataclasses import dataclass
from typing import Final

from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.format import MODEL_FOLDER, Entry
from modelyard_formats.scan.package import wants_content
from modelyard_formats.scan.sniff import HEAD, TAIL, loadable
from modelyard_formats.skim import skimmer_for
from modelyard_formats.table import recognise
from modelyard_import.domain.layout import PlannedFile
from modelyard_import.fetching.listing import Package
from modelyard_import.fetching.transfer import LARGE, Transfer

SKIMMED: Final = 64 << 20
"""Bytes that a skimmed file is taken to need: its structure without its weights."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Paths. `whole` are fetched, of `skimmed` what inspection reads; of all else both ends are enough."""

    whole: frozenset[str]
    skimmed: frozenset[str]

    def room(self, package: Package) -> int:
        """Bytes."""
        return sum(self._needed(path, size) for path, size in package.layout.sizes)

    def _needed(self, path: str, size: int) -> int:
        if path in self.whole:
            return size
        return min(size, SKIMMED if path in self.skimmed else HEAD + TAIL)


def read_by_inspection(package: Package) -> Reading:
    """`config.json`, what the format opens and what the scan wants to see by its name and size."""
    if package.is_image:
        return Reading(frozenset({CONFIG_FILE}), frozenset())
    row, files = recognise((Entry(*size) for size in package.layout.sizes), package.model_type)
    opened = {f"{MODEL_FOLDER}/{name}" for name in row.reads(files)}
    scanned = {path for path, size in package.layout.sizes if wants_content(path, size)}
    large = {path for path, size in package.layout.sizes if size >= LARGE and skimmer_for(path, size)}
    return Reading(frozenset({CONFIG_FILE} | (opened - large) | scanned), frozenset((opened & large) - scanned))


async def sniff(package: Package, reading: Reading, transfer: Transfer) -> Reading:
    """Fetch both ends of everything else into its stand-in; what looks loadable there has to be read whole.

    The scan sees the same bytes and comes to the same answer, so it never takes a hole for content.
    """

    async def one(file: PlannedFile) -> str | None:
        ends = await transfer.ends(file)
        transfer.stand_in(file, ends)
        return file.path if loadable(ends) else None

    async with asyncio.TaskGroup() as group:
        files = [file for file in package.layout.files if file.path not in reading.whole]
        tasks = [group.create_task(one(file)) for file in files]
    asked = {path for task in tasks if (path := task.result())}
    return Reading(reading.whole | asked, reading.skimmed - asked)
