"""Who is calling: the dependency through which every route asks the other services in the caller's name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import structlog
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from modelyard_bus.calls import CallClient, CallContext
from modelyard_bus.connection import Bus
from modelyard_bus.deadletters import DeadLetters
from modelyard_contracts.calls import Call
from modelyard_contracts.ids import new_id
from modelyard_contracts.shapes import Role
from modelyard_gateway.domain import Token
from modelyard_gateway.errors import Forbidden, Unauthenticated
from modelyard_gateway.json_bounds import misfits
from modelyard_gateway.replies import invalid
from modelyard_gateway.repository import AccessRepository
from modelyard_gateway.settings import GatewaySettings

RequestT = TypeVar("RequestT", bound=BaseModel)
ReplyT = TypeVar("ReplyT", bound=BaseModel)
PATIENCE: Final = 30.0  # seconds


@dataclass(frozen=True)
class Backends:
    """What the routes reach; built once in `bootstrap` and kept on the application."""

    settings: GatewaySettings
    bus: Bus
    calls: CallClient
    access: AccessRepository
    dead_letters: DeadLetters
    clock: Callable[[], int]


@dataclass(frozen=True)
class Caller:
    """An authenticated caller within one project."""

    backends: Backends
    token: Token
    context: CallContext

    @property
    def project(self) -> str:
        return self.context.project

    async def ask(self, call: Call[RequestT, ReplyT], request: RequestT) -> ReplyT:
        return await self.backends.calls(call, self.context, request, timeout=PATIENCE)

    async def relay(self, call: Call[RequestT, ReplyT], request: RequestT) -> Response:
        """The service's own JSON, unread: for answers that are large and that clients get as they are."""
        reply = await self.backends.calls.relayed(call, self.context, request, timeout=PATIENCE)
        return Response(reply, media_type="application/json")


def presented_secret(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret:
        return secret.strip()
    return request.headers.get("x-auth-token")


async def authenticate(request: Request) -> Token:
    backends: Backends = request.app.state.backends
    secret = presented_secret(request)
    token = await backends.access.token_of(secret) if secret else None
    if token is None:
        raise Unauthenticated
    return token


def caller_with(least: Role) -> Callable[..., Awaitable[Caller]]:
    async def resolve(
        request: Request,
        project_id: str,
        token: Annotated[Token, Depends(authenticate)],
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1, max_length=200, description="a repeat with the same key answers what the first one made"
            ),
        ] = None,
    ) -> Caller:
        if token.project != project_id:
            raise Forbidden(f"this token belongs to another project than {project_id!r}")
        if not token.may(least):
            raise Forbidden(f"this needs the role {least.value!r}; this token has {token.role.value!r}")
        if problems := misfits(await _json_of(request)):
            raise invalid(problems)
        context = CallContext(
            project=project_id,
            actor=token.actor,
            role=token.role,
            correlationid=request.state.correlationid,
            idempotency_key=idempotency_key,
        )
        structlog.contextvars.bind_contextvars(project=project_id, actor=token.actor)
        return Caller(request.app.state.backends, token, context)

    return resolve


async def _json_of(request: Request) -> Any:
    """None where there is no JSON; a route that wants a body says so itself."""
    try:
        return await request.json() if await request.body() else None
    except (ValueError, RecursionError):
        return None


Reader = Annotated[Caller, Depends(caller_with(Role.READER))]
Writer = Annotated[Caller, Depends(caller_with(Role.WRITER))]
Publisher = Annotated[Caller, Depends(caller_with(Role.PUBLISHER))]
Admin = Annotated[Caller, Depends(caller_with(Role.ADMIN))]


def correlation_of(request: Request) -> str:
    """The caller's own `X-Correlation-Id` when it is a plain short word, else a new one."""
    given = request.headers.get("x-correlation-id", "")
    return given if 0 < len(given) <= 100 and given.isascii() and given.isprintable() else new_id()
