"""Bodies and answers of the gateway's own business: projects, tokens, dead letters."""

from pydantic import BaseModel, Field

from modelyard_contracts.shapes import Role
from modelyard_gateway.doors.v1.schemas.rules import HttpModel

PROJECT = r"^[a-z0-9][a-z0-9-]{0,62}$"


class ProjectRequest(HttpModel):
    project_id: str = Field(pattern=PROJECT)
    title: str = Field(default="", max_length=100)


class TokenRequest(HttpModel):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    role: Role = Role.READER


class TokenReply(BaseModel):
    """`token` is shown this once and never again."""

    name: str
    project: str
    role: Role
    created_at: int
    created_by: str
    token: str | None = None


class TokenListReply(BaseModel):
    tokens: list[TokenReply]


class DeadLetterReply(BaseModel):
    """`payload` is the original message; only when one letter is shown."""

    sequence: int
    subject: str
    consumer: str
    reason: str
    deliveries: int
    time: str
    payload: str | None = None


class DeadLetterList(BaseModel):
    dead_letters: list[DeadLetterReply]
