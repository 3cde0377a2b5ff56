"""The gateway's own documents: projects by id, tokens by the hash of their secret, access keys by their pairs' ids."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from modelyard_contracts.shapes import Role
from modelyard_gateway.domain import AccessKey, Project, Token, token_id_of
from modelyard_gateway.errors import Exists, NotFound
from modelyard_store.documents import Collection, Document, Documents, Duplicate, Equals, Has, Index, Query, Sort, Stale

PROJECTS = Collection("projects", indexes=())
TOKENS = Collection("tokens", indexes=(Index(("project", "name"), unique=True),))
ACCESS_KEYS = Collection(
    "access_keys", indexes=(Index(("project", "name"), unique=True), Index(("ids",))), members=("ids",)
)
COLLECTIONS = (PROJECTS, TOKENS, ACCESS_KEYS)
_project = TypeAdapter(Project)
_token = TypeAdapter(Token)
_access_key = TypeAdapter(AccessKey)


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

    async def projects_after(self, project_id: str | None, limit: int) -> list[Project]:
        """By id, those behind `project_id`."""
        query = Query(after=None if project_id is None else (project_id,), limit=limit)
        return [_project.validate_python(found.body) for found in await self.documents.find(PROJECTS, query)]

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

    async def add_access_key(self, key: AccessKey) -> None:
        try:
            await self.documents.add(ACCESS_KEYS, key.token_id, _body_of(key))
        except Duplicate as error:
            raise Exists("access key", key.name, "name") from error

    async def access_key_of(self, access_key_id: str) -> AccessKey | None:
        """The key that has or had this pair, whether or not the pair works still."""
        found = await self.documents.find(ACCESS_KEYS, Query(where=(Has("ids", access_key_id),), limit=1))
        return _access_key.validate_python(found[0].body) if found else None

    async def access_keys_in(self, project: str) -> list[AccessKey]:
        query = Query(where=(Equals("project", project),), sort=(Sort("name"),))
        return [_access_key.validate_python(found.body) for found in await self.documents.find(ACCESS_KEYS, query)]

    async def change_access_key(self, project: str, name: str, change: Callable[[AccessKey], AccessKey]) -> AccessKey:
        """Raises NotFound, and what `change` raises, which is called again when somebody else was faster."""
        while True:
            found = await self._access_key_named(project, name)
            changed = change(_access_key.validate_python(found.body))
            try:
                await self.documents.save(ACCESS_KEYS, Document(found.id, found.revision, _body_of(changed)))
            except Stale:
                continue
            return changed

    async def remove_access_key(self, project: str, name: str) -> None:
        """Raises NotFound."""
        while True:
            try:
                await self.documents.remove(ACCESS_KEYS, await self._access_key_named(project, name))
            except Stale:
                continue
            return

    async def _access_key_named(self, project: str, name: str) -> Document:
        query = Query(where=(Equals("project", project), Equals("name", name)), limit=1)
        if not (found := await self.documents.find(ACCESS_KEYS, query)):
            raise NotFound("access key", name)
        return found[0]


def _body_of(key: AccessKey) -> dict[str, Any]:
    return {**_access_key.dump_python(key, mode="json"), "ids": key.ids}
