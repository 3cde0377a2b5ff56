"""The refusals that the gateway makes itself."""

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind


class Unauthenticated(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.UNAUTHENTICATED,
            codes.UNAUTHENTICATED,
            "a valid token is needed: send 'Authorization: Bearer <token>' or 'X-Auth-Token: <token>'",
        )


class Forbidden(Failure):
    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.FORBIDDEN, codes.FORBIDDEN, message)


class NotFound(Failure):
    def __init__(self, what: str, identifier: str) -> None:
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, f"no {what} {identifier!r} in this project")


class Exists(Failure):
    def __init__(self, what: str, identifier: str, field: str) -> None:
        super().__init__(
            FailureKind.CONFLICT, codes.EXISTS, f"{what} {identifier!r} exists already", field=field, rule="unique"
        )


class BodyTooLarge(Failure):
    def __init__(self, limit: int) -> None:
        super().__init__(
            FailureKind.TOO_LARGE,
            codes.TOO_LARGE,
            f"the request body is larger than {limit} bytes; send model files through POST /v1/{{project}}/uploads",
        )


class TooManyStreams(Failure):
    def __init__(self, limit: int) -> None:
        super().__init__(
            FailureKind.TOO_MANY,
            codes.TOO_MANY_STREAMS,
            f"{limit} event streams are open already; close one or poll instead",
        )


def unavailable() -> Failure:
    return Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, "the gateway cannot reach its documents; try again")


def unexpected() -> Failure:
    """The text of an unexpected error is for the log, never for the caller."""
    return Failure(FailureKind.INTERNAL, codes.INTERNAL, "internal error; quote the correlation id")
