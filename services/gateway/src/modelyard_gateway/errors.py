"""The refusals that the gateway makes itself."""

from modelyard_contracts.failures import Failure, FailureKind


class Unauthenticated(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.UNAUTHENTICATED,
            "ModelArts.9401",
            "a valid token is needed: send 'Authorization: Bearer <token>' or 'X-Auth-Token: <token>'",
        )


class Forbidden(Failure):
    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.FORBIDDEN, "ModelArts.9403", message)


class NotFound(Failure):
    def __init__(self, what: str, identifier: str) -> None:
        super().__init__(FailureKind.NOT_FOUND, "ModelArts.3001", f"no {what} {identifier!r} in this project")


class Exists(Failure):
    def __init__(self, what: str, identifier: str, field: str) -> None:
        super().__init__(
            FailureKind.CONFLICT, "ModelArts.3002", f"{what} {identifier!r} exists already", field=field, rule="unique"
        )


class BodyTooLarge(Failure):
    def __init__(self, limit: int) -> None:
        super().__init__(
            FailureKind.TOO_LARGE,
            "ModelArts.3044",
            f"the request body is larger than {limit} bytes; send model files through POST /v1/{{project}}/uploads",
        )


class TooManyStreams(Failure):
    def __init__(self, limit: int) -> None:
        super().__init__(
            FailureKind.TOO_MANY, "ModelArts.9429", f"{limit} event streams are open already; close one or poll instead"
        )


def unavailable() -> Failure:
    return Failure(FailureKind.UNAVAILABLE, "ModelArts.9002", "the gateway cannot reach its documents; try again")


def unexpected() -> Failure:
    """The text of an unexpected error is for the log, never for the caller."""
    return Failure(FailureKind.INTERNAL, "ModelArts.9000", "internal error; quote the correlation id")
