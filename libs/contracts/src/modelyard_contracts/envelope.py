"""CloudEvents 1.0 attributes in structured JSON (https://github.com/cloudevents/spec), nothing more.

Extension names are lower case without separators because the specification allows only `[a-z0-9]` there.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from modelyard_contracts.ids import new_id


class Envelope(BaseModel):
    """One message as it lies on a stream. `data` stays a plain object: each consumer decodes what it knows."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(default_factory=new_id, min_length=1, max_length=200)
    source: str = Field(min_length=1, max_length=200)
    type: str = Field(min_length=1, max_length=200)
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    subject: str = Field(min_length=1, max_length=200, description="id of the entity the message is about")
    datacontenttype: Literal["application/json"] = "application/json"
    project: str = Field(min_length=1, max_length=64)
    correlationid: str | None = Field(default=None, max_length=200)
    causationid: str | None = Field(default=None, max_length=200)
    traceparent: str | None = Field(default=None, max_length=100)
    data: dict[str, Any]

    def to_bytes(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()
