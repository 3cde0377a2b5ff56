"""The shape of a call, and the few requests that every service understands."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from modelyard_contracts.shapes import Shape

RequestT = TypeVar("RequestT", bound=BaseModel)
ReplyT = TypeVar("ReplyT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call(Generic[RequestT, ReplyT]):
    """Request/reply on `modelyard.rpc.<service>.<verb>`, answered by one member of the service's queue group."""

    service: str
    verb: str
    request: type[RequestT]
    reply: type[ReplyT]

    @property
    def subject(self) -> str:
        return f"modelyard.rpc.{self.service}.{self.verb}"


class Nothing(Shape):
    """A request or reply without content."""


class Page(Shape):
    offset: int = Field(default=0, ge=0, le=2**53)
    limit: int = Field(default=1000, ge=1, le=1000)
