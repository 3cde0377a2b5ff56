"""Projects and tokens: who may do what. A token is 256 random bits, so one unsalted SHA-256 of it is enough."""

import hashlib
import secrets
from dataclasses import dataclass

from modelyard_contracts.shapes import Role

_RANK = {role: rank for rank, role in enumerate((Role.READER, Role.WRITER, Role.PUBLISHER, Role.ADMIN))}


@dataclass(frozen=True, slots=True)
class Token:
    """`token_id` is the hash by which a presented secret is found; the secret itself is never kept."""

    token_id: str
    name: str
    project: str
    role: Role
    created_at: int
    created_by: str

    def may(self, least: Role) -> bool:
        return _RANK[self.role] >= _RANK[least]

    @property
    def actor(self) -> str:
        return f"token:{self.name}"


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    title: str
    created_at: int
    created_by: str


def new_secret() -> str:
    return "my_" + secrets.token_urlsafe(32)


def token_id_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
