"""Refusals of the import service. Codes are stable and documented in docs/errors.md."""

from modelyard_contracts import codes
from modelyard_contracts.failures import Away, Failure, FailureKind, Problem


class NotFound(Failure):
    """Also for what belongs to another project: nobody can tell the difference."""

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, f"{kind} {identifier!r} does not exist")


class NameTaken(Failure):
    def __init__(self, kind: str, name: str) -> None:
        message = f"{kind} {name!r} exists already"
        super().__init__(FailureKind.CONFLICT, codes.EXISTS, message, field="name", rule="unique")


class OtherReport(Failure):
    """A run is a fact: it ends once. A second, different report would change where versions came from."""

    def __init__(self, job_id: str, job_version: str) -> None:
        message = f"run {job_version} of training job {job_id!r} was already reported with other content"
        super().__init__(FailureKind.CONFLICT, codes.EXISTS, message, field="job_version", rule="one report per run")


class TooManyRules(Failure):
    def __init__(self, most: int) -> None:
        message = f"a project has at most {most} import rules"
        super().__init__(
            FailureKind.CONFLICT, codes.PARAMETER_INVALID, message, field="name", rule=f"at most {most} rules"
        )


class SourceRefused(Failure):
    """The place a model shall come from cannot be used; the message names bucket and prefix."""

    def __init__(
        self, message: str, *, rule: str, field: str = "source.location", kind: FailureKind = FailureKind.UNPROCESSABLE
    ) -> None:
        super().__init__(kind, codes.BAD_SOURCE, message, field=field, rule=rule)


class OriginalLost(Failure):
    """What shall be promoted is not whole any more: it was deleted meanwhile, or somebody has written to its files."""

    def __init__(self, original: str, problems: tuple[Problem, ...]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        message = f"{original} cannot be copied, it was deleted or damaged: {problems[0].message}{more}"
        super().__init__(FailureKind.UNPROCESSABLE, codes.BAD_SOURCE, message, problems=problems)


class PackageTooLarge(Failure):
    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(FailureKind.TOO_LARGE, codes.BAD_SOURCE, message, field="source.location", rule=rule)


class UploadRefused(Failure):
    def __init__(self, problems: tuple[Problem, ...], kind: FailureKind = FailureKind.INVALID) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(kind, codes.PARAMETER_INVALID, problems[0].message + more, problems=problems)


class UploadExpired(UploadRefused):
    def __init__(self, upload_id: str) -> None:
        message = f"upload {upload_id} has expired and its files are gone: upload them again"
        rule = "used or resumed in time"
        super().__init__((Problem(message=message, field="upload_id", rule=rule),), FailureKind.CONFLICT)


class ImportBroken(Failure):
    """The machinery, not the package, is at fault, and trying again has been tried."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.INTERNAL, codes.INTERNAL, message)


class ImageRefused(Failure):
    """A container image cannot be taken in; the message names image, registry or tag."""

    def __init__(self, message: str, *, rule: str, field: str = "source.reference", file: str | None = None) -> None:
        problem = Problem(message=message, file=file, field=field, rule=rule)
        super().__init__(FailureKind.UNPROCESSABLE, codes.BAD_SOURCE, message, problems=(problem,))


class ImageTooLarge(Failure):
    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(FailureKind.TOO_LARGE, codes.TOO_LARGE, message, field="source.reference", rule=rule)


class RegistryAway(Away):
    """The registry does not answer, or not now; `after` in seconds, where it said when to come again."""

    what = "the registry"

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
