"""What services ask each other and the gateway asks them: request and reply of every call."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

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
