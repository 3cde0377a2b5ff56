"""Projects, tokens and dead letters."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from modelyard_bus.deadletters import DeadLetter
from modelyard_bus.errors import NoSuchDeadLetter
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.shapes import Role
from modelyard_gateway.backends import backends_of
from modelyard_gateway.caller import Caller
from modelyard_gateway.domain import Project, Token, new_secret, token_id_of
from modelyard_gateway.doors.v1.access import Admin, authenticate, known_parameters
from modelyard_gateway.doors.v1.schemas.administration import (
    DeadLetterList,
    DeadLetterReply,
    ProjectListReply,
    ProjectReply,
    ProjectRequest,
    TokenListReply,
    TokenReply,
    TokenRequest,
)
from modelyard_gateway.doors.v1.schemas.rules import AsSaid
from modelyard_gateway.errors import Forbidden, NotFound

Sequence = Annotated[int, Path(ge=1, le=2**53)]
router = APIRouter(prefix="/v1/{project_id}", tags=["administration"])


def _shown(token: Token, secret: str | None = None) -> TokenReply:
    return TokenReply(
        name=token.name,
        project=token.project,
        role=token.role,
        created_at=token.created_at,
        created_by=token.created_by,
        token=secret,
    )


@router.post("/tokens")
async def create_token(caller: Admin, body: Annotated[TokenRequest, AsSaid]) -> TokenReply:
    """Make a token for this project. Its secret is in this answer and nowhere else."""
    secret = new_secret()
    now = caller.backends.now()
    token = Token(token_id_of(secret), body.name, caller.project, body.role, now, caller.token.actor)
    await caller.backends.access.add_token(token)
    return _shown(token, secret)


@router.get("/tokens")
async def list_tokens(caller: Admin) -> TokenListReply:
    return TokenListReply(tokens=[_shown(token) for token in await caller.backends.access.tokens_in(caller.project)])


@router.delete("/tokens/{name}")
async def revoke_token(caller: Admin, name: str) -> Nothing:
    """The token stops working at once."""
    if caller.token.actor == f"token:{name}":
        raise Forbidden("a token cannot revoke itself; use another admin token")
    await caller.backends.access.remove_token(caller.project, name)
    return Nothing()


@router.get("/dead-letters")
async def list_dead_letters(caller: Admin, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> DeadLetterList:
    """Messages that no retry could settle, oldest first: of this project, or unreadable (operator's project only)."""
    letters = await caller.backends.dead_letters.list(limit=limit)
    return DeadLetterList(dead_letters=[_shown_letter(letter) for letter in letters if _visible(caller, letter)])


@router.get("/dead-letters/{sequence}")
async def show_dead_letter(caller: Admin, sequence: Sequence) -> DeadLetterReply:
    letter = await _letter(caller, sequence)
    return _shown_letter(letter, letter.body.decode(errors="replace"))


@router.post("/dead-letters/{sequence}/replay")
async def replay_dead_letter(caller: Admin, sequence: Sequence) -> Nothing:
    """Send it again to where it came from. Consumers are idempotent, so whoever had handled it is not disturbed."""
    await _letter(caller, sequence)
    await caller.backends.dead_letters.replay(sequence)
    return Nothing()


@router.delete("/dead-letters/{sequence}")
async def drop_dead_letter(caller: Admin, sequence: Sequence) -> Nothing:
    await _letter(caller, sequence)
    await caller.backends.dead_letters.drop(sequence)
    return Nothing()


_OUTSIDE = [Depends(known_parameters)]
projects = APIRouter(prefix="/v1/projects", tags=["administration"], dependencies=_OUTSIDE)
whoami = APIRouter(prefix="/v1/whoami", tags=["administration"], dependencies=_OUTSIDE)


@whoami.get("")
async def who_am_i(token: Annotated[Token, Depends(authenticate)]) -> TokenReply:
    """Whose token this is, of which project, and what it may; never its secret."""
    return _shown(token)


async def _operator(request: Request, token: Annotated[Token, Depends(authenticate)]) -> Token:
    """Before the body is looked at: strangers learn nothing from it."""
    if token.project != backends_of(request).settings.operator_project or not token.may(Role.ADMIN):
        raise Forbidden("only an admin of the operator's project makes projects, and lists them")
    return token


@projects.post("")
async def create_project(
    request: Request, token: Annotated[Token, Depends(_operator)], body: Annotated[ProjectRequest, AsSaid]
) -> TokenReply:
    """Make a project and its first admin token. Only an admin of the operator's project may."""
    backends = backends_of(request)
    now = backends.now()
    await backends.access.add_project(Project(body.project_id, body.title or body.project_id, now, token.actor))
    secret = new_secret()
    first = Token(token_id_of(secret), "admin", body.project_id, Role.ADMIN, now, token.actor)
    await backends.access.add_token(first)
    return _shown(first, secret)


@projects.get("", dependencies=[Depends(_operator)])
async def list_projects(
    request: Request, after: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 1000
) -> ProjectListReply:
    """Every project of this yard by its id; `next_after` is the `after` of the next page. Only an admin of the
    operator's project may."""
    found = await backends_of(request).access.projects_after(after, limit + 1)
    shown = [ProjectReply.model_validate(project, from_attributes=True) for project in found[:limit]]
    return ProjectListReply(projects=shown, next_after=shown[-1].project_id if len(found) > limit else None)


def _shown_letter(letter: DeadLetter, payload: str | None = None) -> DeadLetterReply:
    return DeadLetterReply(
        sequence=letter.seq,
        subject=letter.subject,
        consumer=letter.durable,
        reason=letter.reason,
        deliveries=letter.deliveries,
        time=letter.time.isoformat(timespec="milliseconds"),
        payload=payload,
    )


def _visible(caller: Caller, letter: DeadLetter) -> bool:
    project = (letter.envelope or {}).get("project")
    return project == caller.project or (
        not isinstance(project, str) and caller.project == caller.backends.settings.operator_project
    )


async def _letter(caller: Caller, sequence: int) -> DeadLetter:
    try:
        letter = await caller.backends.dead_letters.show(sequence)
    except NoSuchDeadLetter as error:
        raise NotFound("dead letter", str(sequence)) from error
    if not _visible(caller, letter):
        raise NotFound("dead letter", str(sequence))
    return letter
