"""Bodies and answers of the gateway's own business: projects, tokens, access keys, dead letters."""

from pydantic import BaseModel, Field

from modelyard_contracts.shapes import Role
from modelyard_gateway.doors.v1.schemas.rules import HttpModel

PROJECT = r"^[a-z0-9][a-z0-9-]{0,62}$"


class ProjectRequest(HttpModel):
    project_id: str = Field(pattern=PROJECT)
    title: str = Field(default="", max_length=100)


class ProjectReply(BaseModel):
    project_id: str
    title: str
    created_at: int
    created_by: str


class ProjectListReply(BaseModel):
    projects: list[ProjectReply]
    next_after: str | None


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


class AccessKeyRequest(TokenRequest):
    """Named as a token is; the names of tokens and of access keys are apart."""


class RotationRequest(HttpModel):
    """`former_seconds`: how long the pair that is replaced works on; 0 ends every former pair at once."""

    former_seconds: int = Field(default=86_400, ge=0, le=30 * 86_400)


class FormerPairReply(BaseModel):
    access_key_id: str
    expires_at: int


class AccessKeyReply(BaseModel):
    """`secret_access_key` is shown this once and never again. `former` are the pairs that work still."""

    name: str
    project: str
    role: Role
    created_at: int
    created_by: str
    access_key_id: str
    secret_access_key: str | None = None
    former: list[FormerPairReply]


class AccessKeyListReply(BaseModel):
    access_keys: list[AccessKeyReply]


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
