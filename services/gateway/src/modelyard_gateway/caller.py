"""An authenticated caller: what every door makes of a request, and how every route asks the other services."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Response
from pydantic import BaseModel

from modelyard_contracts.calls import Call
from modelyard_contracts.calls.context import CallContext
from modelyard_gateway.backends import Backends
from modelyard_gateway.domain import Token

RequestT = TypeVar("RequestT", bound=BaseModel)
ReplyT = TypeVar("ReplyT", bound=BaseModel)
PATIENCE: Final = 30.0  # seconds


@dataclass(frozen=True)
class Caller:
    """Within one project, whichever way the door found it."""

    backends: Backends
    token: Token
    context: CallContext

    @property
    def project(self) -> str:
        return self.context.project

    async def ask(self, call: Call[RequestT, ReplyT], request: RequestT) -> ReplyT:
        return await self.backends.calls(call, self.context, request, timeout=PATIENCE)

    async def relay(
        self,
        call: Call[RequestT, ReplyT],
        request: RequestT,
        shown: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> Response:
        """The service's own JSON, unread: for answers that are large and that clients get as they are, or `shown`."""
        reply = await self.backends.calls.relayed(call, self.context, request, timeout=PATIENCE)
        if shown is not None:
            reply = json.dumps(shown(json.loads(reply)), ensure_ascii=False, separators=(",", ":")).encode()
        return Response(reply, media_type="application/json")
