"""Who changed what of a version, in a chain of hashes (docs/history.md)."""

from typing import Any

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.calls.version.register import GetVersion
from modelyard_contracts.shapes import Shape


class Change(Shape):
    before: Any = None
    after: Any = None


class HistoryRecord(Shape):
    """One change of one version. `hash` is sha256 over `previous` and the rest of the record (docs/history.md)."""

    model_id: str
    seq: int = Field(ge=1)
    at: int
    by: str = Field(description="the caller, or the service that reported")
    action: str = Field(description="created, published, failed, updated, aliased, released, artifact-added, …")
    changes: dict[str, Change]
    correlationid: str
    previous: str
    hash: str


class GetHistory(Shape):
    """Also of a version that was deleted. Oldest first; `after` is the `seq` of the last record already seen."""

    model_id: str
    after: int = Field(default=0, ge=0, le=2**53)
    limit: int = Field(default=1000, ge=1, le=1000)


class History(Shape):
    model_id: str
    records: tuple[HistoryRecord, ...]


class HistoryVerdict(Shape):
    """`broken_at` is the first record that is missing or was changed; None when the chain holds."""

    model_id: str
    intact: bool
    records: int
    broken_at: int | None
    reason: str | None


HISTORY = Call("version", "history", GetHistory, History)
VERIFY_HISTORY = Call("version", "verify-history", GetVersion, HistoryVerdict)
