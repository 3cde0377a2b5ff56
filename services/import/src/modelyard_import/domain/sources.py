"""Which places a project may import from. Used by the fetch job; nothing is read before this has agreed."""

from modelyard_contracts.shapes import Location
from modelyard_import.errors import SourceRefused


def allowed(location: Location, project: str, *, source_buckets: tuple[str, ...], artifacts_bucket: str) -> Location:
    """The location with its prefix ended by `/`. Raises SourceRefused, naming bucket, prefix and rule.

    The artifacts bucket is shared by all projects, so there only the project's own folder may be read. Dot and empty
    segments are refused because some stores resolve them, which would lead out of that folder again.
    """
    prefix = location.prefix if location.prefix.endswith("/") else f"{location.prefix}/"
    place = f"{location.bucket}/{location.prefix}"
    if any(segment in ("", ".", "..") for segment in prefix[:-1].split("/")) or not _plain(prefix):
        rule = "relative, without '.', '..' or empty segments, backslashes and control characters"
        raise SourceRefused(
            f"prefix of {place!r} is not a plain folder path", rule=rule, field="source.location.prefix"
        )
    if location.bucket not in source_buckets:
        rule = f"one of the buckets {', '.join(source_buckets)}"
        message = f"bucket {location.bucket!r} (of {place!r}) is not open for imports"
        raise SourceRefused(message, rule=rule, field="source.location.bucket")
    if location.bucket == artifacts_bucket and not prefix.startswith(f"{project}/"):
        rule = f"in bucket {artifacts_bucket!r} only below {project + '/'!r}"
        raise SourceRefused(f"{place!r} belongs to another project", rule=rule, field="source.location.prefix")
    return Location(bucket=location.bucket, prefix=prefix)


def _plain(text: str) -> bool:
    return "\\" not in text and all(character.isprintable() for character in text)
