"""Read the names and sizes below a source folder, and refuse what cannot be a package before a byte moves."""

from dataclasses import dataclass
from typing import Final

from modelyard_contracts.shapes import Location
from modelyard_formats.errors import refusal
from modelyard_formats.listing import check_listing
from modelyard_import.domain.layout import Layout, SourceFile, lay_out, unplaceable
from modelyard_import.errors import PackageTooLarge, SourceRefused
from modelyard_store.objects import AccessDenied, NoSuchBucket, Objects

MOST_LISTED: Final = 100_000
"""Objects below one source folder: a run may keep far more than its model, but reading names has to end."""


@dataclass(frozen=True, slots=True)
class PackageLimits:
    max_files: int
    max_bytes: int


async def list_package(objects: Objects, location: Location, limits: PackageLimits) -> Layout:
    """Raises Failure with every broken rule, and what the store raises."""
    place = f"{location.bucket}/{location.prefix}"
    listed: list[SourceFile] = []
    try:
        async for found in objects.list(location.bucket, location.prefix):
            listed.append(
                SourceFile(location.bucket, found.key, found.key.removeprefix(location.prefix), found.size, found.etag)
            )
            if len(listed) > MOST_LISTED:
                rule = f"at most {MOST_LISTED} objects below the source folder"
                raise PackageTooLarge(f"more than {MOST_LISTED} objects lie below {place}", rule=rule)
    except NoSuchBucket as error:
        message = f"bucket {location.bucket!r} (of {place!r}) does not exist"
        raise SourceRefused(message, rule="an existing bucket", field="source.location.bucket") from error
    except AccessDenied as error:
        message = f"{place!r} may not be listed"
        raise SourceRefused(message, rule="readable with the yard's credentials") from error
    layout = lay_out(listed)
    if not layout.files:
        raise SourceRefused(f"nothing lies below {place}", rule="a folder with a model package")
    problems = (*unplaceable(layout), *check_listing((file.path, file.source.size) for file in layout.files))
    if problems:
        raise refusal(problems)
    _check_size(layout, limits, place)
    return layout


def _check_size(layout: Layout, limits: PackageLimits, place: str) -> None:
    count, total = len(layout.files), layout.total_bytes
    if count > limits.max_files:
        message = f"the package in {place} has {count} files; pack many samples into one .npz"
        raise PackageTooLarge(message, rule=f"at most {limits.max_files} files")
    if total > limits.max_bytes:
        message = f"the package in {place} has {total} bytes"
        raise PackageTooLarge(message, rule=f"at most {limits.max_bytes} bytes")
