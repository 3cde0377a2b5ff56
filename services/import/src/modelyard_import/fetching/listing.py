"""Read names and sizes below the source folders and the small config.json, and refuse what cannot be a package before
anything large moves. Called by `bring`.

config.json is read first, because the model type it names decides which files make a model.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from modelyard_contracts.failures import Problem
from modelyard_contracts.package import PackageConfig
from modelyard_formats.errors import CONFIG_FILE, bounded, refusal
from modelyard_formats.package.check import PackageReport
from modelyard_formats.package.config_file import read_config
from modelyard_formats.package.listing import MAX_CONFIG, check_listing
from modelyard_import.domain.layout import (
    Layout,
    PlannedFile,
    SourceFile,
    WrittenFile,
    lay_out,
    moved,
    placed,
    unplaceable,
)
from modelyard_import.errors import PackageTooLarge, SourceRefused
from modelyard_import.fetching.declaring import with_declared
from modelyard_import.fetching.origin import Origin, Part
from modelyard_store.objects import (
    AccessDenied,
    NoSuchBucket,
    NoSuchObject,
    ObjectError,
    Objects,
    ObjectStoreUnavailable,
    ObjectTooLarge,
)

MOST_LISTED: Final = 100_000
"""Objects below one source folder: a run may keep far more than its model, but reading names has to end."""
IMAGE: Final = "Image"


@dataclass(frozen=True, slots=True)
class PackageLimits:
    max_files: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Package:
    """A package worth fetching. `config` is what config.json said when names were checked; the bytes that count are
    fetched later. `image` describes a container image, once its registry was asked."""

    layout: Layout
    config: PackageConfig
    image: PackageReport | None = None

    @property
    def model_type(self) -> str:
        return str(self.config.model_type)

    @property
    def is_image(self) -> bool:
        return self.model_type == IMAGE


async def list_package(objects: Objects, origin: Origin, limits: PackageLimits) -> Package:
    """Raises Failure with every broken rule, and what the store raises."""
    layout, problems = await _laid_out(objects, origin)
    text = await _config_text(objects, layout)
    told = await asyncio.to_thread(with_declared, layout, text, origin.declared, by_reference=origin.by_reference)
    layout, text = told.layout, told.text
    problems.extend(told.problems)
    config, config_problems, wrong = None, tuple[Problem, ...](), frozenset[str]()
    if text is not None:  # in a thread: what is valid, but large, takes its time
        config, config_problems, wrong = await asyncio.to_thread(read_config, text)
    model_type = config.model_type if config and "model_type" not in wrong else None
    problems.extend(config_problems)
    problems.extend(unplaceable(layout))
    problems.extend(_listing_problems(layout, model_type))
    if origin.by_reference and model_type == IMAGE:
        message = "what the registry says of an image is written beside its config.json"
        problems.append(Problem(message=message, field="source.source_copy", rule="an image's config.json is copied"))
    if problems:
        raise refusal(bounded(sorted(problems, key=lambda problem: problem.file != CONFIG_FILE)))
    _check_size(layout, limits, origin.place)
    if config is None:
        raise RuntimeError("a package without problems has no config.json")
    return Package(layout, config)


async def read_config_file(objects: Objects, bucket: str, key: str) -> bytes:
    """Raises SourceRefused for what cannot be read, and ObjectStoreUnavailable."""
    place = f"{bucket}/{key}"
    rule = f"a readable config.json of at most {MAX_CONFIG} bytes"
    try:
        return await objects.read(bucket, key, MAX_CONFIG)
    except ObjectStoreUnavailable:
        raise
    except (NoSuchObject, NoSuchBucket) as error:
        raise SourceRefused(f"{place} does not exist", rule=rule) from error
    except AccessDenied as error:
        raise SourceRefused(f"{place} may not be read", rule=rule) from error
    except ObjectTooLarge as error:
        raise SourceRefused(f"{place} has more than {MAX_CONFIG} bytes", rule=rule) from error
    except ObjectError as error:
        raise SourceRefused(f"{place} cannot be read: {error}", rule=f"{rule}, not encrypted") from error


async def _laid_out(objects: Objects, origin: Origin) -> tuple[Layout, list[Problem]]:
    """Where everything belongs, and what is wrong with the folders of a template. Raises SourceRefused."""
    first = origin.parts[0]
    if first.folder is None:
        layout = lay_out(await _list(objects, first))
        if not layout.files:
            raise SourceRefused(f"nothing lies below {first.place}", rule="a folder with a model package")
        if origin.by_reference and (strays := moved(layout)):
            message = f"{first.place} has no folder model/ but {strays[0]!r}, and nothing is moved by reference"
            raise SourceRefused(message, rule="by reference the folder holds model/", field="source.source_copy")
        return layout, []
    files: list[PlannedFile] = []
    problems: list[Problem] = []
    for part in origin.parts:
        found = placed(await _list(objects, part), part.folder or "")
        if not found:
            message = f"{part.field}: nothing lies below {part.place}"
            problems.append(Problem(message=message, field=part.field, rule="a folder with files"))
        files.extend(found)
    if any(file.path == CONFIG_FILE for file in files):
        rule = f"no {CONFIG_FILE}: the template takes its place"
        problems.append(Problem(message=f"{CONFIG_FILE} is not for templates", file=CONFIG_FILE, rule=rule))
    written = (WrittenFile(CONFIG_FILE, _config_bytes(origin.config)),) if origin.config else ()
    return Layout(tuple(file for file in files if file.path != CONFIG_FILE), written=written), problems


def _config_bytes(config: PackageConfig | None) -> bytes:
    return json.dumps(config.model_dump(mode="json", exclude_defaults=True) if config else {}, indent=2).encode()


async def _list(objects: Objects, part: Part) -> list[SourceFile]:
    place, listed = part.location, list[SourceFile]()
    try:
        async for found in objects.list(place.bucket, place.prefix):
            path = found.key.removeprefix(place.prefix)
            listed.append(SourceFile(place.bucket, found.key, path, found.size, found.etag))
            if len(listed) > MOST_LISTED:
                rule = f"at most {MOST_LISTED} objects below the source folder"
                raise PackageTooLarge(f"more than {MOST_LISTED} objects lie below {part.place}", rule=rule)
    except NoSuchBucket as error:
        message = f"bucket {place.bucket!r} (of {part.place!r}) does not exist"
        raise SourceRefused(message, rule="an existing bucket", field=f"{part.field}.bucket") from error
    except AccessDenied as error:
        message = f"{part.place!r} may not be listed"
        raise SourceRefused(message, rule="readable with the yard's credentials", field=part.field) from error
    return listed


async def _config_text(objects: Objects, layout: Layout) -> bytes | None:
    """None when there is none, or too large a one: the listing check says so."""
    for written in layout.written:
        if written.path == CONFIG_FILE:
            return written.data
    for file in layout.files:
        if file.path == CONFIG_FILE and file.source.size <= MAX_CONFIG:
            return await read_config_file(objects, file.source.bucket, file.source.key)
    return None


def _listing_problems(layout: Layout, model_type: str | None) -> tuple[Problem, ...]:
    if model_type != IMAGE:
        return check_listing(layout.sizes, model_type)
    others = [path for path, _ in layout.sizes if path != CONFIG_FILE]
    rule = "only config.json in a package of model_type Image"
    return tuple(Problem(message=f"{path} beside an image's config.json", file=path, rule=rule) for path in others[:50])


def _check_size(layout: Layout, limits: PackageLimits, place: str) -> None:
    count, total = len(layout.sizes), layout.total_bytes
    if count > limits.max_files:
        samples = sum(not path.startswith("model/") for path, _ in layout.sizes)
        advice = "samples into one .npz" if 2 * samples > count else "data files of model/ into one archive"
        message = f"the package in {place} has {count:,} files, {samples:,} of them in calibration_data/; at most "
        message += f"{limits.max_files:,} can be kept: pack {advice}"
        raise PackageTooLarge(message, rule=f"at most {limits.max_files:,} files")
    if total > limits.max_bytes:
        message = f"the package in {place} has {total:,} bytes, at most {limits.max_bytes:,} are taken"
        raise PackageTooLarge(message, rule=f"at most {limits.max_bytes:,} bytes")
