"""Why the publish service refuses."""

from datetime import UTC, datetime

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind


def _moment(instant: int) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).isoformat(timespec="seconds")


class NotFound(Failure):
    def __init__(self, what: str, identifier: str) -> None:
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, f"no {what} {identifier!r}")


class NotPublished(Failure):
    def __init__(self, status: str) -> None:
        super().__init__(
            FailureKind.CONFLICT,
            codes.NOT_PUBLISHED,
            f"only a published version can be listed or entered; this one is {status!r}",
            field="model_id",
            rule="status = published",
        )


class ListedAlready(Failure):
    def __init__(self, title: str) -> None:
        super().__init__(
            FailureKind.CONFLICT, codes.LISTED_ALREADY, f"this version is in the gallery already, as {title!r}"
        )


class NoSuchArtifact(Failure):
    def __init__(self, artifact_id: str) -> None:
        super().__init__(
            FailureKind.NOT_FOUND, codes.NOT_FOUND, f"the version has no artifact {artifact_id!r}", field="artifact_id"
        )


class DatasetNotHidden(Failure):
    def __init__(self, name: str) -> None:
        super().__init__(
            FailureKind.UNPROCESSABLE,
            codes.DATASET_NOT_HIDDEN,
            f"dataset {name!r} is visible to entrants; create it with hidden=true",
            field="dataset_id",
            rule="hidden = true",
        )


class DeadlinePassed(Failure):
    def __init__(self, deadline: int) -> None:
        super().__init__(
            FailureKind.CONFLICT,
            codes.COMPETITION_CLOSED,
            f"the competition closed at {_moment(deadline)}",
            field="deadline",
            rule="now < deadline",
        )


class DeadlineInThePast(Failure):
    def __init__(self, deadline: int) -> None:
        super().__init__(
            FailureKind.INVALID,
            codes.PARAMETER_INVALID,
            f"the deadline {_moment(deadline)} is in the past",
            field="deadline",
            rule="deadline > now",
        )


class TooManyEntries(Failure):
    def __init__(self, limit: int) -> None:
        super().__init__(
            FailureKind.TOO_MANY,
            codes.TOO_MANY_ENTRIES,
            f"this project has used its {limit} entries for today (UTC); try again tomorrow",
            rule="entries_per_day",
        )


class NotDownloadable(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.FORBIDDEN, codes.FORBIDDEN, "a version made by automatic learning cannot be downloaded"
        )
