"""Projects, tokens and access keys: who may do what. A token is 256 random bits, so one unsalted SHA-256 of it is
enough. The secret of an access key is needed to check a signature: it is derived then, and kept nowhere."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from typing import Final

from pydantic import SecretStr

from modelyard_contracts.shapes import Role
from modelyard_gateway.errors import TooManyFormerPairs

MOST_FORMER: Final = 10  # pairs of one access key
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
class FormerPair:
    """Works until `until` (ms), so that clients can be moved to the new one."""

    access_key_id: str
    until: int


@dataclass(frozen=True, slots=True)
class AccessKey(Token):
    """A token that is never sent: who has the secret signs with it. `token_id` outlives every change of its pair."""

    access_key_id: str
    former: tuple[FormerPair, ...] = ()

    @property
    def actor(self) -> str:
        return f"access-key:{self.name}"

    @property
    def ids(self) -> list[str]:
        return [self.access_key_id, *(pair.access_key_id for pair in self.former)]

    def works(self, access_key_id: str, now: int) -> bool:
        """Whether that pair of it does. `now` in ms."""
        return access_key_id == self.access_key_id or access_key_id in (
            pair.access_key_id for pair in self.former if now < pair.until
        )

    def rotated(self, access_key_id: str, now: int, former_until: int) -> "AccessKey":
        """With a new pair. Pairs that work no longer are forgotten; all end now unless `former_until` (ms) is later.
        Raises TooManyFormerPairs."""
        pairs = (*self.former, FormerPair(self.access_key_id, former_until))
        kept = tuple(pair for pair in pairs if now < pair.until) if now < former_until else ()
        if len(kept) > MOST_FORMER:
            raise TooManyFormerPairs(MOST_FORMER)
        return replace(self, access_key_id=access_key_id, former=kept)


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


def new_access_key_id() -> str:
    return "MY" + secrets.token_hex(10).upper()


def access_secret_of(access_key_id: str, master_key: SecretStr) -> str:
    """HMAC-SHA256 of the id in URL-safe base64."""
    digest = hmac.digest(master_key.get_secret_value().encode(), access_key_id.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
