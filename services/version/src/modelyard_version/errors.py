"""The refusals of the version service. Codes are explained in `modelyard_contracts.codes`."""

from datetime import UTC, datetime
from typing import Final

from modelyard_contracts import codes
from modelyard_contracts.calls.version import DamagedFile
from modelyard_contracts.failures import Code, Failure, FailureKind, Problem

MOST_NAMED: Final = 50


class NotFound(Failure):
    """Also what another project's model answers: nobody learns that it exists."""

    def __init__(self, what: str, identifier: str, field: str) -> None:
        message = f"no {what} {identifier!r} in this project"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, message, field=field, rule="exists")


class NoAlias(Failure):
    def __init__(self, model_name: str, alias: str) -> None:
        message = f"{model_name!r} has no alias {alias!r} in this project"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, message, field="alias", rule="exists")


class Exists(Failure):
    def __init__(self, model_name: str, model_version: str) -> None:
        message = f"model {model_name!r} has a version {model_version} already"
        super().__init__(FailureKind.CONFLICT, codes.EXISTS, message, field="model_version", rule="unique")


class UsedBefore(Failure):
    def __init__(self, model_name: str, model_version: str) -> None:
        message = (
            f"model {model_name!r} had a version {model_version}, which is archived or deleted; a number is never used "
            "again: name another, or leave it out"
        )
        super().__init__(FailureKind.CONFLICT, codes.EXISTS, message, field="model_version", rule="unused")


class NameTwin(Failure):
    def __init__(self, model_name: str, twin: str) -> None:
        message = f"there is a model {twin!r}; {model_name!r} differs by upper and lower case only: use that name"
        super().__init__(
            FailureKind.CONFLICT, codes.EXISTS, message, field="model_name", rule="differs by more than case"
        )


class Archived(Failure):
    """Or deleted, and kept until `expires_at` (ms)."""

    def __init__(self, version: str, expires_at: int | None) -> None:
        message = f"{version} is archived; restore it first"
        if expires_at is not None:
            until = datetime.fromtimestamp(expires_at / 1000, UTC).isoformat(timespec="seconds")
            message = f"{version} was deleted; restore it first, until {until}"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, message, field="model_id", rule="not archived")


class StillPublishing(Failure):
    def __init__(self, version: str) -> None:
        message = f"{version} is being imported; wait until that has ended, or delete it"
        super().__init__(FailureKind.CONFLICT, codes.NOT_PUBLISHED, message, field="model_id", rule="not publishing")


class Changed(Failure):
    """Somebody else was faster than whoever named the revision that he has seen."""

    def __init__(self, what: str, revision: int) -> None:
        message = f"{what} has changed since: it is at revision {revision} now; read it again"
        super().__init__(FailureKind.CONFLICT, codes.CHANGED, message, field="If-Match", rule="the newest ETag")


class HeldOrNot(Failure):
    """An alias that was to be free, or held, is not."""

    def __init__(self, alias: str, model_name: str, held: bool) -> None:
        field, how = ("If-None-Match", "already") if held else ("If-Match", "by no version")
        message = f"alias {alias!r} of {model_name!r} is held {how}"
        super().__init__(FailureKind.CONFLICT, codes.CHANGED, message, field=field, rule="*")


class NumbersUsedUp(Failure):
    def __init__(self, model_name: str) -> None:
        message = f"model {model_name!r} has a version 99.99.99, no number comes after it; name a free model_version"
        super().__init__(
            FailureKind.INVALID, codes.PARAMETER_INVALID, message, field="model_version", rule="N.N.N, 0–99"
        )


class InUse(Failure):
    def __init__(self, reasons: tuple[str, ...]) -> None:
        message = f"the version is in use and stays: {'; '.join(reasons)}"
        super().__init__(FailureKind.CONFLICT, codes.IN_USE, message)


class OneTypeFilter(Failure):
    def __init__(self) -> None:
        message = "model_type and not_model_type exclude each other; give one of them"
        super().__init__(
            FailureKind.INVALID,
            codes.PARAMETER_INVALID,
            message,
            field="model_type, not_model_type",
            rule="at most one",
        )


class BadWhere(Failure):
    def __init__(self, what: str) -> None:
        message = f"where: {what}; an example: accuracy > 0.9 and label = nightly"
        super().__init__(
            FailureKind.INVALID, codes.PARAMETER_INVALID, message, field="where", rule="FIELD OPERATOR VALUE and …"
        )


class BadCursor(Failure):
    def __init__(self, message: str, field: str) -> None:
        super().__init__(
            FailureKind.INVALID, codes.PARAMETER_INVALID, message, field=field, rule="next_cursor of the list"
        )


class ComparedTwice(Failure):
    def __init__(self, model_id: str) -> None:
        message = f"version {model_id} is named more than once; a version is compared with others"
        super().__init__(FailureKind.INVALID, codes.PARAMETER_INVALID, message, field="model_id", rule="every id once")


class NotPublished(Failure):
    def __init__(self, version: str, status: str) -> None:
        message = f"{version} is {status}; only a published version can be used so"
        super().__init__(FailureKind.CONFLICT, codes.NOT_PUBLISHED, message, field="model_id", rule="published")


