"""Conversions: order one, watch it, read its log and its proof."""

from typing import Annotated

from fastapi import APIRouter, Query
from sse_starlette import EventSourceResponse

from modelyard_contracts.calls import convert
from modelyard_contracts.calls.call import Nothing
from modelyard_gateway.doors.v1 import examples
from modelyard_gateway.doors.v1.access import Reader, Writer
from modelyard_gateway.doors.v1.replies import validated
from modelyard_gateway.doors.v1.schemas.rules import AsSaid
from modelyard_gateway.doors.v1.schemas.work import BulkDeleteRequest
from modelyard_gateway.following import CONVERSION, followed

router = APIRouter(prefix="/v1/{project_id}", tags=["conversions"])


@router.get("/conversion-targets")
async def list_targets(caller: Reader) -> convert.TargetList:
    """What can be made from what, with the options as JSON Schema, and whether a worker offers it now."""
    return await caller.ask(convert.TARGETS, Nothing())


@router.post("/conversions")
async def create_conversion(caller: Writer, body: examples.Conversion) -> convert.ConversionView:
    return await caller.ask(convert.CREATE, body)


@router.get("/conversions")
async def list_conversions(
    caller: Reader, query: Annotated[convert.ListConversions, Query()]
) -> convert.ConversionPage:
    return await caller.ask(convert.LIST, query)


@router.get("/conversions/{conversion_id}")
async def show_conversion(caller: Reader, conversion_id: str) -> convert.ConversionView:
    return await caller.ask(convert.GET, convert.GetConversion(conversion_id=conversion_id))


@router.get("/conversions/{conversion_id}/log")
async def conversion_log(caller: Reader, conversion_id: str, offset: int = 0) -> convert.LogPiece:
    return await caller.ask(convert.LOG, validated(convert.GetLog, {"conversion_id": conversion_id, "offset": offset}))


@router.get("/conversions/{conversion_id}/result")
async def conversion_result(caller: Reader, conversion_id: str) -> convert.ResultLinks:
    """Presigned links to a result that failed its proof, while it is kept. One that passed is an artifact of its
    version."""
    return await caller.ask(convert.RESULT, convert.GetConversion(conversion_id=conversion_id))


@router.get("/conversions/{conversion_id}/progress", response_class=EventSourceResponse)
async def conversion_progress(caller: Reader, conversion_id: str) -> EventSourceResponse:
    """Server-sent events: log lines as they are written, and the state until it is final."""

    async def read() -> convert.ConversionView:
        return await caller.ask(convert.GET, convert.GetConversion(conversion_id=conversion_id))

    return await followed(caller, CONVERSION, read)


@router.delete("/conversions/{conversion_id}")
async def delete_conversion(caller: Writer, conversion_id: str) -> convert.DeletedConversions:
    return await caller.ask(convert.DELETE, convert.DeleteConversions(conversion_ids=(conversion_id,)))


@router.post("/conversions/delete")
async def delete_conversions(caller: Writer, body: Annotated[BulkDeleteRequest, AsSaid]) -> convert.DeletedConversions:
    return await caller.ask(convert.DELETE, convert.DeleteConversions(conversion_ids=tuple(body.conversion_ids)))
