"""Which places a project may import from. Used by the fetch job; nothing is read before this has agreed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard_contracts.shapes import Location
from modelyard_import.errors import SourceRefused

PROJECT = "{project}"


@dataclass(frozen=True, slots=True)
class Places:
    """What the operator opened: `buckets`, and by bucket the `folders` (`{project}/`) to which a project is kept.

    A bucket without a folder is open to every project as a whole. That is right only where all projects are friends.
    """

    buckets: tuple[str, ...]
    folders: Mapping[str, str] = field(default_factory=dict)

    def folder(self, bucket: str, project: str, artifacts_bucket: str) -> str:
        """Where the project's own things lie in this bucket; empty: anywhere. All share the artifacts bucket."""
        pattern = PROJECT + "/" if bucket == artifacts_bucket else self.folders.get(bucket, "")
        return pattern.replace(PROJECT, project)


def allowed(
    location: Location, project: str, *, places: Places, artifacts_bucket: str, field: str = "source.location"
) -> Location:
    """The location with its prefix ended by `/`. Raises SourceRefused, naming bucket, prefix and rule.

    Dot and empty segments are refused because some stores resolve them, which would lead out of a project's folder.
    """
    prefix = location.prefix if location.prefix.endswith("/") else f"{location.prefix}/"
    place = f"{location.bucket}/{location.prefix}"
    if any(segment in ("", ".", "..") for segment in prefix[:-1].split("/")) or not _plain(prefix):
        rule = "relative, without '.', '..' or empty segments, backslashes and control characters"
        raise SourceRefused(f"prefix of {place!r} is not a plain folder path", rule=rule, field=f"{field}.prefix")
    if location.bucket not in places.buckets:
        rule = f"one of the buckets {', '.join(places.buckets)}"
        message = f"bucket {location.bucket!r} (of {place!r}) is not open for imports"
        raise SourceRefused(message, rule=rule, field=f"{field}.bucket")
    own = places.folder(location.bucket, project, artifacts_bucket)
    if not prefix.startswith(own):
        rule = f"in bucket {location.bucket!r} only below {own!r}"
        raise SourceRefused(f"{place!r} belongs to another project", rule=rule, field=f"{field}.prefix")
    return Location(bucket=location.bucket, prefix=prefix)


def _plain(text: str) -> bool:
    return "\\" not in text and all(character.isprintable() for character in text)
