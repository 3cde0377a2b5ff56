"""Every move of every alias as a document `<alias id>:<move>`, added once our own event of it has come back."""

from typing import Final

from modelyard_contracts.calls.version import AliasMove
from modelyard_contracts.events import VersionAliased
from modelyard_contracts.ids import derived_id
from modelyard_store.documents import Between, Collection, Documents, Duplicate, Equals, Index, Query, Sort

MOVES: Final = Collection("alias_moves", indexes=(Index(("project", "model_name", "alias", "at", "move")),))
NEWEST_FIRST: Final = (Sort("at", descending=True), Sort("move", descending=True))


class MoveRepository:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def keep(self, project: str, fact: VersionAliased) -> None:
        """Doing it again changes nothing."""
        id = f"{derived_id(project, 'version.alias', fact.model_name, fact.alias)}:{fact.move}"
        try:
            await self._documents.add(MOVES, id, {"project": project, **fact.model_dump(mode="json")})
        except Duplicate:
            return

    async def newest(
        self, project: str, model_name: str, alias: str, *, at: int | None = None, limit: int = 1
    ) -> list[AliasMove]:
        """Newest first, those at or before `at` (ms)."""
        where = Equals("project", project), Equals("model_name", model_name), Equals("alias", alias)
        query = Query(where=(*where, Between("at", high=at)), sort=NEWEST_FIRST, limit=limit)
        return [
            AliasMove.model_validate(found.body, extra="ignore") for found in await self._documents.find(MOVES, query)
        ]
