"""Names and aliases: which version of a name is `champion`, which one was, and who moved it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from modelyard_contracts.calls import version
from modelyard_contracts.calls.call import Nothing
from modelyard_gateway.doors.v1.access import Reader, Writer
from modelyard_gateway.doors.v1.conditions import Held
from modelyard_gateway.doors.v1.replies import validated
from modelyard_gateway.doors.v1.schemas.models import AliasQuery, AliasRequest
from modelyard_gateway.doors.v1.schemas.rules import AsSaid

router = APIRouter(prefix="/v1/{project_id}/model-names/{model_name}", tags=["aliases"])


@router.get("/aliases")
async def list_aliases(caller: Reader, model_name: str) -> version.AliasList:
    return await caller.ask(version.LIST_ALIASES, validated(version.ListAliases, {"model_name": model_name}))


@router.get("/aliases/{alias}")
async def show_alias(
    caller: Reader, model_name: str, alias: str, query: Annotated[AliasQuery, Query()], answer: Response
) -> version.AliasView:
    """The version that holds the alias, or that held it at the time `at`."""
    request = {"model_name": model_name, "alias": alias, "at": query.at}
    view = await caller.ask(version.GET_ALIAS, validated(version.GetAlias, request))
    if query.at is None:
        answer.headers["ETag"] = f'"{view.revision}"'
    return view


@router.get("/aliases/{alias}/history")
async def alias_history(caller: Reader, model_name: str, alias: str) -> version.AliasHistory:
    """Every move of the alias, newest first: when, by whom, from which version to which."""
    request = {"model_name": model_name, "alias": alias}
    return await caller.ask(version.ALIAS_HISTORY, validated(version.GetAlias, request))


@router.put("/aliases/{alias}")
async def set_alias(
    caller: Writer, model_name: str, alias: str, seen: Held, body: Annotated[AliasRequest, AsSaid]
) -> Nothing:
    """Point an alias of a name at one of its versions; moving it is atomic."""
    request = {"model_name": model_name, "alias": alias, "model_version": body.model_version, **seen}
    return await caller.ask(version.SET_ALIAS, validated(version.SetAlias, request))


@router.delete("/aliases/{alias}")
async def remove_alias(caller: Writer, model_name: str, alias: str, seen: Held) -> Nothing:
    request = {"model_name": model_name, "alias": alias, **seen}
    return await caller.ask(version.SET_ALIAS, validated(version.SetAlias, request))
