"""The progress of one long task as server-sent events. Routes of every door call `followed`."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from modelyard_gateway.caller import Caller
from modelyard_gateway.viewer import Seen
from modelyard_gateway.watching import Entity

_FINAL: Final = frozenset({"succeeded", "failed", "stopped", "published", "cancelled", "scored", "rejected"})


@dataclass(frozen=True)
class Kind:
    """What its worker announces itself as, and which fields of its view say who it is and how it is."""

    name: str
    id: str
    state: str


IMPORT: Final = Kind("import", "model_id", "model_status")
CONVERSION: Final = Kind("conversion", "conversion_id", "state")
EVALUATION: Final = Kind("evaluation", "run_id", "state")


async def followed(caller: Caller, kind: Kind, read: Callable[[], Awaitable[BaseModel]]) -> EventSourceResponse:
    """`state` events carry the whole view whenever it changes, `progress` events what the worker announces.

    Raises what `read` raises: a missing entity is a plain refusal, not a broken stream. So each viewer asks once in
    its own name; what is asked later is shared by the project's viewers, to whom these views are the same.
    """
    view = (await read()).model_dump(mode="json")
    entity = Entity(caller.project, kind.name, view[kind.id])

    async def look() -> Seen:
        return _seen(kind, (await read()).model_dump(mode="json"))

    backends = caller.backends
    return backends.streams.respond(caller.token, backends.watches.follow(entity, _seen(kind, view), look))


def _seen(kind: Kind, view: dict[str, object]) -> Seen:
    return Seen(json.dumps(view, ensure_ascii=False), final=view[kind.state] in _FINAL)
