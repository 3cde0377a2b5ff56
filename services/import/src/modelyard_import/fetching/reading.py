"""Which files of a package have to be here for inspection, and how much room they take. Called by `bring`."""

from typing import Final

from modelyard_formats.errors import CONFIG_FILE
from modelyard_formats.format import MODEL_FOLDER, Entry
from modelyard_formats.scan.package import wants_content
from modelyard_formats.skim import skimmer_for
from modelyard_formats.table import recognise
from modelyard_import.fetching.listing import Package
from modelyard_import.fetching.transfer import LARGE

SKIMMED: Final = 64 << 20
"""Bytes that a skimmed file is taken to need: its structure without its weights."""


def read_by_inspection(package: Package) -> frozenset[str]:
    """`config.json`, what the format opens and what the scan looks into; of all else only name and size matter."""
    if package.is_image:
        return frozenset({CONFIG_FILE})
    row, files = recognise((Entry(*size) for size in package.layout.sizes), package.model_type)
    scanned = (path for path, size in package.layout.sizes if wants_content(path, size))
    return frozenset({CONFIG_FILE, *(f"{MODEL_FOLDER}/{name}" for name in row.reads(files)), *scanned})


def room_for(package: Package, read: frozenset[str]) -> int:
    """Bytes."""
    return sum(_needed(path, size) for path, size in package.layout.sizes if path in read)


def _needed(path: str, size: int) -> int:
    return min(size, SKIMMED) if size >= LARGE and skimmer_for(path, size) else size
