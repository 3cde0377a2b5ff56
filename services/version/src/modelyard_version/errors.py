"""The refusals of the version service. Codes are explained in docs/errors.md."""

from modelyard_contracts.failures import Failure, FailureKind


class NotFound(Failure):
    """Also what another project's model answers: nobody learns that it exists."""

    def __init__(self, what: str, identifier: str, field: str) -> None:
        message = f"no {what} {identifier!r} in this project"
        super().__init__(FailureKind.NOT_FOUND, "ModelArts.3001", message, field=field, rule="exists")


class Exists(Failure):
    def __init__(self, model_name: str, model_version: str) -> None:
        message = f"model {model_name!r} has a version {model_version} already"
        super().__init__(FailureKind.CONFLICT, "ModelArts.3002", message, field="model_version", rule="unique")


class NumbersUsedUp(Failure):
    def __init__(self, model_name: str) -> None:
        message = f"model {model_name!r} has a version 99.99.99, no number comes after it; name a free model_version"
        super().__init__(FailureKind.INVALID, "ModelArts.3037", message, field="model_version", rule="N.N.N, 0–99")


class InUse(Failure):
    def __init__(self, reasons: tuple[str, ...]) -> None:
        message = f"the version is in use and cannot be deleted: {'; '.join(reasons)}"
        super().__init__(FailureKind.CONFLICT, "ModelArts.3009", message)


class OneTypeFilter(Failure):
    def __init__(self) -> None:
        message = "model_type and not_model_type exclude each other; give one of them"
        super().__init__(
            FailureKind.INVALID, "ModelArts.3037", message, field="model_type, not_model_type", rule="at most one"
        )


class NotPublished(Failure):
    def __init__(self, model_id: str, status: str) -> None:
        message = f"version {model_id} is {status}; only a published one can be used so"
        super().__init__(FailureKind.CONFLICT, "ModelArts.3037", message, field="model_id", rule="published")


class NotDownloadable(Failure):
    def __init__(self) -> None:
        message = "a version made by automatic learning (source_type auto) cannot be downloaded"
        super().__init__(FailureKind.FORBIDDEN, "ModelArts.9403", message, field="source_type", rule="not auto")


class Contended(Failure):
    def __init__(self, what: str) -> None:
        message = f"{what} is changed by too many callers at once; try again"
        super().__init__(FailureKind.UNAVAILABLE, "ModelArts.9002", message)
