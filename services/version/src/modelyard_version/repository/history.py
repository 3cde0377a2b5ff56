"""Records of version histories as documents `<model_id>:<seq>`. They are added, read, and never changed or removed."""

from typing import Any, Final

from pydantic import ValidationError

from modelyard_contracts.calls.version import HistoryRecord
from modelyard_store.documents import (
    Between,
    Collection,
    Document,
    Documents,
    Duplicate,
    Equals,
    Index,
    Query,
    Sort,
)

HISTORY: Final = Collection("history", indexes=(Index(("project", "model_id", "seq")),))


class Contradicted(Exception):
    """Another record is kept under this number."""


class HistoryRepository:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def keep(self, project: str, record: HistoryRecord) -> None:
        """Doing it again changes nothing. Raises Contradicted."""
        id, body = _id(record.model_id, record.seq), _body(project, record)
        try:
            await self._documents.add(HISTORY, id, body)
        except Duplicate as error:
            there = await self._documents.get(HISTORY, id)
            if there is None or there.body != body:
                raise Contradicted(id) from error

    async def after(self, project: str, model_id: str, seq: int, limit: int) -> list[tuple[int, HistoryRecord | None]]:
        """Oldest first; None stands for one that is not as it was written."""
        where = Equals("project", project), Equals("model_id", model_id), Between("seq", low=seq + 1)
        found = await self._documents.find(HISTORY, Query(where=where, sort=(Sort("seq"),), limit=limit))
        return [(document.body["seq"], _record(document)) for document in found]


def _id(model_id: str, seq: int) -> str:
    return f"{model_id}:{seq}"


def _body(project: str, record: HistoryRecord) -> dict[str, Any]:
    return {"project": project, **record.model_dump(mode="json")}


def _record(document: Document) -> HistoryRecord | None:
    try:
        record = HistoryRecord.model_validate(
            {name: value for name, value in document.body.items() if name != "project"}
        )
    except ValidationError:
        return None
    return record if document.id == _id(record.model_id, record.seq) else None
