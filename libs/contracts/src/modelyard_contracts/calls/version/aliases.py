"""Aliases of a name: where they point, where they pointed."""

from pydantic import Field

from modelyard_contracts.calls.call import Call, Nothing
from modelyard_contracts.calls.version.register import ModelName, ModelVersionNumber
from modelyard_contracts.shapes import Shape

ALIAS = r"^[A-Za-z\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff_-]{0,31}$"


class SetAlias(Shape):
    """Moves an alias of a name atomically; `model_version` None removes it. `revisions`: only after one of these
    moves. `held`: only while a version holds it, or none does."""

    model_name: ModelName
    alias: str = Field(pattern=ALIAS)
    model_version: ModelVersionNumber | None = None
    revisions: tuple[int, ...] | None = None
    held: bool | None = None


class AliasView(Shape):
    model_name: str
    alias: str
    model_id: str
    model_version: str
    moved_at: int
    moved_by: str
    revision: int = Field(default=0, description="number of the move that put it there; its ETag")


class GetAlias(Shape):
    """`at` in ms since 1970 UTC; None means now."""

    model_name: ModelName
    alias: str = Field(pattern=ALIAS)
    at: int | None = Field(default=None, ge=0, le=2**53)


class AliasMove(Shape):
    """`model_id` None: the alias was removed. `previous_*` is where it came from."""

    move: int
    at: int
    by: str
    model_id: str | None
    model_version: str | None
    previous_model_id: str | None
    previous_model_version: str | None


class AliasHistory(Shape):
    """Newest first."""

    model_name: str
    alias: str
    moves: tuple[AliasMove, ...]


class ListAliases(Shape):
    model_name: ModelName


class AliasList(Shape):
    aliases: tuple[AliasView, ...]


SET_ALIAS = Call("version", "set-alias", SetAlias, Nothing)
LIST_ALIASES = Call("version", "list-aliases", ListAliases, AliasList)
GET_ALIAS = Call("version", "get-alias", GetAlias, AliasView)
ALIAS_HISTORY = Call("version", "alias-history", GetAlias, AliasHistory)
