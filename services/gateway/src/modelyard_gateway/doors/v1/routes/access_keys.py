"""Access keys: pairs of an id and a secret, with which clients sign requests instead of sending a token."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import SecretStr

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.ids import new_id
from modelyard_gateway.caller import Caller
from modelyard_gateway.domain import AccessKey, access_secret_of, new_access_key_id
from modelyard_gateway.doors.v1.access import Admin
from modelyard_gateway.doors.v1.schemas.administration import (
    AccessKeyListReply,
    AccessKeyReply,
    AccessKeyRequest,
    FormerPairReply,
    RotationRequest,
)
from modelyard_gateway.doors.v1.schemas.rules import AsSaid
from modelyard_gateway.errors import Forbidden, NoAccessKeys


def _master_key(caller: Admin) -> SecretStr:
    if caller.backends.settings.access_master_key is None:
        raise NoAccessKeys
    return caller.backends.settings.access_master_key


MasterKey = Annotated[SecretStr, Depends(_master_key)]
router = APIRouter(prefix="/v1/{project_id}/access-keys", tags=["administration"], dependencies=[Depends(_master_key)])


def _shown(caller: Caller, key: AccessKey, master_key: SecretStr | None = None) -> AccessKeyReply:
    now = caller.backends.now()
    return AccessKeyReply(
        name=key.name,
        project=key.project,
        role=key.role,
        created_at=key.created_at,
        created_by=key.created_by,
        access_key_id=key.access_key_id,
        secret_access_key=access_secret_of(key.access_key_id, master_key) if master_key else None,
        former=[
            FormerPairReply(access_key_id=pair.access_key_id, expires_at=pair.until)
            for pair in key.former
            if now < pair.until
        ],
    )


@router.post("")
async def create_access_key(
    caller: Admin, master_key: MasterKey, body: Annotated[AccessKeyRequest, AsSaid]
) -> AccessKeyReply:
    """Make an access key for this project. Its secret is in this answer and nowhere else."""
    now = caller.backends.now()
    key = AccessKey(
        new_id(), body.name, caller.project, body.role, now, caller.token.actor, access_key_id=new_access_key_id()
    )
    await caller.backends.access.add_access_key(key)
    return _shown(caller, key, master_key)


@router.get("")
async def list_access_keys(caller: Admin) -> AccessKeyListReply:
    keys = await caller.backends.access.access_keys_in(caller.project)
    return AccessKeyListReply(access_keys=[_shown(caller, key) for key in keys])


@router.post("/{name}/rotation")
async def rotate_access_key(
    caller: Admin, master_key: MasterKey, name: str, body: Annotated[RotationRequest | None, AsSaid] = None
) -> AccessKeyReply:
    """Replace its pair. The former one works on for a day, or for as long as is said, so that no client has a gap."""
    now = caller.backends.now()
    until = now + 1000 * (body or RotationRequest()).former_seconds
    key = await caller.backends.access.change_access_key(
        caller.project, name, lambda key: key.rotated(new_access_key_id(), now, until)
    )
    return _shown(caller, key, master_key)


@router.delete("/{name}")
async def revoke_access_key(caller: Admin, name: str) -> Nothing:
    """All its pairs stop working at once."""
    if caller.token.actor == f"access-key:{name}":
        raise Forbidden("an access key cannot revoke itself; use another one, or an admin token")
    await caller.backends.access.remove_access_key(caller.project, name)
    return Nothing()
