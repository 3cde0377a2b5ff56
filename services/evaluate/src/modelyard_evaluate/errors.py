"""Refusals of the evaluate service, with stable codes (docs/errors.md). Raised by handlers, worker and subprocess."""

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind, Problem

MOST_NAMED = 20
"""Problems, files or other names told one by one in a message; more are counted."""


def named(names: "tuple[str, ...] | list[str]") -> str:
    """`'a', 'b' and 3 more`"""
    shown = ", ".join(repr(name) for name in names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


class NotFound(Failure):
    """Also for what belongs to another project, or is hidden from the caller: nobody can tell the difference."""

    def __init__(self, what: str, identifier: str, field: str) -> None:
        message = f"no {what} {identifier!r} in this project"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, message, field=field, rule="exists")


class NameTaken(Failure):
    def __init__(self, name: str) -> None:
        message = f"a dataset {name!r} exists already"
        super().__init__(FailureKind.CONFLICT, codes.EXISTS, message, field="name", rule="unique in the project")


class InUse(Failure):
    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.CONFLICT, codes.IN_USE, message)


class SourceRefused(Failure):
    """The place a dataset shall come from cannot be used."""

    def __init__(self, message: str, *, field: str, rule: str, kind: FailureKind = FailureKind.UNPROCESSABLE) -> None:
        super().__init__(kind, codes.BAD_SOURCE, message, field=field, rule=rule)


class NotPublished(Failure):
    def __init__(self, model_name: str, model_version: str, status: str) -> None:
        message = f"{model_name} {model_version} is {status}; only a published version can be evaluated"
        super().__init__(FailureKind.CONFLICT, codes.NOT_PUBLISHED, message, field="model_id", rule="published")


class DatasetRefused(Failure):
    """Every broken rule at once, each naming its file."""

    def __init__(self, problems: tuple[Problem, ...], kind: FailureKind = FailureKind.UNPROCESSABLE) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(kind, codes.DATASET_REFUSED, problems[0].message + more, problems=problems[:MOST_NAMED])


class DatasetChanged(Failure):
    def __init__(self, name: str, detail: str) -> None:
        message = f"dataset {name!r} is not what it was when it was created: {detail}; create it anew"
        super().__init__(
            FailureKind.CONFLICT, codes.DATASET_CHANGED, message, field="dataset_id", rule="same listing digest"
        )


class NotEvaluable(Failure):
    """The model or its `config.json` lacks what this evaluation needs, or answered something unusable."""

    def __init__(self, message: str, *, field: str | None = None, rule: str | None = None) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.NOT_EVALUABLE, message, field=field, rule=rule)


class ArtifactDamaged(Failure):
    def __init__(self, path: str, found: str) -> None:
        problem = Problem(message=f"{path} is not what the artifact's manifest says: {found}", file=path, rule="sha256")
        super().__init__(FailureKind.UNPROCESSABLE, codes.ARTIFACT_DAMAGED, problem.message, problems=(problem,))


class ArtifactChanged(Failure):
    """Of a version that is kept by reference."""

    def __init__(self, path: str, place: str) -> None:
        message = f"{path} ({place}) changed since it was imported; import it again, or with a copy"
        problem = Problem(message=message, file=path, rule="the object that was imported")
        super().__init__(FailureKind.UNPROCESSABLE, codes.ARTIFACT_DAMAGED, message, problems=(problem,))


class WrongState(Failure):
    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.CONFLICT, codes.WRONG_STATE, message)


class DatasetHidden(Failure):
    def __init__(self, name: str) -> None:
        message = f"dataset {name!r} is hidden: only entries of a competition are scored on it"
        super().__init__(FailureKind.FORBIDDEN, codes.DATASET_HIDDEN, message, field="dataset_id", rule="not hidden")


class EvaluationBroken(Failure):
    """The subprocess ended without an answer, or attempts are used up. Not the caller's fault, as far as we know."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.EVALUATION_BROKEN, message)


class VersionGone(Failure):
    def __init__(self) -> None:
        super().__init__(FailureKind.CONFLICT, codes.VERSION_GONE, "the version was deleted")


class NoWorker(Failure):
    def __init__(self, task: str) -> None:
        super().__init__(FailureKind.UNAVAILABLE, codes.NO_WORKER, f"no worker offers `{task}`")
