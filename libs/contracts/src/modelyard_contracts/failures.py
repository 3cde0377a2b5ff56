"""How a refusal travels: one exception that every service raises, every call carries and the gateway prints."""

from enum import StrEnum
from typing import ClassVar, NewType

from pydantic import BaseModel, ConfigDict

from modelyard_contracts.keeping import Shown, shown

Code = NewType("Code", str)
"""`ModelArts.NNNN`: one of `codes`, or what another release of a service said."""


class FailureKind(StrEnum):
    """What the caller can do about it; the gateway maps each to one HTTP status."""

    INVALID = "invalid"  # 400: change the request
    UNAUTHENTICATED = "unauthenticated"  # 401
    FORBIDDEN = "forbidden"  # 403
    NOT_FOUND = "not_found"  # 404
    CONFLICT = "conflict"  # 409: exists already, in use, or wrong state
    TOO_LARGE = "too_large"  # 413
    UNPROCESSABLE = "unprocessable"  # 422: well-formed, but the thing it names cannot be used so
    TOO_MANY = "too_many"  # 429
    UNAVAILABLE = "unavailable"  # 503: try again later
    INTERNAL = "internal"  # 500


class Problem(BaseModel):
    """One broken rule. `file` is relative to the package, `field` a dotted path inside the request or file."""

    model_config = ConfigDict(frozen=True)

    message: Shown
    file: Shown | None = None
    field: Shown | None = None
    rule: Shown | None = None


class Failure(Exception):
    """A refusal with a stable code (see `codes`) and every broken rule at once. Its texts can be kept anywhere."""

    def __init__(
        self,
        kind: FailureKind,
        code: Code,
        message: str,
        *,
        field: str | None = None,
        rule: str | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        message = shown(message)
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.message = message
        self.problems = problems or ((Problem(message=message, field=field, rule=rule),) if field else ())


class NotStorable(Failure):
    """A document that no store keeps, now or later: whatever asks for it ends, and is not tried again."""


class Away(Exception):
    """Something a service lives on, `what`, cannot be reached now. Callers hear UNAVAILABLE, jobs are tried again."""

    what: ClassVar[str] = "what it needs"


_AWAY = frozenset({FailureKind.UNAVAILABLE, FailureKind.TOO_MANY, FailureKind.INTERNAL})


def is_away(error: BaseException) -> bool:
    """Somebody is away, busy or out of order, as opposed to saying no: it is worth asking again."""
    return error.kind in _AWAY if isinstance(error, Failure) else isinstance(error, Away)


class FailureReply(BaseModel):
    """`Failure` on the wire."""

    kind: FailureKind
    code: str
    message: str
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, failure: Failure) -> "FailureReply":
        return cls(kind=failure.kind, code=failure.code, message=failure.message, problems=failure.problems)

    def to_failure(self) -> Failure:
        return Failure(self.kind, Code(self.code), self.message, problems=self.problems)
