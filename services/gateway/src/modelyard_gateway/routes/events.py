"""The yard's event tail."""

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse

from modelyard_gateway.access import Reader
from modelyard_gateway.streams import project_events

router = APIRouter(prefix="/v1/{project_id}", tags=["events"])


@router.get("/events", response_class=EventSourceResponse)
async def tail(request: Request, caller: Reader) -> EventSourceResponse:
    """Server-sent events: every event of this project from now on, as CloudEvents."""
    events = project_events(caller.backends, caller.project)
    return request.app.state.streams.respond(events)  # type: ignore[no-any-return]  # app.state is untyped
