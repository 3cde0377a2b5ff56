"""Refusals as HTTP: one error shape for everything that goes wrong (docs/errors.md)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from modelyard_contracts import codes
from modelyard_contracts.failures import Code, Failure, FailureKind, Problem
from modelyard_gateway.middleware import Edge

ModelT = TypeVar("ModelT", bound=BaseModel)
MOST_PROBLEMS = 100  # shown of one request

STATUS = {
    FailureKind.INVALID: 400,
    FailureKind.UNAUTHENTICATED: 401,
    FailureKind.FORBIDDEN: 403,
    FailureKind.NOT_FOUND: 404,
    FailureKind.CONFLICT: 409,
    FailureKind.TOO_LARGE: 413,
    FailureKind.UNPROCESSABLE: 422,
    FailureKind.TOO_MANY: 429,
    FailureKind.UNAVAILABLE: 503,
    FailureKind.INTERNAL: 500,
}


class ErrorReply(BaseModel):
    error_code: str = Field(examples=[codes.NOT_FOUND])
    error_msg: str
    problems: list[Problem] = []
    correlation_id: str


def error_response(request: Request, failure: Failure) -> JSONResponse:
    reply = ErrorReply(
        error_code=failure.code,
        error_msg=failure.message,
        problems=list(failure.problems),
        correlation_id=request.state.correlationid,
    )
    headers = {"Retry-After": "1"} if failure.kind is FailureKind.UNAVAILABLE else {}
    if failure.kind is FailureKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if failure.kind is FailureKind.TOO_LARGE:
        headers["Connection"] = "close"  # the rest of the body is not wanted
    return JSONResponse(reply.model_dump(exclude_none=True), status_code=STATUS[failure.kind], headers=headers)


def problems_of(errors: Sequence[Any]) -> tuple[Problem, ...]:
    """Pydantic's findings as problems; `body`, `query` and union tags are left out of the field path."""
    return tuple(
        Problem(
            message=error["msg"],
            field=".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0]),
            rule=error["type"],
        )
        for error in errors
    )


def problems_at(prefix: str, errors: Sequence[Any]) -> tuple[Problem, ...]:
    """As `problems_of`, for findings inside the named field."""
    return tuple(
        Problem(message=error["msg"], field=".".join([prefix, *map(str, error["loc"])]).strip("."), rule=error["type"])
        for error in errors
    )


def validated(model: type[ModelT], fields: dict[str, Any]) -> ModelT:
    """Build a call's request from parts of a URL or a public body; a broken rule is the caller's error."""
    try:
        return model.model_validate(fields, extra="forbid")
    except ValidationError as error:
        raise invalid(problems_at("", error.errors())) from error


def renamed(failure: Failure, name: Callable[[str], str]) -> Failure:
    """The same refusal, with its fields called as the caller called them."""
    problems = (
        each.model_copy(update={"field": name(each.field)}) if each.field else each for each in failure.problems
    )
    return Failure(failure.kind, failure.code, failure.message, problems=tuple(problems))


def invalid(problems: tuple[Problem, ...]) -> Failure:
    code = _code_of(problems)
    more = f"; and {len(problems) - MOST_PROBLEMS:,} more" if len(problems) > MOST_PROBLEMS else ""
    problems = problems[:MOST_PROBLEMS]
    words = "; ".join(f"{problem.field}: {problem.message}" for problem in problems) + more
    return Failure(FailureKind.INVALID, code, words, problems=problems)


def _code_of(problems: tuple[Problem, ...]) -> Code:
    if all(problem.rule == "missing" for problem in problems):
        return codes.PARAMETER_MISSING
    only_labels = all((problem.field or "").split(".")[0] == "labels" for problem in problems)
    return codes.BAD_LABELS if only_labels else codes.PARAMETER_INVALID


def install(app: FastAPI, max_body_bytes: int) -> None:
    """From now on the application refuses in this shape, whatever goes wrong in it."""
    app.add_middleware(Edge, max_body_bytes=max_body_bytes, refuse=error_response)

    @app.exception_handler(Failure)
    async def refused(request: Request, failure: Failure) -> JSONResponse:
        return error_response(request, failure)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(request, invalid(problems_of(error.errors())))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:
            message = "the body is not JSON that can be read"
            return error_response(request, invalid((Problem(message=message, field="body", rule="JSON"),)))
        absent = error.status_code == 404  # the router raises 405 otherwise
        kind, code = (FailureKind.NOT_FOUND, codes.NO_PATH) if absent else (FailureKind.INVALID, codes.NO_METHOD)
        reply = error_response(request, Failure(kind, code, str(error.detail)))
        reply.status_code = error.status_code
        return reply
