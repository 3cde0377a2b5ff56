"""The gateway's own documents: projects by id, tokens by the hash of their secret."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from modelyard_contracts.shapes import Role
from modelyard_gateway.domain import Project, Token, token_id_of
from modelyard_gateway.errors import Exists, NotFound
from modelyard_store.documents import Collection, Documents, Duplicate, Equals, Index, Query, Sort

PROJECTS = Collection("projects", indexes=())
TOKENS = Collection("tokens", indexes=(Index(("project", "name"), unique=True),))
_project = TypeAdapter(Project)
_token = TypeAdapter(Token)


@dataclass(frozen=True)
class AccessRepository:
    documents: Documents

    async def add_project(self, project: Project) -> None:
        try:
            await self.documents.add(PROJECTS, project.project_id, _project.dump_python(project, mode="json"))
        except Duplicate as error:
            raise Exists("project", project.project_id, "project_id") from error

    async def project_exists(self, project_id: str) -> bool:
        return await self.documents.get(PROJECTS, project_id) is not None

    async def add_token(self, token: Token) -> None:
        try:
            await self.documents.add(TOKENS, token.token_id, _token.dump_python(token, mode="json"))
        except Duplicate as error:
            raise Exists("token", token.name, "name") from error

    async def token_of(self, secret: str) -> Token | None:
        found = await self.documents.get(TOKENS, token_id_of(secret))
        return _token.validate_python(found.body) if found else None

    async def tokens_in(self, project: str) -> list[Token]:
        query = Query(where=(Equals("project", project),), sort=(Sort("name"),))
        return [_token.validate_python(found.body) for found in await self.documents.find(TOKENS, query)]

    async def remove_token(self, project: str, name: str) -> None:
        query = Query(where=(Equals("project", project), Equals("name", name)), limit=1)
        found = await self.documents.find(TOKENS, query)
        if not found:
            raise NotFound("token", name)
        await self.documents.remove(TOKENS, found[0])

    async def keep_operator(self, project: str, secret: str, now: int) -> None:
        """Make the operator's project and token at start; a changed secret replaces the former token."""
        if not await self.project_exists(project):
            await self.add_project(Project(project, project, now, "operator"))
        if await self.token_of(secret) is None:
            if any(token.name == "operator" for token in await self.tokens_in(project)):
                await self.remove_token(project, "operator")
            await self.add_token(Token(token_id_of(secret), "operator", project, Role.ADMIN, now, "operator"))
