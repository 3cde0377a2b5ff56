"""Refusals as HTTP: one error shape for everything that goes wrong (docs/errors.md)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from modelyard_contracts import codes
from modelyard_contracts.codes import EXPLAINED
from modelyard_contracts.failures import Code, Failure, FailureKind, Problem
from modelyard_contracts.wording import in_words
from modelyard_gateway.edge import Admit, Edge

ModelT = TypeVar("ModelT", bound=BaseModel)
MOST_PROBLEMS = 100  # shown of one request
LONGEST_FIELD = 500  # characters

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


_RETRY_AFTER = {
    codes.TOO_MANY_REQUESTS: 1,
    codes.TOO_MANY_STREAMS: 5,
    codes.TOO_MANY_ATTEMPTS: 10,
    codes.TOO_MUCH_WORK: 10,
}  # seconds


class ErrorReply(BaseModel):
    error_code: str = Field(examples=[codes.NOT_FOUND])
    error_msg: str
    problems: list[Problem] = []
    correlation_id: str


def error_response(request: Request, failure: Failure, more: Mapping[str, str] | None = None) -> JSONResponse:
    reply = ErrorReply(
        error_code=failure.code,
        error_msg=failure.message,
        problems=list(failure.problems),
        correlation_id=request.state.correlationid,
    )
    explained = EXPLAINED.get(failure.code)
    status = (explained and explained.status) or STATUS[failure.kind]
    return JSONResponse(
        reply.model_dump(exclude_none=True), status_code=status, headers={**(more or {}), **_headers(failure)}
    )


def _headers(failure: Failure) -> dict[str, str]:
    headers = {}
    if seconds := _RETRY_AFTER.get(failure.code, 1 if failure.kind is FailureKind.UNAVAILABLE else None):
        headers["Retry-After"] = str(seconds)
    if failure.kind is FailureKind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if failure.kind is FailureKind.TOO_LARGE or failure.code == codes.TOO_SLOW:
        headers["Connection"] = "close"  # the rest of the body is not wanted
    return headers


def invalid_request(errors: Sequence[Any]) -> Failure:
    """Pydantic's findings; `body` and `query` are left out of the field path."""
    return _invalid(errors, lambda place: place[1:] or place[:1])


def invalid_at(prefix: str, errors: Sequence[Any]) -> Failure:
    """As `invalid_request`, for findings inside the named field."""
    return _invalid(errors, lambda place: (prefix, *place) if prefix else place)


def _invalid(errors: Sequence[Any], shown: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Failure:
    """A field that nobody knows may have any name: what is shown of it has an end."""
    found = [(".".join(map(str, shown(each["loc"])))[:LONGEST_FIELD], each["type"], in_words(each)) for each in errors]
    code = _code_of([(field, rule) for field, rule, _ in found])
    problems = (Problem(message=message, field=field, rule=rule) for field, rule, message in found[:MOST_PROBLEMS])
    return _refusal(code, tuple(problems), "; and more" if len(found) > MOST_PROBLEMS else "")


def validated(model: type[ModelT], fields: dict[str, Any]) -> ModelT:
    """Build a call's request from parts of a URL or a public body; a broken rule is the caller's error."""
    try:
        return model.model_validate(fields, extra="forbid")
    except ValidationError as error:
        raise invalid_at("", error.errors(include_url=False)) from error


def renamed(failure: Failure, name: Callable[[str], str]) -> Failure:
    """The same refusal, with its fields called as the caller called them."""
    problems = (
        each.model_copy(update={"field": name(each.field)}) if each.field else each for each in failure.problems
    )
    return Failure(failure.kind, failure.code, failure.message, problems=tuple(problems))


def invalid(problems: tuple[Problem, ...]) -> Failure:
    return _refusal(_code_of([(problem.field or "", problem.rule) for problem in problems]), problems)


def _refusal(code: Code, problems: tuple[Problem, ...], more: str = "") -> Failure:
    words = "; ".join(f"{problem.field}: {problem.message}" for problem in problems) + more
    return Failure(FailureKind.INVALID, code, words, problems=problems)


def _code_of(broken: Sequence[tuple[str, str | None]]) -> Code:
    """By each field and the rule that it breaks."""
    if all(rule == "missing" for _, rule in broken):
        return codes.PARAMETER_MISSING
    [only] = names if len(names := {field.split(".")[0] for field, _ in broken}) == 1 else ("",)
    return {"labels": codes.BAD_LABELS, "source_location": codes.BAD_SOURCE}.get(only, codes.PARAMETER_INVALID)


def install(app: FastAPI, max_body_bytes: int, admit: Admit | None = None) -> None:
    """From now on the application refuses in this shape, whatever goes wrong in it."""
    app.add_middleware(Edge, max_body_bytes=max_body_bytes, refuse=error_response, admit=admit)

    @app.exception_handler(Failure)
    async def refused(request: Request, failure: Failure) -> JSONResponse:
        return error_response(request, failure)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()
        if found and found[0]["type"] == "json_invalid":
            message = f"the body is no JSON: {found[0]['ctx']['error']} at character {found[0]['loc'][-1]}"
            return error_response(request, invalid((Problem(message=message, field="body", rule="JSON"),)))
        return error_response(request, invalid_request(found))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:
            message = "the body is not JSON that can be read"
            return error_response(request, invalid((Problem(message=message, field="body", rule="JSON"),)))
        if error.status_code == 404:  # the router raises 405 otherwise
            return error_response(request, Failure(FailureKind.NOT_FOUND, codes.NO_PATH, str(error.detail)))
        allow = {"Allow": ", ".join(_methods_of(app, request))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        return error_response(request, Failure(FailureKind.INVALID, codes.NO_METHOD, str(error.detail)), allow)


def _methods_of(app: FastAPI, request: Request) -> list[str]:
    """All of this path: several routes may share it."""
    allowed = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.router.routes)
    ]
    return [*allowed, *(["HEAD"] if "GET" in allowed else []), "OPTIONS"]