class NotDownloadable(Failure):
    def __init__(self) -> None:
        message = "a version made by automatic learning (source_type auto) cannot be downloaded"
        super().__init__(FailureKind.FORBIDDEN, codes.FORBIDDEN, message, field="source_type", rule="not auto")


class Contended(Failure):
    def __init__(self, what: str) -> None:
        message = f"{what} is changed by too many callers at once; try again"
        super().__init__(FailureKind.UNAVAILABLE, codes.NO_ANSWER, message)


class TemplateMissing(Failure):
    """Also what another project's template answers."""

    def __init__(self, template_id: str, field: str = "template_id") -> None:
        message = f"no template {template_id!r} in this project"
        super().__init__(FailureKind.NOT_FOUND, codes.TEMPLATE_MISSING, message, field=field, rule="exists")


class TemplateExists(Failure):
    def __init__(self, template_name: str) -> None:
        message = f"there is a template {template_name!r} already"
        super().__init__(FailureKind.CONFLICT, codes.TEMPLATE_EXISTS, message, field="template_name", rule="unique")


class BuiltInTemplate(Failure):
    def __init__(self, template_id: str) -> None:
        message = f"template {template_id!r} is built in and cannot be deleted"
        super().__init__(FailureKind.FORBIDDEN, codes.FORBIDDEN, message, field="template_id", rule="own template")


class TemplateRefused(Failure):
    """Everything that is wrong with a template, or with how one is used; the code is that of the first problem."""

    def __init__(self, problems: tuple[tuple[Code, Problem], ...]) -> None:
        message = "; ".join(problem.message for _, problem in problems)
        super().__init__(
            FailureKind.INVALID, problems[0][0], message, problems=tuple(problem for _, problem in problems)
        )


class TooManyTemplates(Failure):
    def __init__(self, most: int) -> None:
        message = f"a project has at most {most} templates of its own; delete one first"
        super().__init__(
            FailureKind.CONFLICT, codes.PARAMETER_INVALID, message, field="template_name", rule=f"at most {most}"
        )


class NoBatch(Failure):
    def __init__(self, infer_format: str) -> None:
        message = f"a version in the {infer_format} input/output mode can never be deployed as batch"
        rule = f"no batch in mode {infer_format}"
        super().__init__(FailureKind.INVALID, codes.PARAMETER_INVALID, message, field="install_type", rule=rule)


class OriginRefused(Failure):
    def __init__(self, place: str, field: str) -> None:
        message = f"{place!r} is not the folder of a version of this project"
        rule = "in the artifacts bucket: a folder of one version that exists"
        super().__init__(FailureKind.INVALID, codes.BAD_SOURCE, message, field=field, rule=rule)


class CopyOfAuto(Failure):
    """Otherwise the copy could be downloaded."""

    def __init__(self, version: str, field: str) -> None:
        message = f"{version} was made by automatic learning; a copy of it must have source_type auto too"
        super().__init__(FailureKind.FORBIDDEN, codes.FORBIDDEN, message, field=field, rule="source_type auto")


class OriginalMissing(Failure):
    def __init__(self, model_id: str, project: str) -> None:
        message = f"no model {model_id!r} in project {project!r}"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, message, field="source.model_id", rule="exists")


class OriginalUnfit(Failure):
    """`state`: what the version is that shall be promoted, and perhaps what would help."""

    def __init__(self, version: str, state: str) -> None:
        message = f"{version} is {state}"
        super().__init__(
            FailureKind.CONFLICT, codes.NOT_PUBLISHED, message, field="source.model_id", rule="published, not archived"
        )


class OriginalTooLarge(Failure):
    def __init__(self, version: str, size: int, most: int) -> None:
        message = f"the description of {version} (files, inputs, proofs, evaluations) has {size} bytes"
        rule = f"at most {most} bytes of description"
        super().__init__(FailureKind.TOO_LARGE, codes.BAD_SOURCE, message, field="source.model_id", rule=rule)


class ReferenceChanged(Failure):
    """The version holds files by reference, and they are not what was imported."""

    def __init__(self, damaged: tuple[DamagedFile, ...]) -> None:
        named = damaged[:MOST_NAMED]
        more = f" and {len(damaged) - len(named)} more" if len(damaged) > len(named) else ""
        problems = tuple(Problem(message=each.message, file=each.path, rule="as it was imported") for each in named)
        message = f"files kept by reference have changed: {', '.join(each.path for each in named)}{more}"
        super().__init__(FailureKind.UNPROCESSABLE, codes.BAD_SOURCE, message, problems=problems)


class OneTrace(Failure):
    def __init__(self, given: tuple[str, ...]) -> None:
        message = f"give exactly one of training_job, dataset, code and model_name, not {len(given)}"
        problems = tuple(Problem(message=message, field=name, rule="exactly one") for name in given)
        super().__init__(FailureKind.INVALID, codes.PARAMETER_INVALID, message, problems=problems)


class CannotCheck(Failure):
    """There is nothing to look at, and trying again would not help; the message becomes the reason."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.ARTIFACT_DAMAGED, message)
