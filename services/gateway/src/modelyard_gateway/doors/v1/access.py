"""Who is calling: the dependency through which every route of this door gets its caller."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, Header, Request

from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.failures import Failure, Problem
from modelyard_contracts.shapes import Role
from modelyard_gateway.backends import backends_of
from modelyard_gateway.caller import Caller
from modelyard_gateway.domain import AccessKey, Token, access_secret_of
from modelyard_gateway.doors.v1.queries import misplaced_parameters
from modelyard_gateway.doors.v1.replies import invalid
from modelyard_gateway.edge import Admitted, Read
from modelyard_gateway.errors import OF_SOURCE, SOURCE_HEADER, Forbidden, SourceTokenNeeded, Unauthenticated
from modelyard_gateway.json_bounds import misfits, repeated_fields
from modelyard_gateway.signatures import NOTHING, Claim, is_signed
from modelyard_gateway.texts import misfitting_texts

WRONG_SIGNATURE: Final = (
    "no such access key, or its secret did not sign this request as it arrived; nothing in between may change method, "
    "path, query, signed headers or body"
)


def presented_secret(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret:
        return secret.strip()
    return request.headers.get("x-auth-token")


async def admit(request: Request, read: Read) -> Admitted:
    """Before the body is read; where only the body tells whether a signature is right, in a lane for such bodies alone,
    so that whoever knows no more than the id of an access key holds up nobody else. Raises Failure."""
    backends = backends_of(request)
    digest = None
    if is_signed(request):
        claim = _claim_of(request)
        key = await _access_key_of(request, claim)
        digest = claim.body_sha256
        if digest is None:
            lane = await backends.unproven.enter(key)
            try:
                digest = hashlib.sha256(await read()).hexdigest()
            finally:
                lane.leave()
        request.state.token = await _proven(request, claim, key, digest)
    else:
        request.state.token = await authenticate(request)
    return Admitted(await backends.turns.enter(request.state.token), digest)


async def authenticate(request: Request) -> Token:
    """The token of who was admitted, or, where nobody is asked to be, the one that is presented."""
    admitted: Token | None = getattr(request.state, "token", None)
    if admitted is not None:
        return admitted
    if is_signed(request):
        claim = _claim_of(request)
        return await _proven(request, claim, await _access_key_of(request, claim), claim.body_sha256 or NOTHING)
    secret = presented_secret(request)
    if not secret:
        raise Unauthenticated
    return await _token_of(request, secret)


async def may_read(request: Request, secret: str | None, project: str) -> None:
    """That the caller has a token of another project too, with whatever role. Nothing but the project goes on from
    here. Raises Failure naming the header."""
    if not secret:
        raise SourceTokenNeeded(project)
    try:
        token = await _token_of(request, secret)
    except Unauthenticated as error:
        raise SourceTokenNeeded(project) from error
    if token.project != project:
        message = f"the token in {SOURCE_HEADER} belongs to another project than {project!r}"
        raise Forbidden(message, field=SOURCE_HEADER, rule=OF_SOURCE)


async def _token_of(request: Request, secret: str) -> Token:
    """Raises Unauthenticated, or TooManyAttempts for who goes on guessing."""
    backends = backends_of(request)
    if token := await backends.lookups.token_of(secret):
        return token
    raise await _guessed(request, Unauthenticated())


def _claim_of(request: Request) -> Claim:
    backends = backends_of(request)
    if backends.settings.access_master_key is None:
        raise Unauthenticated("this yard takes no signed requests: its operator has set no MODELYARD_ACCESS_MASTER_KEY")
    return Claim.of(request, backends.now(), host=backends.settings.access_signed_host)


async def _access_key_of(request: Request, claim: Claim) -> AccessKey:
    if key := await backends_of(request).lookups.access_key_of(claim.access_key_id):
        return key
    raise await _guessed(request, Unauthenticated(WRONG_SIGNATURE))


async def _proven(request: Request, claim: Claim, key: AccessKey, body_sha256: str) -> AccessKey:
    master_key = backends_of(request).settings.access_master_key
    if master_key and claim.is_right(access_secret_of(claim.access_key_id, master_key), body_sha256):
        return key
    raise await _guessed(request, Unauthenticated(WRONG_SIGNATURE))


async def _guessed(request: Request, wrong: Unauthenticated) -> Failure:
    address = request.client.host if request.client else "unknown"
    return await backends_of(request).attempts.refuse(address, wrong)


async def known_parameters(request: Request) -> None:
    """Of a path outside of projects. Raises Failure."""
    if problems := misplaced_parameters(request):
        raise invalid(problems)


def caller_with(least: Role) -> Callable[..., Awaitable[Caller]]:
    async def resolve(
        request: Request,
        project_id: str,
        token: Annotated[Token, Depends(authenticate)],
    ) -> Caller:
        if token.project != project_id:
            raise Forbidden(f"this token belongs to the project {token.project!r}, not to {project_id!r}")
        if not token.may(least):
            raise Forbidden(f"this needs the role {least.value!r}; this token has {token.role.value!r}")
        if problems := (
            *misplaced_parameters(request),
            *misfitting_texts(request),
            *await _misfitting_body(request),
        ):
            raise invalid(problems)
        context = CallContext(
            project=project_id,
            actor=token.actor,
            role=token.role,
            correlationid=request.state.correlationid,
        )
        structlog.contextvars.bind_contextvars(project=project_id, actor=token.actor)
        return Caller(backends_of(request), token, context)

    return resolve


def changing(least: Role) -> Callable[..., Awaitable[Caller]]:
    """Of routes whose repeat shall be harmless."""

    async def resolve(
        caller: Annotated[Caller, Depends(caller_with(least))],
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1, max_length=200, description="a repeat with the same key answers what the first one made"
            ),
        ] = None,
    ) -> Caller:
        return replace(caller, context=caller.context.model_copy(update={"idempotency_key": idempotency_key}))

    return resolve


async def _misfitting_body(request: Request) -> tuple[Problem, ...]:
    body = await request.body()
    if body and request.method == "DELETE":  # what it says would be done by nobody
        return (Problem(message="a DELETE takes no body; its query says everything", field="body", rule="none"),)
    return (*repeated_fields(body), *misfits(await _json_of(request)))


async def _json_of(request: Request) -> Any:
    """None where there is no JSON; a route that wants a body says so itself."""
    try:
        return await request.json() if await request.body() else None
    except (ValueError, RecursionError):
        return None


SourceToken = Annotated[
    str | None,
    Header(
        alias=SOURCE_HEADER, description="a token, of any role, of the other project that a version is promoted from"
    ),
]
Reader = Annotated[Caller, Depends(caller_with(Role.READER))]
Writer = Annotated[Caller, Depends(changing(Role.WRITER))]
Publisher = Annotated[Caller, Depends(changing(Role.PUBLISHER))]
Admin = Annotated[Caller, Depends(changing(Role.ADMIN))]
