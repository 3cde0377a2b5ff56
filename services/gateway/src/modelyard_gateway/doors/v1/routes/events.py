"""The yard's event tail."""

from fastapi import APIRouter
from sse_starlette import EventSourceResponse

from modelyard_gateway.doors.v1.access import Reader
from modelyard_gateway.streams import project_events

router = APIRouter(prefix="/v1/{project_id}", tags=["events"])


@router.get("/events", response_class=EventSourceResponse)
async def tail(caller: Reader) -> EventSourceResponse:
    """Server-sent events: every event of this project from now on, as CloudEvents."""
    events = project_events(caller.backends.bus, caller.project)
    return caller.backends.streams.respond(caller.token, events)
