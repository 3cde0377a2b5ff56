"""What a dataset is, who may see it, and which folders may hold one. Used by the dataset calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from modelyard_contracts.calls.evaluate import DatasetKind, DatasetView
from modelyard_contracts.shapes import Location, Role
from modelyard_evaluate.domain import former
from modelyard_evaluate.errors import SourceRefused

_SEES_HIDDEN = frozenset({Role.PUBLISHER, Role.ADMIN})


@dataclass(frozen=True)
class Dataset:
    """Labelled samples that stay where they are. `counts` is what their task counted by name, `size` is bytes.

    `upload_id`: the upload whose files these are, which does not expire as long as the dataset is there.
    """

    dataset_id: str
    project: str
    name: str
    kind: DatasetKind
    location: Location
    hidden: bool
    counts: former.Counts
    samples: int
    size: int
    digest: str
    created_at: int
    created_by: str
    request_digest: str
    upload_id: str | None = None


def upload_of(location: Location, project: str, artifacts_bucket: str) -> str | None:
    """The upload that an allowed location lies in."""
    below = location.prefix.removeprefix(f"{project}/uploads/")
    return below.partition("/")[0] if location.bucket == artifacts_bucket and below != location.prefix else None


def sees_hidden(role: Role) -> bool:
    return role in _SEES_HIDDEN


def visible(dataset: Dataset, role: Role) -> bool:
    return not dataset.hidden or sees_hidden(role)


def allowed(
    location: Location,
    project: str,
    *,
    buckets: tuple[str, ...],
    artifacts_bucket: str,
    folders: Mapping[str, str] = MappingProxyType({}),
) -> Location:
    """The location with its prefix ended by `/`. Raises SourceRefused, naming the rule.

    The artifacts bucket is shared by all projects, so there only the project's own uploads may be read; of other
    buckets `folders` says where a project's own things lie (`{project}/`). Dot and empty segments are refused because
    some stores resolve them, which would lead out of that folder again.
    """
    prefix = location.prefix if location.prefix.endswith("/") else f"{location.prefix}/"
    place = f"{location.bucket}/{location.prefix}"
    segments = prefix[:-1].split("/")
    if any(segment in ("", ".", "..") for segment in segments) or "\\" in prefix or not prefix.isprintable():
        rule = "relative, without '.', '..' or empty segments, backslashes and control characters"
        raise SourceRefused(f"{place!r} is not a plain folder path", field="source.location.prefix", rule=rule)
    if location.bucket == artifacts_bucket:
        if segments[:2] != [project, "uploads"]:
            rule = f"in bucket {artifacts_bucket!r} only below '{project}/uploads/'"
            raise SourceRefused(
                f"{place!r} is not an upload of this project", field="source.location.prefix", rule=rule
            )
    elif location.bucket not in buckets:
        rule = f"one of {', '.join(buckets)}"
        raise SourceRefused(
            f"bucket {location.bucket!r} is not open for datasets", field="source.location.bucket", rule=rule
        )
    elif not prefix.startswith(own := folders.get(location.bucket, "").replace("{project}", project)):
        rule = f"in bucket {location.bucket!r} only below {own!r}"
        raise SourceRefused(f"{place!r} belongs to another project", field="source.location.prefix", rule=rule)
    return Location(bucket=location.bucket, prefix=prefix)


def overlap(one: Location, other: Location) -> bool:
    """Whether one folder is the other or lies inside it. Prefixes end with `/`."""
    inside = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    return one.bucket == other.bucket and inside


def dataset_view(dataset: Dataset) -> DatasetView:
    return DatasetView(
        dataset_id=dataset.dataset_id,
        name=dataset.name,
        kind=dataset.kind,
        location=dataset.location,
        hidden=dataset.hidden,
        classes=dataset.counts,
        samples=dataset.samples,
        size=dataset.size,
        digest=dataset.digest,
        created_at=dataset.created_at,
        created_by=dataset.created_by,
    )
