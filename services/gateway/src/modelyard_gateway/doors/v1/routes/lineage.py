"""Where versions came from and what was made of them: as a graph, and as a picture of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from modelyard_contracts.calls import version
from modelyard_gateway.caller import Caller
from modelyard_gateway.doors.v1.access import Reader
from modelyard_gateway.doors.v1.paths import MODEL
from modelyard_gateway.doors.v1.schemas.models import TraceQuery
from modelyard_gateway.lineage_picture import picture

router = APIRouter(prefix="/v1/{project_id}", tags=["lineage"])

_DRAWN: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}, "description": "the picture"}},
}


class Svg(Response):
    """Inert even where a browser shows it as a page: it can load, run and link to nothing."""

    media_type = "image/svg+xml"

    def __init__(self, content: str) -> None:
        super().__init__(content, headers={"Content-Security-Policy": "default-src 'none'; sandbox"})


@router.get(f"{MODEL}/lineage")
async def model_lineage(caller: Reader, model_id: str) -> version.Lineage:
    """From dataset, code and training job to the version, its artifacts, evaluations and publications."""
    return await caller.ask(version.LINEAGE, version.GetVersion(model_id=model_id))


@router.get(f"{MODEL}/lineage.svg", **_DRAWN)
async def model_lineage_picture(caller: Reader, model_id: str) -> Svg:
    """The same, drawn."""
    return Svg(picture(await model_lineage(caller, model_id)))


@router.get("/lineage")
async def trace(caller: Reader, query: Annotated[TraceQuery, Query()]) -> version.Lineage:
    """Everything that was made from one training job, dataset, commit or name: give exactly one."""
    return await _traced(caller, query)


@router.get("/lineage.svg", **_DRAWN)
async def trace_picture(caller: Reader, query: Annotated[TraceQuery, Query()]) -> Svg:
    """The same, drawn."""
    return Svg(picture(await _traced(caller, query)))


async def _traced(caller: Caller, query: TraceQuery) -> version.Lineage:
    return await caller.ask(version.TRACE, version.TraceLineage(**query.model_dump()))
