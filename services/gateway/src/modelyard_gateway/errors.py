"""The refusals that the gateway makes itself."""

from typing import Final

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind


class Unauthenticated(Failure):
    def __init__(
        self,
        message: str = "a valid token is needed: send 'Authorization: Bearer <token>' or 'X-Auth-Token: <token>', "
        "or sign the request with an access key",
    ) -> None:
        super().__init__(FailureKind.UNAUTHENTICATED, codes.UNAUTHENTICATED, message)


class OtherBody(Unauthenticated):
    def __init__(self) -> None:
        super().__init__("the body is not the one that was signed")


class NoAccessKeys(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.UNPROCESSABLE,
            codes.NO_ACCESS_KEYS,
            "this yard has no access keys: its operator has set no MODELYARD_ACCESS_MASTER_KEY; use a token",
        )


class TooManyFormerPairs(Failure):
    def __init__(self, most: int) -> None:
        super().__init__(
            FailureKind.CONFLICT,
            codes.PARAMETER_INVALID,
            f"{most} former pairs of this access key work still; wait until one ends, or end all with former_seconds 0",
            field="former_seconds",
            rule=f"at most {most} former pairs",
        )


class Forbidden(Failure):
    def __init__(self, message: str, *, field: str | None = None, rule: str | None = None) -> None:
        super().__init__(FailureKind.FORBIDDEN, codes.FORBIDDEN, message, field=field, rule=rule)


SOURCE_HEADER: Final = "X-Source-Token"
OF_SOURCE: Final = "a token of the source project"


class SourceTokenNeeded(Failure):
    """None was given for the other project, or one that nobody has."""

    def __init__(self, project: str) -> None:
        message = f"project {project!r} is read with a token of its own: send a valid one as '{SOURCE_HEADER}: <token>'"
        super().__init__(
            FailureKind.UNAUTHENTICATED, codes.UNAUTHENTICATED, message, field=SOURCE_HEADER, rule=OF_SOURCE
        )


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
            f"the request body is larger than {limit:,} bytes; send model files through POST /v1/{{project}}/uploads",
        )


class BodyTooSlow(Failure):
    def __init__(self, seconds: float) -> None:
        message = f"the request body did not arrive within {seconds:g} s"
        super().__init__(FailureKind.INVALID, codes.TOO_SLOW, message)


class EncodedBody(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.INVALID,
            codes.NO_ENCODING,
            "bodies are read as they are; send it without Content-Encoding",
            field="Content-Encoding",
            rule="identity",
        )


class Crowded(Failure):
    """`what` of the request there is more of than `most`."""

    def __init__(self, what: str, field: str, most: int, advice: str = "send less at once") -> None:
        text, rule = f"more than {most:,} {what}; {advice}", f"at most {most:,} {what}"
        super().__init__(FailureKind.INVALID, codes.PARAMETER_INVALID, text, field=field, rule=rule)


class TooManyStreams(Failure):
    def __init__(self, limit: int, whose: str) -> None:
        super().__init__(
            FailureKind.TOO_MANY,
            codes.TOO_MANY_STREAMS,
            f"{limit} event streams of {whose} are open already; close one or poll instead",
        )


class TooManyRequests(Failure):
    def __init__(self, limit: int) -> None:
        super().__init__(
            FailureKind.TOO_MANY,
            codes.TOO_MANY_REQUESTS,
            f"{limit} requests of this token wait already; wait for their answers before asking more",
        )


class TooManyAttempts(Failure):
    def __init__(self) -> None:
        super().__init__(
            FailureKind.TOO_MANY,
            codes.TOO_MANY_ATTEMPTS,
            "too many wrong tokens or signatures from this address; correct it and try again later",
        )


def unavailable() -> Failure:
    return Failure(FailureKind.UNAVAILABLE, codes.NO_ANSWER, "the gateway cannot reach its documents; try again")


def unexpected() -> Failure:
    """The text of an unexpected error is for the log, never for the caller."""
    return Failure(FailureKind.INTERNAL, codes.INTERNAL, "internal error; quote the correlation id")
