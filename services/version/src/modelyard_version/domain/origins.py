"""Which versions of the register a new one would copy its bytes from. Asked before a version is created.

Whoever copies a version that may not be downloaded could download the copy; so a copy is known as one, and what it is
a copy of must exist and lie in one folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelyard_contracts.shapes import ImageSource, Location, Source, StorageSource, TemplateSource
from modelyard_version.domain.versions import folder_of


@dataclass(frozen=True, slots=True)
class Reach:
    """`model_id` None: the folder `place` holds more than one version. `field` is what the user called it by."""

    place: str
    field: str
    model_id: str | None


def reaches(source: Source, project: str, bucket: str) -> tuple[Reach, ...]:
    """Every folder of the source that leads to versions of this project in the artifacts bucket."""
    found = (_reach(location, field, project, bucket) for location, field in _locations(source))
    return tuple(reach for reach in found if reach)


def _reach(location: Location, field: str, project: str, bucket: str) -> Reach | None:
    models = folder_of(project, "").removesuffix("/")
    prefix = location.prefix if location.prefix.endswith("/") else f"{location.prefix}/"
    if location.bucket != bucket or not (prefix.startswith(models) or models.startswith(prefix)):
        return None
    return Reach(f"{bucket}/{prefix}", field, prefix[len(models) :].split("/")[0] or None)


def _locations(source: Source) -> Iterator[tuple[Location, str]]:
    match source:
        case StorageSource(location=location):
            yield location, "source.location"
        case TemplateSource(template_inputs=inputs):
            yield from ((given.location, f"source.template_inputs.{given.input_id}") for given in inputs)
        case ImageSource(config_location=Location() as location):
            yield location, "source.config_location"
